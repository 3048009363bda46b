"""`snapshots prune`: delete old sessions, with an audit row."""

from datetime import UTC, datetime
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import (
    database_option,
    lock_option,
    opened,
)
from snapshots.adapters.cli.services import OpenApplication


@command(
    short_help="Delete old sessions, with an audit row.",
    examples=["snapshots prune --before 2025-01-01 --dry-run", "snapshots prune --before 2025-01-01"],
)
@option(
    "--before",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    section=Section.GENERAL,
    help="First day that is retained.",
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
def prune(open_application: OpenApplication, /, before: datetime, *, dry_run: bool, **options: Any) -> None:
    """Delete the sessions that ended before a day (UTC), and record their number."""
    with opened(open_application, options) as application:
        pruned = application.changes.prune(before.replace(tzinfo=UTC), dry_run=dry_run)
    verb = "would be" if dry_run else "were"
    click.echo(f"{pruned.sessions:,} sessions with {pruned.events:,} events {verb} deleted.")
