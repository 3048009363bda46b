"""Sessions as comma-separated values."""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from snapshots.adapters.feeds.export_format import Export, Format, sessions_written, text_stream
from snapshots.adapters.feeds.rows import csv_lines
from snapshots.adapters.feeds.session_columns import EXPORT_COLUMNS, flat_values
from snapshots.app.queries.session_queries import SessionRow


def csv_texts(sessions: Iterable[SessionRow]) -> Iterator[str]:
    """Yield a line with the names of the columns, then a line for each session."""
    return csv_lines(map(flat_values, sessions), EXPORT_COLUMNS)


def _write(export: Export, to: BinaryIO) -> Sequence[str]:
    with text_stream(to) as text:
        text.writelines(csv_texts(export.sessions()))
    return [sessions_written(export.count)]


FORMAT = Format(name="csv", summary="Comma-separated values, one row for each session.", write=_write)
