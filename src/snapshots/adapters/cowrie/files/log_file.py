"""Open a file, compressed or not, or a stream, and read its lines from a bookmark on."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import ClassVar, cast

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
from snapshots.app.ports.log_source import HEAD_BYTES, BadLine, Layout, LogEvent, Mark


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
    """

    may_be_json: ClassVar[bool] = True
    """Whether the content may be a JSON document rather than one event per line."""

    waits_for_newline: ClassVar[bool] = False
    """Whether a last line without a newline is left for the next reading, because it may still be written."""

    def __init__(
        self, path: Path | None, decoder: LineDecoder, *, is_named: bool = False, limits: ReadLimits = DEFAULT_LIMITS
    ) -> None:
        self.is_named = is_named
        self._path = path
        self._decoder = decoder
        self._raw: BufferedIOBase | None = None
        self._stream: BufferedIOBase | None = None
        self._separator = b"\n"
        self._limits = limits
        self._reader = LineReader(decoder, limits, waits_for_newline=self.waits_for_newline)

    @property
    def name(self) -> str:
        """Return the path as it was given, with invalid UTF-8 escaped, or "-" for standard input."""
        return os.fsencode(self._path).decode("utf-8", "backslashreplace") if self._path is not None else "-"

    @property
    def path(self) -> Path | None:
        """Return the file; None for standard input."""
        return self._path

    def rename(self, path: Path) -> None:
        """Change the path after the file was renamed."""
        self._path = path

    @property
    def size(self) -> int | None:
        """Return the file's size in bytes; None for a stream."""
        return self._path.stat().st_size if self._path is not None and self._path.is_file() else None

    @property
    def modified_at(self) -> datetime | None:
        """Return the modification time in UTC; None for a stream, or if datetime cannot represent it."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except (OSError, OverflowError, ValueError):
            return None

    @property
    def head(self) -> str:
        """Return a hash of the bytes up to the end of the first event; "" for a stream, or if there is none."""
        return self._beginning[0]

    @property
    def first_event_at(self) -> datetime | None:
        """Return the time of the first line that is an event, if one is found near the beginning."""
        return self._beginning[1]

    @property
    def hint(self) -> str:
        """Return which format a file without events seems to have, and what to do; "" if unknown."""
        return self._beginning[2]

    @cached_property
    def _beginning(self) -> tuple[str, datetime | None, str]:
        if self._path is None or not self._path.is_file():
            return "", None, ""
        content = LogContent(self._path, self._decoder)
        beginning = b""
        try:
            stream = content._open()
            while len(beginning) < HEAD_BYTES and (chunk := stream.read1(HEAD_BYTES - len(beginning))):
                beginning += chunk
        except DAMAGED:
            pass  # the bytes before the damage are the beginning
        finally:
            content._close()
        head, first_event_at = first_event_in(self._decoder, beginning)
        return head, first_event_at, "" if head else hint_for(beginning)

    def resume(self, marks: Sequence[Mark]) -> int:
        """Go to the last bookmark before which no byte has changed; return its offset, 0 if there is none."""
        self._close()  # it may have been read before
        fitting = self._last_fitting(marks)
        self._close()
        if self._path is not None:
            stream = self._open()  # also without a bookmark, to raise LogUnreadable here rather than in lines()
            self._reader.skip_to(stream, fitting.offset if fitting is not None else 0)
        return self._reader.offset

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """Yield the events and bad lines; a damaged or unreadable end becomes a BadLine."""
        stream = self._stream or self._open()
        try:
            yield from self._reader.lines(stream, self._separator)
        finally:
            self._close(keep_mark=True)

    def mark(self) -> Mark:
        """Return the bookmark after the last part that `lines` yielded."""
        return self._reader.mark()

    def progress(self) -> int:
        """Return the number of bytes read: of the file, or of the decompressed content of a stream."""
        if self._raw is None:
            return self.size or self._reader.offset
        return self._raw.tell() if self.size is not None else self._reader.offset

    def _open(self) -> BufferedIOBase:
        try:
            if self._path is not None:
                refuse_device(self._path, self.name)
            raw = self._path.open("rb") if self._path is not None else standard_input()
            self._raw = (
                raw if self.size is not None else BufferedReader(PrefixedStream(raw, is_ours=self._path is not None))
            )
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
        if not keep_mark:
            self._reader.rewind()

    def _last_fitting(self, marks: Sequence[Mark]) -> Mark | None:
        fitting = None
        if marks:
            stream = self._open()
            for mark in marks:
                self._reader.skip_to(stream, mark.offset)
                if self.mark() != mark:
                    break
                fitting = mark
        return fitting
