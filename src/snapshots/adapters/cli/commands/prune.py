"""`snapshots prune`: delete old sessions, with an audit row."""

from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import TimeText, database_option, lock_option, opened
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.queries.filters.times import time_before


@command(
    short_help="Delete old sessions, with an audit row.",
    examples=["snapshots prune --before 2025-01-01 --dry-run", "snapshots prune --before 1y"],
)
@option(
    "--before",
    required=True,
    type=TimeText(),
    metavar="WHEN",
    section=Section.GENERAL,
    help="Sessions that ended before this time are deleted: a date or time in UTC, or before now, such as 1y.",
)
@option(
    "--dry-run",
    is_flag=True,
    section=Section.GENERAL,
    help="Report how many sessions would be deleted, and delete none.",
)
@database_option
@lock_option
@click.pass_obj
def prune(open_application: OpenApplication, /, before: str, *, dry_run: bool, **options: Any) -> None:
    """Delete the sessions that ended before a time, and record their number."""
    with opened(open_application, options) as application:
        try:
            moment = time_before(before).at(application.now())
        except OverflowError as exc:
            raise click.UsageError("--before is too long ago: use a date, or a shorter time") from exc
        pruned = application.changes.prune(moment, dry_run=dry_run)
    verb = "would be" if dry_run else "were"
    click.echo(f"{pruned.sessions:,} sessions with {pruned.events:,} events {verb} deleted.")
