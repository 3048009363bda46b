"""Entry point: run a command, and report errors in one line with an exit code."""

import gc
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, NoReturn

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.output.streams import (
    OutputFailed,
    discard_output_of,
    open_missing_descriptors,
    safe_streams,
)
from snapshots.adapters.cli.stop_signals import Terminated, terminable
from snapshots.app.errors import InvalidQuery, PackageMissing, SettingRefused
from snapshots.app.safe_text import one_line
from snapshots.domain.errors import SnapshotsError

if TYPE_CHECKING:
    from snapshots.adapters.cli.services import Application
    from snapshots.adapters.cli.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Returns:
        0 done, 1 error, 2 usage error, 3 verification found something, 130 interrupted.
    """
    return _main(list(sys.argv[1:] if argv is None else argv))[0]


def _main(arguments: list[str]) -> tuple[int, bool]:
    """Run a command; return its exit code, and whether a signal interrupted it."""
    with safe_streams():
        try:
            with terminable(arguments):
                return _exit_code(arguments), False
        except KeyboardInterrupt as exc:
            sys.stderr.write(
                "Interrupted. Completed batches are stored; run the command again to continue or start over.\n"
            )
            return ExitCode.DONE if isinstance(exc, Terminated) else ExitCode.INTERRUPTED, True


def _exit_code(arguments: list[str]) -> int:
    """Run a command, and report every error except an interruption in one line."""
    try:
        return _run(arguments)
    except SnapshotsError as exc:
        _print_error(str(exc))
        is_usage = isinstance(exc, (SettingRefused, InvalidQuery)) and not isinstance(exc, PackageMissing)
        return ExitCode.USAGE_ERROR if is_usage else ExitCode.FAILED
    except BrokenPipeError:  # the reader, such as head, closed the pipe
        discard_output_of(sys.stdout)
        return ExitCode.DONE
    except OSError as exc:
        if isinstance(exc, OutputFailed):
            discard_output_of(sys.stdout)
        what = "the output cannot be written" if isinstance(exc, OutputFailed) else exc.filename
        _print_error(f"{what}: {exc.strerror}" if what is not None else f"{exc.strerror or exc}")
        return ExitCode.FAILED
    except Exception as exc:  # noqa: BLE001 - outermost handler: an internal error is one line, too
        _print_error(f"internal error, please report it: {type(exc).__name__}: {exc}")
        if _is_verbose(arguments):
            traceback.print_exc()
        return ExitCode.FAILED


def _print_error(sentence: str) -> None:
    sys.stderr.write(f"Error: {one_line(sentence)}\n")


def _is_verbose(arguments: Sequence[str]) -> bool:
    return "-v" in arguments or "--verbose" in arguments


def _run(arguments: list[str]) -> int:
    """Import the libraries, which takes long enough to be interrupted, and run the command."""
    import click  # noqa: PLC0415 - see above

    from snapshots.adapters.cli.main import cli  # noqa: PLC0415 - see above

    def open_(settings: "Settings") -> "AbstractContextManager[Application]":
        """Import the adapters when a command needs them: help, the version and usage errors do not."""
        from snapshots.adapters.telemetry.logs import configure_logs  # noqa: PLC0415 - help does not need it
        from snapshots.app.garbage import GC_THRESHOLDS  # noqa: PLC0415 - help does not need it
        from snapshots.composition.application import open_application  # noqa: PLC0415 - help does not need it

        gc.set_threshold(*GC_THRESHOLDS)
        configure_logs(verbose=_is_verbose(arguments))
        return open_application(settings)

    try:
        outcome = cli.main(arguments, prog_name="snapshots", standalone_mode=False, obj=open_)
    except click.exceptions.NoArgsIsHelpError as exc:
        sys.stderr.write(f"{exc.format_message()}\n")
        return exc.exit_code
    except click.ClickException as exc:
        if isinstance(exc, click.UsageError) and exc.ctx is not None:
            sys.stderr.write(f"{exc.ctx.get_usage()}\nTry '{exc.ctx.command_path} --help' for help.\n\n")
        _print_error(exc.format_message())
        return exc.exit_code
    except click.Abort as exc:
        raise (exc.__cause__ if isinstance(exc.__cause__, Terminated) else KeyboardInterrupt()) from exc
    except SystemExit as exc:  # click exits if the reader of the output closed the pipe
        raise BrokenPipeError from exc
    sys.stdout.flush()
    return outcome if isinstance(outcome, int) else ExitCode.DONE


def _repeat_interrupt(swallowed: "sys.UnraisableHookArgs") -> None:
    """Repeat an interruption that came while Python could not raise an exception, such as in __del__."""
    if issubclass(swallowed.exc_type, KeyboardInterrupt):
        number = signal.SIGTERM if issubclass(swallowed.exc_type, Terminated) else signal.SIGINT
        again = threading.Timer(0.05, signal.raise_signal, [number])
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(swallowed)


def _is_thread_left() -> bool:
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


def program() -> NoReturn:
    """
    Run a command in this process, and exit with its exit code.

    After an interruption, `os._exit` is called: if the signal came while a library executed generated source code (such
    as a dataclass), Python would otherwise end by the signal although the exception was handled. The same holds while
    a thread still waits for a query whose answer is not needed any more.
    """
    open_missing_descriptors()
    sys.unraisablehook = _repeat_interrupt
    for library in ("sqlalchemy.pool", "psycopg"):  # they also raise what they log
        logging.getLogger(library).setLevel(logging.CRITICAL)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings are for programmers; -W and PYTHONWARNINGS show them
    code, was_interrupted = _main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command is done; a signal now would change the exit code
    if was_interrupted or code == ExitCode.INTERRUPTED or _is_thread_left():
        with suppress(OSError):  # the reader of the output may have closed the pipe
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    program()
