"""`snapshots dead-letters`: list, show and replay lines that are not events."""

from typing import Any

import click
from rich.table import Table

from snapshots.adapters.cli.options import database_option, facts_options, format_option, lock_option, opened, stdout
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.sanitize import payload_text, printable
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.ports.log_source import Reason


@click.group(name="dead-letters", short_help="Lines that could not be loaded: list, show, replay.")
def dead_letters() -> None:
    """List, show and load again the lines that are not events."""


@dead_letters.command("list", short_help="List them.")
@database_option
@format_option
@click.option("--reason", type=click.Choice([reason.value for reason in Reason]), help="Only those of this reason.")
@click.option("--top", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.pass_obj
def list_(open_application: OpenApplication, /, output: str, reason: str | None, top: int, **options: Any) -> None:
    """List lines that could not be loaded: where they stand, why, and how they begin."""
    with opened(open_application, options) as application:
        found = application.letters.letters(limit=top, reason=Reason(reason) if reason else None)
    if output == "json":
        click.echo(json_documents.to_json([json_documents.dead_letter_document(kept) for kept in found]))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("id", "reason", "where", "line"):
        table.add_column(name, no_wrap=True)
    for kept in found:
        letter = kept.letter
        table.add_row(
            letter.identity[:12],
            letter.reason.value,
            printable(f"{letter.source}:{letter.offset}", 50),
            printable(payload_text(letter.payload), 60),
        )
    stdout().print(table)


@dead_letters.command(short_help="Show one of them.")
@click.argument("letter", metavar="ID")
@database_option
@click.option("--raw", is_flag=True, help="Write the bytes of the line as they were, and nothing else.")
@click.pass_obj
def show(open_application: OpenApplication, /, letter: str, *, raw: bool, **options: Any) -> None:
    """Show the line of one letter; the beginning of its ID is enough."""
    with opened(open_application, options) as application:
        kept = application.letters.letter(letter)
    if raw:
        click.echo(kept.letter.payload, nl=False)
        return
    click.echo(f"{kept.letter.identity}: {kept.letter.reason.value}")
    click.echo(f"{printable(kept.letter.source, 400).plain}, from byte {kept.letter.offset:,} on")
    click.echo(f"stored {kept.stored_at:%Y-%m-%d %H:%M:%S} (UTC) by {kept.run}")
    click.echo(printable(payload_text(kept.letter.payload), 70_000).plain)


@dead_letters.command(short_help="Load those that can be read by now.")
@database_option
@lock_option
@facts_options
@click.option("--dry-run", is_flag=True, help="Only say how many can be read.")
@click.option("--store-events", is_flag=True, help="Keep those as they were logged, as `load --store-events` does.")
@click.pass_obj
def replay(open_application: OpenApplication, /, *, dry_run: bool, store_events: bool, **options: Any) -> None:
    """Load the lines that this version of the program can read; they are then no longer dead letters."""
    with opened(open_application, options) as application:
        report = application.letters.replay(dry_run=dry_run, keeps_lines=store_events)
    if dry_run:
        click.echo(f"{report.readable:,} of {report.letters:,} dead letters can be read.")
        return
    click.echo(f"{report.readable:,} of {report.letters:,} dead letters were read: {report.events:,} new events.")
