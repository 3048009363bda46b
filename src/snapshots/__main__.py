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
    prepare_descriptors,
    safe_streams,
)
from snapshots.adapters.cli.stop_signals import Terminated, terminable
from snapshots.app.errors import InvalidQuery, PackageMissing, SettingRefused
from snapshots.app.garbage import GC_THRESHOLDS
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
    arguments = list(sys.argv[1:] if argv is None else argv)
    with safe_streams():
        try:
            with terminable(arguments):
                return _exit_code(arguments)
        except KeyboardInterrupt as exc:
            sys.stderr.write(
                "Interrupted. Completed batches are stored; run the command again to continue or start over.\n"
            )
            return ExitCode.DONE if isinstance(exc, Terminated) else ExitCode.INTERRUPTED


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
        from snapshots.composition.application import open_application  # noqa: PLC0415 - help does not need it

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


def program() -> NoReturn:
    """
    Run a command in this process, and exit with its exit code.

    The process ends by `os._exit`. Otherwise Python would destroy each imported module first, which takes a noticeable
    part of a short command; it would end by the signal if one came while a library executed generated source code (such
    as a dataclass), although the exception was handled; and it would wait for threads whose queries are not needed any
    more. Functions that were registered with atexit are not called, so that profilers and coverage record nothing.
    """
    gc.set_threshold(*GC_THRESHOLDS)  # imports create many objects, too
    prepare_descriptors()
    sys.unraisablehook = _repeat_interrupt
    for library in ("sqlalchemy.pool", "psycopg"):  # they also raise what they log
        logging.getLogger(library).setLevel(logging.CRITICAL)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings are for programmers; -W and PYTHONWARNINGS show them
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command is done; a signal now would change the exit code
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the reader of the output may have closed the pipe
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    program()
