"""`snapshots runs`: list the runs that wrote."""

from datetime import datetime
from typing import Any

import click
from rich.table import Table

from snapshots.adapters.cli.options import (
    database_option,
    format_option,
    opened,
    stdout,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.ports.runs import RunRecord, RunState


@click.command(short_help="List what was executed.")
@database_option
@format_option
@click.option("--top", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many runs.")
@click.pass_obj
def runs(open_application: OpenApplication, /, output: str, top: int, **options: Any) -> None:
    """List the runs that wrote, the newest first: what they did, and how they ended."""
    with opened(open_application, options) as application:
        found, now = application.runs(top), application.now()
    if output == "json":
        click.echo(json_documents.to_json([json_documents.run_document(record, now) for record in found]))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("run", "kind", "state", "began (UTC)", "lasted", "counts"):
        table.add_column(name)
    for record in found:
        counts = ", ".join(f"{name} {count:,}" for name, count in record.counts.items() if count)
        table.add_row(
            record.run,
            record.kind.value,
            record.state_at(now).value,
            f"{record.began_at:%Y-%m-%d %H:%M:%S}",
            _lasted(record, now),
            printable(counts, 200),
        )
    stdout().print(table)


def _lasted(record: RunRecord, now: datetime) -> str:
    until: datetime = record.ended_at or record.heartbeat_at
    lasted = f"{(until - record.began_at).total_seconds():,.1f} s"
    return f"{lasted}, so far" if record.state_at(now) is RunState.RUNNING else lasted
