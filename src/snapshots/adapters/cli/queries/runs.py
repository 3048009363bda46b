"""`snapshots runs`: list the runs that wrote."""

from datetime import datetime
from typing import Any

import click
from rich.table import Table

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import (
    database_option,
    format_option,
    opened,
    stdout,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.ports.runs import RunRecord, RunState


@command(
    short_help="List runs with state and counts.", examples=["snapshots runs", "snapshots runs --top 100 --format json"]
)
@option(
    "--top",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="Number of runs.",
)
@format_option
@database_option
@click.pass_obj
def runs(open_application: OpenApplication, /, output: str, top: int, **options: Any) -> None:
    """List runs (loads, imports, backfills, undos), the newest first, with state and counts."""
    with opened(open_application, options) as application:
        found, now = application.runs(top), application.now()
    if output == "json":
        click.echo(to_json([json_documents.run_document(record, now) for record in found]))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("run", "kind", "state", "started (UTC)", "duration", "counts"):
        table.add_column(
            name, no_wrap=name == "run", min_width=len("20261129T171724-f9a6d1") if name == "run" else None
        )
    for record in found:
        counts = ", ".join(f"{name} {count:,}" for name, count in record.counts.items() if count)
        table.add_row(
            record.run,
            record.kind.value,
            record.state_at(now).value,
            f"{record.began_at:%Y-%m-%d %H:%M:%S}",
            _duration(record, now),
            printable(counts, 200),
        )
    stdout().print(table)


def _duration(record: RunRecord, now: datetime) -> str:
    until: datetime = record.ended_at or record.heartbeat_at
    duration = f"{(until - record.began_at).total_seconds():,.1f} s"
    return f"{duration}, so far" if record.state_at(now) is RunState.RUNNING else duration
