"""Write rows as CSV, protected against formula injection, or as NDJSON."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from snapshots.adapters.feeds.json_text import plain
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.app.safe_text import escaped

Row = Mapping[str, Any]

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a formula in a spreadsheet; some spreadsheets also accept the full-width forms."""


def session_columns(line: SessionRow) -> dict[str, Any]:
    """Return a session as a row."""
    return dict(zip(SESSION_COLUMNS, line, strict=False))  # without what was done


def json_line(names: Iterable[str], values: Iterable[Any]) -> str:
    """Return a row as a JSON object on one line, without the end of the line."""
    return json.dumps(dict(zip(names, values, strict=True)), default=plain)


class _Returning:
    """A file for a CSV writer, which returns each line instead of storing it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def csv_lines(rows: Iterable[Iterable[Any]], names: Iterable[str]) -> Iterator[str]:
    """Yield a line with the names of the columns, then a line for each row."""
    writer = csv.writer(_Returning(), lineterminator="\n", quoting=csv.QUOTE_ALL)  # readers may use another separator
    yield writer.writerow(names)
    for row in rows:
        yield writer.writerow(
            [value if (kind := type(value)) in CSV_NATIVE else CELLS.get(kind, cell)(value) for value in row]
        )


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


CSV_NATIVE = frozenset({int, type(None)})
"""Types of values that a CSV writer formats as `cell` does."""

CELLS: Mapping[type, Callable[[Any], str]] = {str: _text_cell, datetime: datetime.isoformat}
"""Faster equivalents of `cell` for the types of most other values."""
