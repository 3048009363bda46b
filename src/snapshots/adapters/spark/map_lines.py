"""
The map step: decode lines, and aggregate the events of each session.

A worker reads parts of files one after the other. It also emits rejected lines, and the size of each part, from which
the driver computes the offsets of lines in their files.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import pyarrow as pa

from snapshots.adapters.spark.serialization import encoded, packed
from snapshots.app.load.cluster import LineParser
from snapshots.app.load.dead_letters import RejectedLines
from snapshots.app.ports.log_source import BadLine, LogEvent
from snapshots.app.ports.logs import DeadLetter
from snapshots.domain.session.session import SessionAggregate

MAX_EVENTS = 100_000
"""Maximum events in the memory of a worker."""

MAX_BYTES = 64 * 1024 * 1024
"""Maximum bytes of rejected lines in the memory of a worker."""


class Kind(IntEnum):
    """The kind of a row between the steps."""

    HELD = 0
    """A stored session."""
    READ = 1
    """Events that were read of a session."""
    DEAD_LETTER = 2
    """A rejected line."""
    PART = 3
    """The size of a file part, and its numbers of events and rejected lines."""


FOLDED = pa.schema(
    [
        ("kind", pa.int8()),
        ("key", pa.string()),
        ("path", pa.string()),
        ("block", pa.int64()),
        ("start", pa.int64()),
        ("payload", pa.binary()),
    ]
)
"""Schema of the rows; `key` is the id of a session, `start` an offset in bytes from the start of the part."""

AS_SPARK = "kind tinyint, key string, path string, block bigint, start bigint, payload binary"

Folded = tuple[int, str | None, str | None, int | None, int | None, bytes]


class PartOfFile(NamedTuple):
    """
    A part of a file, read by one worker.

    Attributes:
        path: The file.
        block: Start offset of the part, as the engine counts it.
    """

    path: str
    block: int


class MapLines:
    """
    Aggregates the lines of file parts.

    Args:
        lines: Decodes lines.
    """

    def __init__(self, lines: LineParser) -> None:
        self._lines = lines

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process batches with the columns path, block and line; the lines of a part come in order."""
        fold = _Fold(self._lines)
        for batch in batches:
            for path, block, line in zip(*(batch.column(at).to_pylist() for at in range(3)), strict=True):
                fold.take(PartOfFile(path, block), line)
            if fold.is_full:
                yield from fold.given()
        fold.end_part()
        yield from fold.given()


class _Fold:
    """Rows that were not emitted yet."""

    def __init__(self, lines: LineParser) -> None:
        self._lines = lines
        self._sessions: dict[str, SessionAggregate] = {}
        self._rows: list[Folded] = []
        self._events = self._bytes = 0
        self._part: PartOfFile | None = None
        self._offset = 0
        self._rejected = RejectedLines("")
        self._event_count = self._rejected_count = 0

    @property
    def is_full(self) -> bool:
        return self._events >= MAX_EVENTS or self._bytes >= MAX_BYTES

    def take(self, part: PartOfFile, line: bytes) -> None:
        if part != self._part:
            self.end_part()
            self._part, self._offset, self._rejected = part, 0, RejectedLines("")
            self._event_count = self._rejected_count = 0
        start = self._offset
        self._offset += len(line) + 1
        for item in self._lines.parse(line, start):
            if isinstance(item, BadLine):
                self._rejected_count += 1
                self._reject(self._rejected.dead_letter_of(item))
            else:
                self._count(item)

    def _reject(self, dead_letter: DeadLetter | None) -> None:
        if dead_letter is not None and self._part is not None:
            text = packed([dead_letter.reason.value, dead_letter.payload])
            self._rows.append((Kind.DEAD_LETTER, None, self._part.path, self._part.block, dead_letter.offset, text))
            self._bytes += len(text)

    def _count(self, found: LogEvent) -> None:
        self._event_count += 1
        session = self._sessions.get(found.logged_id)
        if session is None:
            session = self._sessions[found.logged_id] = SessionAggregate.of(found.logged_id)
        session.add(found.event)
        self._events += 1

    def end_part(self) -> None:
        if self._part is not None:
            path, block = self._part
            self._reject(self._rejected.rest())
            sizes = packed([self._event_count, self._rejected_count])
            self._rows.append((Kind.PART, None, path, block, self._offset, sizes))

    def given(self) -> Iterator[pa.RecordBatch]:
        """Emit all rows so far."""
        self._rows += [
            (Kind.READ, logged_id, None, None, None, encoded(session)) for logged_id, session in self._sessions.items()
        ]
        rows, self._rows, self._sessions, self._events, self._bytes = self._rows, [], {}, 0, 0
        for at in range(0, len(rows), 10_000):
            columns = zip(*rows[at : at + 10_000], strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, FOLDED, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=FOLDED)
