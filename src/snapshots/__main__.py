"""The program: runs a command, and turns what went wrong into one sentence and an exit code."""

import os
import sys
from collections.abc import Sequence

import click

from snapshots.adapters.cli.commands import cli
from snapshots.adapters.telemetry.logs import configure_logs
from snapshots.container import open_application
from snapshots.domain.errors import SnapshotsError

COULD_NOT = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Returns:
        0 done, 1 could not, 2 asked wrongly, 3 verification found something, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    configure_logs(verbose="-v" in arguments or "--verbose" in arguments)
    try:
        outcome = cli.main(arguments, prog_name="snapshots", standalone_mode=False, obj=open_application)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except SnapshotsError as exc:
        click.echo(f"Error: {exc}", err=True)
        return COULD_NOT
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was loaded is stored; the same command goes on from there.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return COULD_NOT
    return outcome if isinstance(outcome, int) else 0


if __name__ == "__main__":
    sys.exit(main())
