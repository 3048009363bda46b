"""Rows as a table for a terminal, JSON, NDJSON or CSV."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from enum import Enum

import click
from rich.console import Console
from rich.text import Text

from snapshots.adapters.cli.output.fitted_table import Content, FittedColumn, fitted, print_fitted
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.feeds.json_text import plain
from snapshots.adapters.feeds.rows import Row, csv_lines, json_line

IDENTIFIERS = frozenset({"asn", "source_port"})
"""Columns of numbers without thousands separators."""


class Form(Enum):
    """The output formats of rows."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def print_rows(
    rows: Sequence[Row],
    form: Form,
    console: Console,
    names: Sequence[str],
    about: Row | None = None,
    *,
    full: bool = False,
) -> None:
    """
    Print rows with the same keys.

    Args:
        rows: The rows.
        form: The output format.
        console: The console for tables; all other formats are written to standard output.
        names: The keys.
        full: Whether a table shows everything in full, however wide.
        about: Values about all rows. JSON has them next to "rows", a table below it; other formats omit them.
    """
    if form is Form.TABLE:
        _print_table(console, rows, about or {}, full=full)
    elif form is Form.JSON:
        sys.stdout.write(json.dumps({**(about or {}), "rows": list(rows)}, indent=2, default=plain) + "\n")
    elif form is Form.NDJSON:
        sys.stdout.writelines(f"{json_line(names, row.values())}\n" for row in rows)
    else:
        sys.stdout.writelines(csv_lines((row.values() for row in rows), names))


LONGEST, LONGEST_FULL = 80, 10_000
"""Maximum number of characters of a value in a table, and with `--full`."""

TITLES = {"session_id": "session", "first_event_at": "time", "source_ip": "address"}
"""Headings of columns that have a shorter name than their key."""

HASHES = frozenset(
    {"hassh", "password", "password_hash", "commands", "command_signature", "ssh_key", "download", "download_hash"}
)
TEXTS = frozenset({"organization", "user", "client", "command", "url", "sensor", "source", "text"})
LEAST = ("share", "gap", "method", "user", "first seen", "last seen", "organization", "ip type", "inferred", "asof")
"""Columns that are left out if the terminal is too narrow, the least important one first."""


def _content_of(name: str, rows: Sequence[Row]) -> Content:
    if name in HASHES:
        return Content.HASH
    if name in TEXTS:
        return Content.TEXT
    if any(isinstance(row[name], datetime) for row in rows):
        return Content.TIME
    is_number = any(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
    return Content.NUMBER if is_number else Content.EXACT


def _print_table(console: Console, rows: Sequence[Row], about: Row, *, full: bool) -> None:
    if not rows:
        console.print("No sessions match.")
        return
    columns = [
        FittedColumn(
            TITLES.get(name, name.replace("_", " ")),
            _content_of(name, rows),
            [
                _shown(row[name], is_number=name not in IDENTIFIERS, longest=LONGEST_FULL if full else LONGEST)
                for row in rows
            ],
        )
        for name in rows[0]
    ]
    shown = columns if full else fitted(columns, console.width, least=LEAST)
    print_fitted(console, shown)
    titles = {column.title for column in shown}
    if any(column.content is Content.TEXT and column.shown_width < column.natural_width for column in shown):
        click.echo("Texts are shortened to fit; --full shows them whole.", err=True)
    if left_out := [column.title for column in columns if column.title not in titles and not column.is_empty]:
        click.echo(f"Left out to fit: {', '.join(left_out)}; --full shows all.", err=True)
    for name, value in about.items():
        if value not in (None, ""):
            console.print(Text(f"{name.replace('_', ' ')}: ") + _shown(value, is_number=True))


def _shown(value: object, *, is_number: bool, longest: int = LONGEST) -> Text:
    match value:
        case None:
            return Text("-")
        case bool() | str():
            text = str(value)
        case int():
            text = f"{value:,}" if is_number else str(value)
        case float():
            text = f"{value:.3f}"
        case _:
            text = str(value)[:19]  # strftime would write the year 1 as such
    return printable(text, longest)
