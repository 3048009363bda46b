"""The reduce step: merge the parts of sessions, and make the rows of stored sessions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, groupby, islice, takewhile
from typing import Any

import pyarrow as pa

from snapshots.adapters.spark.map_lines import Kind
from snapshots.adapters.spark.serialization import decoded, unpacked
from snapshots.app.load.cluster import Files, Row, RowsOfPart
from snapshots.domain.session.session import SessionAggregate

BATCH_ROWS = 2_000
"""Rows per Arrow batch."""

KINDS: Mapping[type, tuple[pa.DataType, str]] = {
    str: (pa.string(), "string"),
    int: (pa.int64(), "bigint"),
    bool: (pa.bool_(), "boolean"),
    bytes: (pa.binary(), "binary"),
    datetime: (pa.timestamp("us", tz="UTC"), "timestamp"),
}
"""Arrow and Spark types of the values of a column."""

Sent = Callable[[], Files]
"""Looks up distributed files on this machine."""


class SessionRows:
    """
    Makes the rows of a partition: stored sessions, merged with the sessions that were read.

    Args:
        rows_of: Merges the sessions.
        columns: Names and types of the columns.
        run: The run that writes.
        sent: Looks up distributed files.
    """

    def __init__(self, rows_of: RowsOfPart, columns: Mapping[str, type], run: str, sent: Sent) -> None:
        self._rows_of, self._columns, self._run, self._sent = rows_of, columns, run, sent

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Take batches with the columns kind, key and payload, sorted by kind and key: stored rows come first."""
        rows, following = _rows(batches), list[tuple[int, str, bytes]]()

        def is_held(row: tuple[int, str, bytes]) -> bool:
            if row[0] != Kind.HELD:
                following.append(row)
            return row[0] == Kind.HELD

        held: Iterator[Row] = (unpacked(payload) for _, _, payload in takewhile(is_held, rows))

        def rest() -> Iterator[tuple[int, str, bytes]]:  # evaluated after takewhile() consumed one row too many
            yield from chain(following, rows)

        schema = schema_of(self._columns)
        made = self._rows_of(self._run, held, _sessions(rest()), self._sent())
        while few := list(islice(made, BATCH_ROWS)):
            arrays = [pa.array([row[field.name] for row in few], field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def schema_of(columns: Mapping[str, type]) -> pa.Schema:
    """Return the Arrow schema of columns."""
    return pa.schema([(name, KINDS[kind][0]) for name, kind in columns.items()])


def as_spark(columns: Mapping[str, type]) -> str:
    """Return the Spark schema of columns."""
    return ", ".join(f"{name} {KINDS[kind][1]}" for name, kind in columns.items())


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, str, bytes]]:
    for batch in batches:
        columns: Sequence[list[Any]] = [batch.column(at).to_pylist() for at in range(3)]
        yield from zip(*columns, strict=True)


def _sessions(rows: Iterator[tuple[int, str, bytes]]) -> Iterator[SessionAggregate]:
    """Merge the adjacent parts of each session."""
    for logged_id, parts in groupby(rows, key=lambda row: row[1]):
        yield decoded(logged_id, *(payload for _, _, payload in parts))
