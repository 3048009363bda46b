"""`snapshots export`: write sessions with their snapshots for other programs."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, opened
from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.export_format import Export, Format, FormatOption
from snapshots.adapters.feeds.export_formats import export_formats, options_of_formats


def _format_options(function: Decorated) -> Decorated:
    """Add the options that only some formats have."""
    for each, formats in reversed([*options_of_formats().items()]):
        function = _format_option(each, " or ".join(formats))(function)
    return function


def _format_option(declared: FormatOption, formats: str) -> Callable[[Decorated], Decorated]:
    kind: dict[str, Any]
    match declared.default:
        case bool():
            kind = {"is_flag": True}
        case int():
            kind = {"type": click.IntRange(1), "default": declared.default, "show_default": True, "metavar": "N"}
        case str():
            kind = {"type": click.Choice(declared.choices), "default": declared.default, "show_default": True}
        case None:
            kind = {"type": click.Path(path_type=Path, dir_okay=False), "metavar": "FILE"}
    help_text = f"With {formats}: {declared.help[0].lower()}{declared.help[1:]}"
    return option(f"--{declared.name}", _parameter(declared), section=Section.OUTPUT, help=help_text, **kind)


def _parameter(declared: FormatOption) -> str:
    """Return the name of the parameter that an option sets; no filter has such a name."""
    return f"format_{declared.name.replace('-', '_')}"


@command(
    short_help="Write sessions for other programs.",
    terms={"Formats": {each.name: each.description for each in export_formats().values()}},
    examples=[
        "snapshots export sessions.csv --since 30d",
        "snapshots export --format ecs --bulk --country CN | gzip > bulk.ndjson.gz",
        "snapshots export blocklist.nft --format blocklist --style nftables --min-sessions 10 --since 7d",
    ],
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False, readable=False), default="-")
@option(
    "--format",
    "name",
    type=click.Choice(list(export_formats())),
    default="csv",
    show_default=True,
    section=Section.OUTPUT,
    help="Format of the file: see below.",
)
@_format_options
@filter_options
@database_option
@click.pass_obj
def export(open_application: OpenApplication, /, file: Path, name: str, **options: Any) -> None:
    """
    Write sessions with snapshot, provenance and what was done to FILE, or to standard output.

    The filters are those of `query`. A block list has every routable source address once. Reports to AbuseIPDB are of
    addresses that did more than connect, one per address and day. FILE is written atomically: after an error, it is
    unchanged. Files that may contain passwords are readable by their owner only.
    """
    written = export_formats()[name]
    given = {each: options.pop(_parameter(each)) for each in options_of_formats()}
    _refuse_options_of_other_formats(written, given)
    if written.is_binary and str(file) == "-" and sys.stdout.isatty():
        raise click.UsageError(f"{name} cannot be written to a terminal: name a FILE")
    stderr = SafeConsole(stderr=True)
    with opened(open_application, {"db": options.pop("db")}) as application, CountBar(stderr, "Written") as bar:
        session_filter = filter_of(application, options)
        with opened_whole(file, is_private=not written.is_public) as to:
            found = Export(
                session_queries=application.session_queries,
                session_filter=session_filter,
                options={each.name: value for each, value in given.items()},
                now=application.now(),
                replaced=file if _has_content(file) else None,
                on_read=bar,
                on_empty=partial(check_values, application, session_filter),
            )
            messages = written.write(found, to)
    for message in messages:
        click.echo(message, err=True)


def _refuse_options_of_other_formats(written: Format, given: Mapping[FormatOption, Any]) -> None:
    for each, formats in options_of_formats().items():
        if given[each] != each.default and written.name not in formats:
            raise click.UsageError(f"--{each.name} needs --format {' or '.join(formats)}")


def _has_content(file: Path) -> bool:
    return str(file) != "-" and file.is_file() and file.stat().st_size > 0
