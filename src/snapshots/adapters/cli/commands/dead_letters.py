"""`snapshots dead-letters`: list, show and replay lines that could not be loaded."""

from typing import Any

import click
from rich.table import Table

from snapshots.adapters.cli.command import Section, group, option
from snapshots.adapters.cli.options import database_option, facts_options, format_option, lock_option, opened, stdout
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.sanitize import payload_text, printable
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.ports.log_source import Reason


@group(
    name="dead-letters",
    short_help="List, show and replay lines that could not be loaded.",
    examples=["snapshots dead-letters list", "snapshots dead-letters replay --dry-run"],
)
def dead_letters() -> None:
    """List, show and replay lines that could not be loaded."""


@dead_letters.command(
    "list",
    short_help="List dead letters.",
    examples=["snapshots dead-letters list --reason not_json --top 100"],
)
@option(
    "--reason",
    type=click.Choice([reason.value for reason in Reason]),
    section=Section.FILTERS,
    help="Only dead letters with this reason.",
)
@option(
    "--top",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="Number of dead letters.",
)
@format_option
@database_option
@click.pass_obj
def list_(open_application: OpenApplication, /, output: str, reason: str | None, top: int, **options: Any) -> None:
    """List lines that could not be loaded: file and offset, reason, and the start of the line."""
    with opened(open_application, options) as application:
        found = application.dead_letter_queue.first(limit=top, reason=Reason(reason) if reason else None)
    if output == "json":
        click.echo(to_json([json_documents.dead_letter_document(stored) for stored in found]))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("id", "reason", "where", "line"):
        table.add_column(name, no_wrap=True)
    for stored in found:
        dead_letter = stored.dead_letter
        table.add_row(
            dead_letter.identity[:12],
            dead_letter.reason.value,
            printable(f"{dead_letter.source}:{dead_letter.offset}", 50),
            printable(payload_text(dead_letter.payload), 60),
        )
    stdout().print(table)


@dead_letters.command(
    short_help="Show one dead letter.",
    examples=["snapshots dead-letters show 3f1a9c", "snapshots dead-letters show --raw 3f1a9c > line.json"],
)
@click.argument("identity", metavar="ID")
@option("--raw", is_flag=True, section=Section.OUTPUT, help="Write only the bytes of the line, unchanged.")
@database_option
@click.pass_obj
def show(open_application: OpenApplication, /, identity: str, *, raw: bool, **options: Any) -> None:
    """Show the line of one dead letter. A unique prefix of its ID is enough."""
    with opened(open_application, options) as application:
        stored = application.dead_letter_queue.find(identity)
    if raw:
        click.echo(stored.dead_letter.payload, nl=False)
        return
    click.echo(f"{stored.dead_letter.identity}: {stored.dead_letter.reason.value}")
    click.echo(f"{printable(stored.dead_letter.source, 400).plain}, byte offset {stored.dead_letter.offset:,}")
    click.echo(f"stored {stored.stored_at:%Y-%m-%d %H:%M:%S} (UTC) by {stored.run}")
    click.echo(printable(payload_text(stored.dead_letter.payload), 70_000).plain)


@dead_letters.command(
    short_help="Load dead letters that can be decoded now.",
    examples=["snapshots dead-letters replay --dry-run", "snapshots dead-letters replay"],
)
@option("--dry-run", is_flag=True, section=Section.GENERAL, help="Report how many can be decoded, and load none.")
@option(
    "--store-events",
    is_flag=True,
    section=Section.GENERAL,
    help="Also store the events as they were logged, as `load --store-events` does.",
)
@facts_options
@database_option
@lock_option
@click.pass_obj
def replay(open_application: OpenApplication, /, *, dry_run: bool, store_events: bool, **options: Any) -> None:
    """Load the dead letters that this version of the program can decode, and remove them from the table."""
    with opened(open_application, options) as application:
        report = application.dead_letter_queue.replay(dry_run=dry_run, keeps_lines=store_events)
    if dry_run:
        click.echo(f"{report.readable:,} of {report.dead_letters:,} dead letters can be decoded.")
        return
    click.echo(
        f"{report.readable:,} of {report.dead_letters:,} dead letters were loaded: {report.events:,} new events."
    )
