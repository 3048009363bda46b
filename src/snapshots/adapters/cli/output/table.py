"""Rows as a table for a terminal, JSON, NDJSON or CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapshots.adapters.cli.output.json_documents import plain
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.queries.session_queries import SessionRow
from snapshots.app.safe_text import escaped

Row = Mapping[str, Any]

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a formula in a spreadsheet; some spreadsheets also accept the full-width forms."""


IDENTIFIERS = frozenset({"asn", "source_port"})
"""Columns of numbers without thousands separators."""


def session_columns(line: SessionRow) -> dict[str, Any]:
    """Return a session as a row."""
    return line._asdict()


class Form(Enum):
    """The output formats of rows."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def print_rows(
    rows: Sequence[Row], form: Form, console: Console, names: Sequence[str], about: Row | None = None
) -> None:
    """
    Print rows with the same keys.

    Args:
        rows: The rows.
        form: The output format.
        console: The console for tables; all other formats are written to standard output.
        names: The keys.
        about: Values about all rows. JSON has them next to "rows", a table below it; other formats omit them.
    """
    if form is Form.TABLE:
        _print_table(console, rows, about or {})
    elif form is Form.JSON:
        sys.stdout.write(json.dumps({**(about or {}), "rows": list(rows)}, indent=2, default=plain) + "\n")
    else:
        write_lines((row.values() for row in rows), form, sys.stdout, names)


def write_lines(rows: Iterable[Iterable[Any]], form: Form, to: TextIO, names: Sequence[str]) -> int:
    """Stream rows, given as the values of the keys *names*, as NDJSON or CSV; return how many were written."""
    written = 0
    writer = csv.writer(to, lineterminator="\n", quoting=csv.QUOTE_ALL)  # readers may use another separator
    if form is Form.CSV:
        writer.writerow(names)
    for row in rows:
        if form is Form.NDJSON:
            to.write(json.dumps(dict(zip(names, row, strict=True)), default=plain) + "\n")
        else:
            writer.writerow([CELLS.get(type(value), cell)(value) for value in row])
        written += 1
    return written


def cell(value: object) -> str:
    """
    Return a value as one line of text, protected against formula injection and terminal control characters.

    A text that a spreadsheet could take for a formula gets a leading apostrophe; control characters become escapes.
    """
    if isinstance(value, str):
        return _text_cell(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return _text_cell(str(plain(value)))


def _text_cell(text: str) -> str:
    if text.isprintable() and text[:1].isalnum():
        return text
    text = escaped(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _same(value: object) -> object:
    """Return a value that a CSV writer formats itself: a number, or None as an empty cell."""
    return value


CELLS: Mapping[type, Callable[[Any], object]] = {
    type(None): _same,
    int: _same,
    str: _text_cell,
    datetime: datetime.isoformat,
}
"""Faster equivalents of `cell` for the types of most values."""


def _print_table(console: Console, rows: Sequence[Row], about: Row) -> None:
    if not rows:
        console.print("No sessions match.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in rows[0]:
        has_numbers = any(isinstance(row[name], int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if has_numbers else "left")
    for row in rows:
        table.add_row(*(_shown(value, is_number=name not in IDENTIFIERS) for name, value in row.items()))
    console.print(table)
    for name, value in about.items():
        if value not in (None, ""):
            console.print(Text(f"{name.replace('_', ' ')}: ") + _shown(value, is_number=True))


def _shown(value: object, *, is_number: bool) -> Text:
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
    return printable(text, 60)
