"""Contents that are read while they are still written."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BufferedIOBase
from pathlib import Path

from snapshots.adapters.cowrie.files.layers import Identity
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.salvage import first_event_in
from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import HEAD_BYTES, BadLine, EventLines, LogEvent, Mark


class WaitingContent(LogContent):
    """A JSON document that may still be written; an incomplete last event is left for the next reading."""

    waits_for_newline = True


class GrowingContent(LogContent):
    """
    The lines of a plain file that stays open between readings, also after it was renamed or deleted.

    A last line without a newline is left for the next reading, because it is still being written.

    Args:
        path: The file.
        decoder: Turns lines into events.
        identity: Its device and inode, to detect another file of the same name.
    """

    may_be_json = False
    waits_for_newline = True

    def __init__(self, path: Path, decoder: LineDecoder, identity: Identity) -> None:
        super().__init__(path, decoder)
        self.identity = identity
        self.stays_open = True
        self._is_placed = False

    @property
    def size_now(self) -> int:
        """Return the current size of the open file in bytes; 0 if it is closed."""
        return os.fstat(self._descriptor).st_size if self.is_open else 0

    def resume(self, marks: Sequence[Mark]) -> int:
        """Go to the last bookmark that fits if the file was just opened; otherwise stay where reading ended."""
        if self._is_placed:
            return self._reader.offset
        stream = self._opened()
        self._reader.rewind()
        fitting = 0
        for mark in marks:
            self._reader.skip_to(stream, mark.offset)
            if self.mark() != mark:
                break
            fitting = mark.offset
        stream.seek(0)
        self._reader.rewind()
        self._reader.skip_to(stream, fitting)
        self._is_placed = True
        return self._reader.offset

    def _parts(self, *, together: int) -> Iterator[LogEvent | EventLines | BadLine]:
        """Yield the events and bad lines of the complete lines added since the last reading."""
        stream = self._opened()
        yield from self._reader.parts(stream, self._separator, together=together)
        if not self.stays_open:
            self._close(keep_mark=True)
            self._is_placed = False

    def rewind(self) -> None:
        """Read again from the bookmarks next time; the file stays open, because it may have no name any more."""
        if self._stream is not None:
            self._stream.seek(0)
        self._reader.rewind()
        self._is_placed = False

    @property
    def is_open(self) -> bool:
        """Whether the file is open, and so readable without its name."""
        return self._stream is not None

    def close(self) -> None:
        """Close the file; the next reading begins at a bookmark."""
        self._close()
        self._is_placed = False

    def _first(self) -> tuple[str, datetime | None]:
        """Return the head and the time of the first event, as soon as there is one."""
        if self._known is None or not self._known[0]:
            was_open = self._stream is not None
            self._known = first_event_in(self._decoder, os.pread(self._descriptor, HEAD_BYTES, 0))
            if not was_open:
                self.close()
        return self._known

    @property
    def _descriptor(self) -> int:
        return self._opened().fileno()

    def _opened(self) -> BufferedIOBase:
        if self._stream is not None:
            return self._stream
        stream = self._open()
        status = os.fstat(stream.fileno())
        if (status.st_dev, status.st_ino) != self.identity:
            self._close()
            raise LogUnreadable(f"{self.name} was replaced by another file")
        return stream
