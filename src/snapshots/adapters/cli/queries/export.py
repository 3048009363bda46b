"""`snapshots export`: write sessions with their snapshots for other programs."""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, one_of, opened
from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.ecs import ecs_document
from snapshots.adapters.cli.output.json_text import plain
from snapshots.adapters.cli.output.parquet import write_parquet
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.output.table import Form, write_lines
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.app.queries.session_queries import SessionFilter, SessionRow, every_address, every_line

T = TypeVar("T")

PROGRESS_EVERY = 1000
"""Rows between two updates of the progress bar."""


class Target(Enum):
    """The formats of an export."""

    CSV = "csv"
    NDJSON = "ndjson"
    ECS = "ecs"
    PARQUET = "parquet"
    BLOCKLIST = "blocklist"


@command(
    short_help="Write sessions for other programs.",
    examples=[
        "snapshots export sessions.csv --since 30d",
        "snapshots export --format ecs --country CN | gzip > cn.ndjson.gz",
        "snapshots export blocklist.txt --format blocklist --min-sessions 10 --since 7d",
    ],
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False, readable=False), default="-")
@one_of(
    "--format",
    "target",
    kinds=Target,
    default=Target.CSV,
    section=Section.OUTPUT,
    help="Comma-separated, JSON lines, Elastic Common Schema, Parquet, or addresses only.",
)
@option(
    "--min-sessions",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="With blocklist: only addresses with at least this many sessions.",
)
@filter_options
@database_option
@click.pass_obj
def export(open_application: OpenApplication, /, file: Path, target: str, min_sessions: int, **options: Any) -> None:
    """
    Write sessions with snapshot and provenance to FILE, or to standard output.

    The filters are those of `query`. A block list has every routable source address once, in order. FILE is written
    atomically: after an error, it is unchanged.
    """
    form = Target(target)
    stderr = SafeConsole(stderr=True)
    if min_sessions > 1 and form is not Target.BLOCKLIST:
        raise click.UsageError("--min-sessions needs --format blocklist")
    if form is Target.PARQUET and str(file) == "-" and sys.stdout.isatty():
        raise click.UsageError("Parquet cannot be written to a terminal: name a FILE")
    with opened(open_application, {"db": options.pop("db")}) as application, CountBar(stderr, "Written") as bar:
        session_filter = filter_of(application, options)
        with opened_whole(file) as to:
            count = _write(application, session_filter, form, to, bar, at_least=min_sessions)
            if not count:
                check_values(application, session_filter)
    click.echo(f"{count:,} {'addresses' if form is Target.BLOCKLIST else 'sessions'} written.", err=True)


def _write(
    application: Application,
    session_filter: SessionFilter,
    form: Target,
    to: BinaryIO,
    bar: Callable[[int], None],
    *,
    at_least: int,
) -> int:
    lines = _counted(every_line(application.session_queries, session_filter), bar)
    if form is Target.PARQUET:
        return write_parquet(lines, to)
    text = io.TextIOWrapper(to, encoding="utf-8", newline="")
    try:
        if form is Target.BLOCKLIST:
            count = _print_lines(
                _counted(every_address(application.session_queries, session_filter, at_least=at_least), bar), text
            )
        elif form is Target.ECS:
            count = _print_lines((json.dumps(ecs_document(line), default=plain) for line in lines), text)
        else:
            count = write_lines(lines, Form(form.value), text, SessionRow._fields)
        text.flush()
        return count
    finally:
        with suppress(OSError):  # the error has been raised by flush
            text.detach()


def _print_lines(lines: Iterable[str], to: TextIO) -> int:
    count = 0
    for line in lines:
        to.write(f"{line}\n")
        count += 1
    return count


def _counted(found: Iterable[T], bar: Callable[[int], None]) -> Iterator[T]:
    """Yield everything, and report the count to the progress bar."""
    for count, each in enumerate(found, 1):
        yield each
        if count % PROGRESS_EVERY == 0:
            bar(count)
