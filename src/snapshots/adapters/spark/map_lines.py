"""
The first step on the workers: lines become parts of sessions.

A worker reads parts of files, one after the other, and adds up what it reads of each session. What it cannot read, and
how many bytes each part of a file had, goes the same way; from these the driver tells where a line stands in its file.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import pyarrow as pa

from snapshots.adapters.spark.serialization import encoded, packed
from snapshots.app.load.batch import ReadSession
from snapshots.app.load.cluster import LineParser
from snapshots.app.load.dead_letters import RejectedLines
from snapshots.app.ports.log_source import BadLine, LogEvent
from snapshots.app.ports.logs import DeadLetter
from snapshots.domain.session.session import SessionAggregate

EVENTS = 100_000
"""How many events of a worker are in memory at a time."""

KEPT_BYTES = 64 * 1024 * 1024
"""Of how many bytes at most the lines are that are kept with them."""


class Kind(IntEnum):
    """What a row tells."""

    HELD = 0
    """A session that was stored before."""
    READ = 1
    """What was read of a session."""
    LETTER = 2
    """A line that could not be loaded."""
    PART = 3
    """A part of a file: its bytes, its events and its other lines."""


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
"""What `MapLines` yields; `key` is a session's id, `start` counts bytes from the beginning of the part."""

AS_SPARK = "kind tinyint, key string, path string, block bigint, start bigint, payload binary"

Folded = tuple[int, str | None, str | None, int | None, int | None, bytes]


class PartOfFile(NamedTuple):
    """
    A part of a file that one worker reads.

    Attributes:
        path: The file.
        block: Where in it the part begins, by the engine's count.
    """

    path: str
    block: int


class MapLines:
    """
    Adds up lines of parts of files.

    Args:
        lines: Tells what lines say.
    """

    def __init__(self, lines: LineParser) -> None:
        self._lines = lines

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Fold batches with the columns path, block and line; of one part all lines come in their order."""
        fold = _Fold(self._lines)
        for batch in batches:
            for path, block, line in zip(*(batch.column(at).to_pylist() for at in range(3)), strict=True):
                fold.take(PartOfFile(path, block), line)
            if fold.is_full:
                yield from fold.given()
        fold.end_part()
        yield from fold.given()


class _Fold:
    """What a worker read and did not pass on yet."""

    def __init__(self, lines: LineParser) -> None:
        self._lines = lines
        self._sessions: dict[str, ReadSession] = {}
        self._rows: list[Folded] = []
        self._events = self._bytes = 0
        self._part: PartOfFile | None = None
        self._offset = 0
        self._rejected = RejectedLines("")
        self._events_said = self._letters_said = 0

    @property
    def is_full(self) -> bool:
        return self._events >= EVENTS or self._bytes >= KEPT_BYTES

    def take(self, part: PartOfFile, line: bytes) -> None:
        if part != self._part:
            self.end_part()
            self._part, self._offset, self._rejected = part, 0, RejectedLines("")
            self._events_said = self._letters_said = 0
        start = self._offset
        self._offset += len(line) + 1
        for said in self._lines.parse(line, start):
            if isinstance(said, BadLine):
                self._letters_said += 1
                self._set_aside(self._rejected.letter_of(said))
            else:
                self._count(said)

    def _set_aside(self, letter: DeadLetter | None) -> None:
        if letter is not None and self._part is not None:
            text = packed([letter.reason.value, letter.payload])
            self._rows.append((Kind.LETTER, None, self._part.path, self._part.block, letter.offset, text))
            self._bytes += len(text)

    def _count(self, said: LogEvent) -> None:
        self._events_said += 1
        logged_id, event, text = said
        session = self._sessions.get(logged_id)
        if session is None:
            session = self._sessions[logged_id] = ReadSession(SessionAggregate.of(logged_id), {})
        session.aggregate.add(event)
        self._events += 1
        if text is not None:
            session.lines.setdefault(event.fingerprint, text)  # type: ignore[attr-defined]  # a dict of our own
            self._bytes += len(text)

    def end_part(self) -> None:
        if self._part is not None:
            path, block = self._part
            self._set_aside(self._rejected.rest())
            told = packed([self._events_said, self._letters_said])
            self._rows.append((Kind.PART, None, path, block, self._offset, told))

    def given(self) -> Iterator[pa.RecordBatch]:
        """Pass on what was read so far."""
        self._rows += [
            (Kind.READ, logged_id, None, None, None, encoded(session)) for logged_id, session in self._sessions.items()
        ]
        rows, self._rows, self._sessions, self._events, self._bytes = self._rows, [], {}, 0, 0
        for at in range(0, len(rows), 10_000):
            columns = zip(*rows[at : at + 10_000], strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, FOLDED, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=FOLDED)
