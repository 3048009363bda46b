"""`snapshots prune`: delete old sessions, with an audit row."""

from datetime import UTC, datetime
from typing import Any

import click

from snapshots.adapters.cli.options import (
    database_option,
    lock_option,
    opened,
)
from snapshots.adapters.cli.services import OpenApplication


@click.command(short_help="Delete old sessions, with an audit row.")
@database_option
@lock_option
@click.option(
    "--before", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The first day to keep."
)
@click.option("--dry-run", is_flag=True, help="Only say how many sessions it would delete.")
@click.pass_obj
def prune(open_application: OpenApplication, /, before: datetime, *, dry_run: bool, **options: Any) -> None:
    """Delete the sessions that ended before a day (UTC); how many they were stays on record."""
    with opened(open_application, options) as application:
        pruned = application.changes.prune(before.replace(tzinfo=UTC), dry_run=dry_run)
    said = "would be" if dry_run else "were"
    click.echo(f"{pruned.sessions:,} sessions with {pruned.events:,} events {said} deleted.")
