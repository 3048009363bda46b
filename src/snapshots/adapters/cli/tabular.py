"""Rows as a table for a terminal, JSON, NDJSON or CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapshots.adapters.cli.printable import printable
from snapshots.adapters.cli.shapes import plain

Row = Mapping[str, Any]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a text begins that a spreadsheet takes for a formula, or for the beginning of one."""


NUMBERED = frozenset({"asn", "source_port"})
"""Columns of numbers that count nothing."""


class Form(Enum):
    """In which form rows are printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def print_rows(rows: Sequence[Row], form: Form, console: Console, about: Row | None = None) -> None:
    """
    Print rows with the same keys.

    Args:
        rows: What to print.
        form: How.
        console: Where tables go; everything else goes to standard output as it is.
        about: What is said of all of them; in JSON beside "rows", below a table, and nowhere else.
    """
    if form is Form.TABLE:
        _print_table(console, rows, about or {})
    elif form is Form.JSON:
        sys.stdout.write(json.dumps({**(about or {}), "rows": list(rows)}, indent=2, default=plain) + "\n")
    else:
        write_lines(rows, form, sys.stdout)


def write_lines(rows: Iterable[Row], form: Form, to: TextIO) -> int:
    """Write rows with the same keys as NDJSON or CSV, one after the other, and return how many."""
    written = 0
    writer = csv.writer(to, lineterminator="\n")
    for row in rows:
        if form is Form.NDJSON:
            to.write(json.dumps(row, default=plain) + "\n")
        else:
            if not written:
                writer.writerow(row)
            writer.writerow([cell(value) for value in row.values()])
        written += 1
    return written


def cell(value: object) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula: a quote comes before what looks like one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else str(plain(value))
    return f"'{text}" if text.startswith(FORMULA) else text


def _print_table(console: Console, rows: Sequence[Row], about: Row) -> None:
    if not rows:
        console.print("No session is like that.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in rows[0].items():
        table.add_column(name.replace("_", " "), justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(_shown(value, is_number=name not in NUMBERED) for name, value in row.items()))
    console.print(table)
    for name, value in about.items():
        if value not in (None, ""):
            console.print(Text(f"{name.replace('_', ' ')}: ") + _shown(value, is_number=True))


def _shown(value: object, *, is_number: bool) -> Text:
    if value is None:
        return Text("-")
    show: Callable[[Any], str] = str
    if isinstance(value, float):
        show = "{:.3f}".format
    elif isinstance(value, int) and not isinstance(value, bool):
        show = "{:,}".format if is_number else str
    elif not isinstance(value, str | bool):
        show = lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}"  # noqa: E731 - as short as the others
    return printable(show(value), 60)
