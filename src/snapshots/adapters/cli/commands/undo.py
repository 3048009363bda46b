"""`snapshots undo`: undo one run."""

from typing import Any

import click

from snapshots.adapters.cli.options import (
    database_option,
    lock_option,
    opened,
)
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import WorkBar
from snapshots.adapters.cli.output.text.backfill import undo_lines
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.cli.stop_signals import stopping


@click.command(short_help="Take back exactly what one run wrote.")
@click.argument("run")
@database_option
@lock_option
@click.option("--dry-run", is_flag=True, help="Only say what it would take back.")
@click.pass_obj
def undo(open_application: OpenApplication, /, run: str, *, dry_run: bool, **options: Any) -> None:
    """
    Take back what RUN wrote, a backfill or a late completion: snapshots, addresses it found, and counts.

    What loading, other runs and operators wrote stays. `snapshots runs` lists the runs.
    """
    stderr = SafeConsole(stderr=True)
    with opened(open_application, options) as application, stopping() as stopped, WorkBar(stderr) as bar:
        report = application.undo.undo(run, bar, is_dry_run=dry_run, is_stopped=stopped)
    for line in undo_lines(report, is_dry_run=dry_run):
        click.echo(line)
    if not report.is_done:
        click.echo(f"Interrupted. To continue: `snapshots undo {run}`.", err=True)
        click.get_current_context().exit(stopped.exit_code)
