"""`snapshots export`: write sessions with their snapshots for other programs."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Generic, TextIO, TypeVar

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, one_of, opened
from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.output.table import Form, write_lines
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.formats.abuseipdb import MAX_AGE, MAX_LINES, write_reports
from snapshots.adapters.feeds.formats.blocklist import RESEARCH_SCANNERS, AllowList, BlockList, Style
from snapshots.adapters.feeds.formats.ecs import ecs_lines
from snapshots.adapters.feeds.formats.parquet import write_parquet
from snapshots.adapters.feeds.formats.stix import StixWriter
from snapshots.adapters.feeds.session_columns import EXPORT_COLUMNS, export_values, flat_values
from snapshots.app.queries.address_activity import by_address_and_day
from snapshots.app.queries.paging import ACTIVITY_PAGE, every_address, every_line
from snapshots.app.queries.session_queries import SessionRow
from snapshots.app.wording import count_of

T = TypeVar("T")

PROGRESS_EVERY = 1000
"""Rows between two updates of the progress bar."""


class Target(Enum):
    """The formats of an export."""

    CSV = "csv"
    NDJSON = "ndjson"
    ECS = "ecs"
    PARQUET = "parquet"
    STIX = "stix"
    BLOCKLIST = "blocklist"
    ABUSEIPDB = "abuseipdb"


WITH_PASSWORDS = {Target.CSV, Target.NDJSON, Target.PARQUET}
"""Formats with the texts of passwords, if they are stored; such files are readable by their owner only."""


@command(
    short_help="Write sessions for other programs.",
    examples=[
        "snapshots export sessions.csv --since 30d",
        "snapshots export --format ecs --bulk --country CN | gzip > bulk.ndjson.gz",
        "snapshots export blocklist.nft --format blocklist --style nftables --min-sessions 10 --since 7d",
    ],
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False, readable=False), default="-")
@one_of(
    "--format",
    "target",
    kinds=Target,
    default=Target.CSV,
    section=Section.OUTPUT,
    help="Comma-separated, JSON lines, Elastic Common Schema, Parquet, STIX 2.1, addresses, or reports to AbuseIPDB.",
)
@option("--bulk", is_flag=True, section=Section.OUTPUT, help="With ecs: lines for Elasticsearch's _bulk API.")
@option(
    "--style",
    type=click.Choice([style.value for style in Style]),
    default=Style.PLAIN.value,
    show_default=True,
    section=Section.OUTPUT,
    help="With blocklist: addresses, the blocks that they fill, or a file for `nft -f` or `ipset restore`.",
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
@option(
    "--except",
    "allowed",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    section=Section.OUTPUT,
    help="With blocklist: leave out these addresses and CIDR blocks, one per line.",
)
@option(
    "--except-scanners",
    is_flag=True,
    section=Section.OUTPUT,
    help="With blocklist: leave out the networks of Censys and Shodan (bundled list).",
)
@option(
    "--allow-empty", is_flag=True, section=Section.OUTPUT, help="With blocklist: replace a list also by an empty one."
)
@filter_options
@database_option
@click.pass_obj
def export(
    open_application: OpenApplication,
    /,
    file: Path,
    target: str,
    *,
    bulk: bool,
    style: str,
    min_sessions: int,
    allowed: Path | None,
    except_scanners: bool,
    allow_empty: bool,
    **options: Any,
) -> None:
    """
    Write sessions with snapshot, provenance and what was done to FILE, or to standard output.

    The filters are those of `query`. A block list has every routable source address once. Reports to AbuseIPDB are of
    addresses that did more than connect, one per address and day. FILE is written atomically: after an error, it is
    unchanged. Files that may contain passwords are readable by their owner only.
    """
    form = Target(target)
    stderr = SafeConsole(stderr=True)
    _refuse_options_of_other_formats(
        form,
        {
            "--bulk": (Target.ECS, bulk),
            "--style": (Target.BLOCKLIST, Style(style) is not Style.PLAIN),
            "--min-sessions": (Target.BLOCKLIST, min_sessions > 1),
            "--except": (Target.BLOCKLIST, allowed is not None),
            "--except-scanners": (Target.BLOCKLIST, except_scanners),
            "--allow-empty": (Target.BLOCKLIST, allow_empty),
        },
    )
    if form is Target.PARQUET and str(file) == "-" and sys.stdout.isatty():
        raise click.UsageError("Parquet cannot be written to a terminal: name a FILE")
    allow_lists = [*([allowed] if allowed is not None else []), *([RESEARCH_SCANNERS] if except_scanners else [])]
    allow_list = AllowList.read(*allow_lists)
    with opened(open_application, {"db": options.pop("db")}) as application, CountBar(stderr, "Written") as bar:
        session_filter = filter_of(application, options)
        with opened_whole(file, is_private=form in WITH_PASSWORDS) as to:
            if form is Target.BLOCKLIST:
                addresses = every_address(application.session_queries, session_filter, at_least=min_sessions)
                read: _Counted[Any] = _Counted(addresses, bar)
                found = BlockList(read, allow_list)
                messages = _write_block_list(found, Style(style), to)
                is_refused = not found.count and not allow_empty and _has_content(file)
            else:
                lines = every_line(application.session_queries, session_filter, page=ACTIVITY_PAGE, with_activity=True)
                read, is_refused = _Counted(lines, bar), False
                messages = _write_sessions(read, form, to, application.now(), is_bulk=bulk)
            if not read.count:
                check_values(application, session_filter)
            if is_refused:
                raise click.ClickException(
                    f"no addresses match, so {file} was not replaced: use --allow-empty to write an empty list"
                )
    for message in messages:
        click.echo(message, err=True)


def _refuse_options_of_other_formats(form: Target, options: Mapping[str, tuple[Target, bool]]) -> None:
    for name, (only, is_given) in options.items():
        if is_given and form is not only:
            raise click.UsageError(f"{name} needs --format {only.value}")


def _has_content(file: Path) -> bool:
    return str(file) != "-" and file.is_file() and file.stat().st_size > 0


def _write_block_list(found: BlockList, style: Style, to: BinaryIO) -> list[str]:
    """Write a block list, and return messages for the user."""
    with _as_text(to) as text:
        for line in found.lines(style):
            text.write(f"{line}\n")
    removed = [f"{count_of(found.removed, 'address', 'addresses')} left out as allowed."] if found.removed else []
    return [*removed, f"{count_of(found.count, 'address', 'addresses')} written."]


def _write_sessions(
    lines: Iterable[SessionRow], form: Target, to: BinaryIO, now: datetime, *, is_bulk: bool
) -> list[str]:
    """Write sessions, and return messages for the user."""
    if form is Target.PARQUET:
        return [_written(write_parquet(lines, to))]
    with _as_text(to) as text:
        match form:
            case Target.STIX:
                writer = StixWriter()
                count = writer.write(lines, text)
                return [*_skipped(writer.skipped), _written(count)]
            case Target.ABUSEIPDB:
                return _write_reports(lines, text, now)
            case Target.ECS:
                return [_written(_write_each(ecs_lines(lines, is_bulk=is_bulk), text))]
            case Target.NDJSON:
                return [_written(write_lines(map(export_values, lines), Form.NDJSON, text, EXPORT_COLUMNS))]
            case _:
                return [_written(write_lines(map(flat_values, lines), Form.CSV, text, EXPORT_COLUMNS))]


def _write_reports(lines: Iterable[SessionRow], to: TextIO, now: datetime) -> list[str]:
    reported = write_reports(by_address_and_day(lines), to, now)
    warnings = []
    if reported.count > MAX_LINES:
        warnings.append(
            f"Warning: AbuseIPDB takes {MAX_LINES:,} reports in one file: split it, or export a shorter period"
        )
    if reported.old:
        warnings.append(
            f"Warning: {count_of(reported.old, 'attack')} more than {MAX_AGE.days} days ago,"
            f" which AbuseIPDB does not take: use --since {MAX_AGE.days}d"
        )
    return [*warnings, f"{count_of(reported.count, 'report')} written."]


def _skipped(count: int) -> list[str]:
    return [f"{count_of(count, 'session')} without an address or a time left out."] if count else []


def _written(count: int) -> str:
    return f"{count_of(count, 'session')} written."


def _write_each(lines: Iterable[str], to: TextIO) -> int:
    count = 0
    for line in lines:
        to.write(f"{line}\n")
        count += 1
    return count


@contextmanager
def _as_text(to: BinaryIO) -> Iterator[TextIO]:
    """Open a text stream on a binary one, and leave that open."""
    text = io.TextIOWrapper(to, encoding="utf-8", newline="")
    try:
        yield text
        text.flush()
    finally:
        with suppress(OSError):  # the error has been raised by flush
            text.detach()


class _Counted(Generic[T]):
    """Rows that are counted as they are read; the progress bar shows the count."""

    def __init__(self, found: Iterable[T], bar: Callable[[int], None]) -> None:
        self._found = found
        self._bar = bar
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        for each in self._found:
            yield each
            self.count += 1
            if self.count % PROGRESS_EVERY == 0:
                self._bar(self.count)
