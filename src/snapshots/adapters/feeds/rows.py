"""Write rows as CSV, protected against formula injection, or as NDJSON."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from snapshots.adapters.feeds.json_text import plain
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.app.safe_text import escaped

Row = Mapping[str, Any]

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a formula in a spreadsheet; some spreadsheets also accept the full-width forms."""


def session_columns(line: SessionRow) -> dict[str, Any]:
    """Return a session as a row."""
    return dict(zip(SESSION_COLUMNS, line, strict=False))  # without what was done


def write_ndjson(rows: Iterable[Iterable[Any]], to: TextIO, names: Sequence[str]) -> int:
    """Stream rows, given as the values of the keys *names*, and return how many were written."""
    written = 0
    for row in rows:
        to.write(json.dumps(dict(zip(names, row, strict=True)), default=plain) + "\n")
        written += 1
    return written


def write_csv(rows: Iterable[Iterable[Any]], to: TextIO, names: Sequence[str] | None) -> int:
    """Stream rows after a line with the names of their values, if any; return how many rows were written."""
    written = 0
    writer = csv.writer(to, lineterminator="\n", quoting=csv.QUOTE_ALL)  # readers may use another separator
    if names is not None:
        writer.writerow(names)
    for row in rows:
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
