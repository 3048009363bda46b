"""`snapshots runs`: list the runs that wrote, and check whether one is running."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from rich.table import Table

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.exit_codes import ExitCode
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
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT, RunKind, RunRecord, RunState

SEARCHED = 1_000
"""Newest runs among which --require-running searches: one that follows logs may have begun long before others."""


@command(
    short_help="List runs with state and counts.",
    examples=[
        "snapshots runs",
        "snapshots runs --top 100 --format json",
        "snapshots runs --kind load --require-running",
    ],
)
@option(
    "--kind",
    "kinds",
    type=click.Choice([kind.value for kind in RunKind]),
    multiple=True,
    section=Section.GENERAL,
    help="Only runs of this kind. May be repeated.",
)
@option(
    "--require-running",
    is_flag=True,
    section=Section.GENERAL,
    help="Exit with code 3 unless one of these runs is running, with a heartbeat in the last"
    f" {HEARTBEAT_TIMEOUT.total_seconds() / 60:.0f} minutes.",
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
def runs(
    open_application: OpenApplication,
    /,
    kinds: tuple[str, ...],
    output: str,
    top: int,
    *,
    require_running: bool,
    **options: Any,
) -> None:
    """
    List runs (loads, imports, backfills, undos), the newest first, with state and counts.

    With --require-running, monitoring can see whether `load --follow` works: it records a heartbeat every minute while
    the database can be written.
    """
    which = [RunKind(kind) for kind in kinds] or list(RunKind)
    with opened(open_application, options) as application:
        found, now = application.runs(max(top, SEARCHED) if require_running else top, which), application.now()
    if output == "json":
        click.echo(to_json([json_documents.run_document(record, now) for record in found[:top]]))
    else:
        _show(found[:top], now)
    if require_running and not any(record.state_at(now) is RunState.RUNNING for record in found):
        click.echo(f"No {' or '.join(kinds) or 'run'} is running.", err=True)
        click.get_current_context().exit(ExitCode.CHECK_FAILED)


def _show(found: Sequence[RunRecord], now: datetime) -> None:
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
