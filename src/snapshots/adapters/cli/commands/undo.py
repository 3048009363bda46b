"""`snapshots undo`: undo one run."""

from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import (
    database_option,
    lock_option,
    opened,
)
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import WorkBar
from snapshots.adapters.cli.output.text.backfill import undo_lines
from snapshots.adapters.cli.run_names import completed_run
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.cli.stop_signals import stopping


@command(short_help="Undo one run.", examples=["snapshots runs", "snapshots undo --dry-run RUN"])
@click.argument("run")
@option("--dry-run", is_flag=True, section=Section.GENERAL, help="Report what would change, and write nothing.")
@database_option
@lock_option
@click.pass_obj
def undo(open_application: OpenApplication, /, run: str, *, dry_run: bool, **options: Any) -> None:
    """
    Undo RUN, a backfill or a late completion: remove the snapshots and addresses that it wrote, and restore counts.

    Data written by loads, other runs and operators is not changed. `snapshots runs` lists the runs; a prefix of the
    name, at least its day and hour, is enough.
    """
    stderr = SafeConsole(stderr=True)
    with opened(open_application, options) as application, stopping() as stopped, WorkBar(stderr) as bar:
        run = completed_run(application, run) or run
        report = application.undo.undo(run, bar, is_dry_run=dry_run, is_stopped=stopped)
    for line in undo_lines(report, is_dry_run=dry_run):
        click.echo(line)
    if not report.is_done:
        click.echo(f"Interrupted. To continue: `snapshots undo {run}`.", err=True)
        click.get_current_context().exit(stopped.exit_code)
