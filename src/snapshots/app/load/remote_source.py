"""Read contents in another process: what that process does, and the source that receives its blocks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from snapshots.app.load.batch import BatchSize
from snapshots.app.load.logged_session import PackedRecords, ReadSession
from snapshots.app.load.read_block import ReadBlock
from snapshots.app.ports.log_source import BadLine, EventLines, LogEvent, LogSource, Mark
from snapshots.domain.session.event_record import EventRecord
from snapshots.domain.session.session_totals import totals_of


class ReaderEnded(Exception):
    """The process that reads contents has ended."""


class LogReader(Protocol):
    """A process that reads contents one after the other, with a `BlockReader`."""

    def request(self, source: LogSource, marks: Sequence[Mark]) -> None:
        """Let the process read a content from the last of its bookmarks, after all that were requested before."""
        ...

    def blocks(self) -> Iterator[ReadBlock]:
        """
        Yield the blocks of the content that was requested first and not yet received.

        Raises:
            LogUnreadable: The content cannot be read at all.
            ReaderEnded: The process has ended.
        """
        ...


class RemoteSource:
    """
    A content that another process reads; this process reads the rest if that one ends.

    Args:
        local: The content.
        reader: The other process.
    """

    def __init__(self, local: LogSource, reader: LogReader) -> None:
        self._local = local
        self._reader = reader
        self._marks: Sequence[Mark] | None = None
        self._block: ReadBlock | None = None
        self._is_local = False
        self.name, self.is_named = local.name, local.is_named

    @property
    def head(self) -> str:
        """Return the hash of the head."""
        return self._local.head

    @property
    def state(self) -> str:
        """Return the hash of the state of the file as it was opened by the process that read its end."""
        return self._local.state if self._is_local or self._block is None else self._block.state

    @property
    def size(self) -> int | None:
        """Return the size of the file."""
        return self._local.size

    @property
    def modified_at(self) -> datetime | None:
        """Return the modification time of the file."""
        return self._local.modified_at

    @property
    def hint(self) -> str:
        """Return the likely format of a content without events."""
        return self._local.hint

    def resume(self, marks: Sequence[Mark]) -> int:
        """Let the other process seek to the last bookmark that fits and read on, unless it was called before."""
        if self._marks is None:
            self._marks = marks
            self._reader.request(self._local, marks)
        return 0

    def parts(self) -> Iterator[LogEvent | EventLines | BadLine | ReadBlock]:
        """Yield blocks, and the last line of the content if it is a bad line; without the other process, all lines."""
        try:
            for block in self._reader.blocks():
                self._block = block
                if block.events or block.bad_lines:
                    yield block
                if block.end is not None:
                    yield block.end
        except ReaderEnded:
            self._is_local = True
            self._local.resume([self._block.mark] if self._block is not None else self._marks or ())
            yield from self._local.parts()

    def mark(self) -> Mark:
        """Return the bookmark after the last block."""
        return self._local.mark() if self._is_local or self._block is None else self._block.mark

    def progress(self) -> int:
        """Return the number of bytes read."""
        return self._local.progress() if self._is_local or self._block is None else self._block.progress


class BlockReader:
    """
    Reads contents in blocks that fill batches as their lines would, except that each bad line counts as stored.

    Args:
        size: Limits of a batch.
    """

    def __init__(self, size: BatchSize) -> None:
        self._size = size
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._logged_ids = set[str]()
        self._lines = self._bytes = 0

    def blocks_of(self, source: LogSource) -> Iterator[ReadBlock]:
        """
        Read a content in blocks; the last one may be empty.

        Raises:
            LogUnreadable: The content cannot be read at all.
        """
        size, logged_ids, lines = self._size, self._logged_ids, self._lines
        pending: defaultdict[str, list[EventRecord]] = defaultdict(list)
        bad_lines: list[BadLine] = []
        part: LogEvent | EventLines | BadLine | None = None
        for part in source.parts():
            if isinstance(part, EventLines):
                for logged_id, record in zip(part.logged_ids, part.records, strict=True):
                    pending[logged_id].append(record)
                logged_ids.update(part.logged_ids)
                lines += len(part.records)
            elif isinstance(part, LogEvent):
                pending[part.logged_id].append(part.record)
                logged_ids.add(part.logged_id)
                lines += 1
            else:
                bad_lines.append(part)
                self._bytes += len(part.payload)
                lines += 1
            if len(logged_ids) >= size.sessions or lines >= size.lines or self._bytes >= size.bytes:
                yield _block(source, pending, bad_lines, part)
                self._begin_batch()
                pending, bad_lines, logged_ids, lines = defaultdict(list), [], self._logged_ids, 0
        self._lines = lines
        yield _block(source, pending, bad_lines, part)


def _block(
    source: LogSource,
    pending: Mapping[str, list[EventRecord]],
    bad_lines: list[BadLine],
    last: LogEvent | EventLines | BadLine | None,
) -> ReadBlock:
    end = bad_lines.pop() if bad_lines and isinstance(last, BadLine) else None
    packed = PackedRecords.pack(pending.values())
    sessions = [
        ReadSession(logged_id, totals_of(logged_id, records), number, packed)
        for number, (logged_id, records) in enumerate(pending.items())
    ]
    events = sum(map(len, pending.values()))
    return ReadBlock(sessions, packed, bad_lines, end, events, source.mark(), source.progress(), source.state)
