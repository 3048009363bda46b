"""The program: runs a command, and turns what went wrong into one sentence and an exit code."""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

from snapshots.app.batch import SELDOM
from snapshots.app.errors import InvalidQuestion, SettingRefused
from snapshots.domain.errors import SnapshotsError

DONE, COULD_NOT, ASKED_WRONGLY, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Returns:
        0 done, 1 could not, 2 asked wrongly, 3 verification found something, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except (SettingRefused, InvalidQuestion) as exc:
        sys.stderr.write(f"Error: {exc}\n")
        return ASKED_WRONGLY
    except SnapshotsError as exc:
        sys.stderr.write(f"Error: {exc}\n")
        return COULD_NOT
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. What was stored stays; the same command again goes on, or begins anew.\n")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        _drop_output()
        return DONE
    except OSError as exc:
        _drop_output()
        sys.stderr.write(f"Error: the output cannot be written: {exc.strerror or exc}\n")
        return COULD_NOT


def _drop_output() -> None:
    """Let nothing more be written, or Python would try again at the end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    """Import the libraries here, where an interruption is expected, and run the command."""
    import click  # noqa: PLC0415 - see above

    from snapshots.adapters.cli.commands import cli  # noqa: PLC0415 - see above
    from snapshots.adapters.telemetry.logs import configure_logs  # noqa: PLC0415 - see above
    from snapshots.container import open_application  # noqa: PLC0415 - see above

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show what is in a log
    configure_logs(verbose="-v" in arguments or "--verbose" in arguments)
    try:
        outcome = cli.main(arguments, prog_name="snapshots", standalone_mode=False, obj=open_application)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort as exc:
        raise KeyboardInterrupt from exc
    except SystemExit as exc:  # click's, when whoever read the output is gone
        raise BrokenPipeError from exc
    sys.stdout.flush()
    return outcome if isinstance(outcome, int) else DONE


def _interrupt_again(swallowed: "sys.UnraisableHookArgs") -> None:
    """Interrupt anew, in a moment, where an interruption came in a place from which Python can raise nothing."""
    if issubclass(swallowed.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(swallowed)


def program() -> NoReturn:
    """
    Run a command as a process of its own, and end it with the command's exit code.

    An interruption that comes while a library makes a class from a text is handled like any other, and yet Python
    would end by the signal: it remembers that one went through a text that was being run.
    """
    gc.set_threshold(*SELDOM)
    sys.unraisablehook = _interrupt_again
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # what it logs it raises too
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt, but Python would end by it
    if code == INTERRUPTED:
        with suppress(OSError):  # whoever read the output may be gone too
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    program()
