"""Open a file, compressed or not, or a stream, and read its lines from a bookmark on."""

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import ClassVar, cast

from snapshots.adapters.cowrie.files.file_state import FileStates
from snapshots.adapters.cowrie.files.hints import hint_for
from snapshots.adapters.cowrie.files.layers import as_text, refuse_device
from snapshots.adapters.cowrie.files.line_reader import DEFAULT_LIMITS, LineReader, ReadLimits
from snapshots.adapters.cowrie.lines.byte_streams import (
    DAMAGED,
    LONGEST_BEGINNING,
    PrefixedStream,
    separator_of,
    standard_input,
)
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.json_to_lines import JsonLines, is_json_document
from snapshots.adapters.cowrie.lines.salvage import first_event_in
from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import HEAD_BYTES, BadLine, EventLines, Layout, LineOptions, LogEvent, Mark


class LogContent:
    """
    The lines of a file or a stream.

    A file is recognized by its head, the bytes up to the end of the first line that is an event, and by a hash of
    all bytes before each bookmark.

    Args:
        path: The file; None for standard input.
        decoder: Turns lines into events.
        is_named: Whether a user named the file itself, rather than a folder or a pattern.
        limits: Limits on memory.
        states: Returns the states of files; None for no state.
        known: Its head and the time of its first event; None to read them when they are needed.
    """

    may_be_json: ClassVar[bool] = True
    """Whether the content may be a JSON document rather than one event per line."""

    waits_for_newline: ClassVar[bool] = False
    """Whether a last line without a newline is left for the next reading, because it may still be written."""

    def __init__(
        self,
        path: Path | str | None,
        decoder: LineDecoder,
        *,
        is_named: bool = False,
        limits: ReadLimits = DEFAULT_LIMITS,
        states: FileStates | None = None,
        known: tuple[str, datetime | None] | None = None,
    ) -> None:
        self.is_named = is_named
        self._path = str(path) if path is not None else None
        self._decoder = decoder
        self._raw: BufferedIOBase | None = None
        self._is_file = False
        self._stream: BufferedIOBase | None = None
        self._separator = b"\n"
        self._limits = limits
        self._started: LineReader | None = None
        self._ended_at: Mark | None = None
        self._states = states
        self._state = ""
        self._known = known

    @property
    def name(self) -> str:
        """Return the path as it was given, with invalid UTF-8 escaped, or "-" for standard input."""
        if self._path is None:
            return "-"
        return self._path if self._path.isascii() else os.fsencode(self._path).decode("utf-8", "backslashreplace")

    @property
    def path(self) -> Path | None:
        """Return the file; None for standard input."""
        return Path(self._path) if self._path is not None else None

    @property
    def options(self) -> LineOptions:
        """Return how its lines are decoded."""
        return self._decoder.options

    @property
    def states(self) -> FileStates | None:
        """Return what returns the states of files; None for no state."""
        return self._states

    def rename(self, path: Path) -> None:
        """Change the path after the file was renamed."""
        self._path = str(path)

    @property
    def state(self) -> str:
        """Return a hash of the file's identity, size and times when it was opened; "" if it may change unnoticed."""
        return self._state

    @property
    def size(self) -> int | None:
        """Return the file's size in bytes; None for a stream."""
        status = self._status()
        return status.st_size if status is not None else None

    @property
    def modified_at(self) -> datetime | None:
        """Return the modification time in UTC; None for a stream, or if datetime cannot represent it."""
        status = self._status()
        try:
            return datetime.fromtimestamp(status.st_mtime, UTC) if status is not None else None
        except (OSError, OverflowError, ValueError):
            return None

    def _status(self) -> os.stat_result | None:
        """Return the status of a regular file; None for others, and if there is none."""
        if self._path is None:
            return None
        try:
            status = os.stat(self._path)  # noqa: PTH116 - a Path takes as long as the call
        except (OSError, ValueError):
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    @property
    def head(self) -> str:
        """Return a hash of the bytes up to the end of the first event; "" for a stream, or if there is none."""
        return self._first()[0]

    @property
    def first_event_at(self) -> datetime | None:
        """Return the time of the first line that is an event, if one is found near the beginning."""
        return self._first()[1]

    @property
    def hint(self) -> str:
        """Return which format a file without events seems to have, and what to do; "" if unknown."""
        return "" if self.head else hint_for(self._beginning())

    def _first(self) -> tuple[str, datetime | None]:
        """Return the head and the time of the first event."""
        if self._known is None:
            self._known = first_event_in(self._decoder, self._beginning())
        return self._known

    def _beginning(self) -> bytes:
        """Return the first bytes of a regular file, decompressed and unfolded."""
        if self._path is None or self._status() is None:
            return b""
        content = LogContent(self._path, self._decoder)  # this one may be in the middle of its lines
        beginning = b""
        try:
            stream = content._open()
            while len(beginning) < HEAD_BYTES and (chunk := stream.read1(HEAD_BYTES - len(beginning))):
                beginning += chunk
        except DAMAGED:
            pass  # the bytes before the damage are the beginning
        finally:
            content._close()
        return beginning

    def resume(self, marks: Sequence[Mark]) -> int:
        """Go to the last bookmark before which no byte has changed; return its offset, 0 if there is none."""
        self._close()  # it may have been read before
        if self._path is None:
            return 0
        stream = self._open()  # also without a bookmark, to raise LogUnreadable here rather than in lines()
        fitting = 0
        for mark in marks:
            self._reader.skip_to(stream, mark.offset)
            if self.mark() != mark:
                self._close()
                stream = self._open()
                self._reader.skip_to(stream, fitting)
                break
            fitting = mark.offset
        return self._reader.offset

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """Yield the events and bad lines; a damaged or unreadable end becomes a BadLine."""
        return cast("Iterator[LogEvent | BadLine]", self._parts(together=1))

    def parts(self) -> Iterator[LogEvent | EventLines | BadLine]:
        """Yield what `lines` yields, with the events of consecutive ordinary lines together."""
        return self._parts(together=self._limits.together)

    def _parts(self, *, together: int) -> Iterator[LogEvent | EventLines | BadLine]:
        stream = self._stream or self._open()
        try:
            yield from self._reader.parts(stream, self._separator, together=together)
        finally:
            self._close(keep_mark=True)

    def mark(self) -> Mark:
        """Return the bookmark after the last part that `lines` yielded."""
        return self._reader.mark() if self._started is not None or self._ended_at is None else self._ended_at

    def progress(self) -> int:
        """Return the number of bytes read: of the file, or of the decompressed content of a stream."""
        if self._raw is None:
            return self.size or self.mark().offset
        return self._raw.tell() if self._is_file else self._reader.offset

    def _open(self) -> BufferedIOBase:
        try:
            self._is_file = is_file = self._path is not None and refuse_device(self._path, self.name)
            raw = open(self._path, "rb") if self._path is not None else standard_input()  # noqa: PTH123, SIM115
            self._raw = raw if is_file else BufferedReader(PrefixedStream(raw, is_ours=self._path is not None))
            self._state = self._states.of(os.fstat(raw.fileno())) if is_file and self._states is not None else ""
            self._raw.peek(1)  # type: ignore[attr-defined]  # both are BufferedReader
        except OSError as exc:
            raise LogUnreadable(f"{self.name} cannot be read: {exc.strerror or exc}") from exc
        try:
            self._stream = as_text(cast(BufferedReader, self._raw), self.name)
        except LogUnreadable:
            self._close()
            raise
        beginning = self._peek(self._stream)
        self._separator = separator_of(beginning)
        if self.may_be_json and self._is_json(beginning):
            self._stream, self._separator = JsonLines(self._stream, self._limits.line), b"\n"
        return self._stream

    @staticmethod
    def _peek(stream: BufferedIOBase) -> bytes:
        try:
            return bytes(stream.peek(LONGEST_BEGINNING)[:LONGEST_BEGINNING])  # type: ignore[attr-defined]  # each has it
        except DAMAGED:
            return b""  # reported when it is read

    def _is_json(self, beginning: bytes) -> bool:
        if self._decoder.layout is not Layout.AUTO:
            return self._decoder.layout is Layout.JSON
        return is_json_document(beginning)

    @property
    def is_plain(self) -> bool:
        """Whether the file is uncompressed UTF-8 with one event per line."""
        try:
            return self._open() is self._raw
        finally:
            self._close()

    def _close(self, *, keep_mark: bool = False) -> None:
        if self._raw is not None and self._path is not None:
            self._raw.close()
        self._raw = self._stream = None
        self._ended_at = self._reader.mark() if keep_mark else None
        self._started = None

    @property
    def _reader(self) -> LineReader:
        """Return the reader, which is created when the content is read: there may be 100,000 contents."""
        if self._started is None:
            self._started = LineReader(self._decoder, self._limits, waits_for_newline=self.waits_for_newline)
        return self._started
