"""The lines of one content: a file, compressed or not, or a stream."""

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import ClassVar, cast

from snapshots.adapters.cowrie.files.hints import hint_for
from snapshots.adapters.cowrie.files.layers import as_text, refuse_device
from snapshots.adapters.cowrie.lines.byte_streams import (
    BLANK,
    CHUNK,
    DAMAGED,
    LONGEST_BEGINNING,
    PrefixedStream,
    UnfinishedData,
    separator_of,
    standard_input,
)
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.json_to_lines import JsonLines, is_json_document
from snapshots.adapters.cowrie.lines.salvage import (
    HEAD,
    LONGEST_LINE,
    LONGEST_PAYLOAD,
    first_event_in,
    is_whole,
    parts_of,
    parts_of_line,
)
from snapshots.adapters.cowrie.lines.split_lines import LONGEST_JOINED, JoinedLines, is_split, joined
from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import BadLine, Layout, LogEvent, Mark, Reason

LONGEST_GLUED = 2 * 1024 * 1024
"""A longer line is split at the ends of its events, because some archives contain no newline at all."""


class LogContent:
    """
    The lines of a file or a stream.

    A file is recognised by its head, the bytes up to the end of the first line that is an event, and by a hash of
    everything before each bookmark.

    Args:
        path: The file; None for standard input.
        decoder: Turns lines into events.
        is_named: Whether a user named the file itself, rather than a folder or a pattern.
    """

    may_be_json: ClassVar[bool] = True
    """Whether its events may stand otherwise than one in a line."""

    def __init__(self, path: Path | None, decoder: LineDecoder, *, is_named: bool = False) -> None:
        self.is_named = is_named
        self._path = path
        self._decoder = decoder
        self._raw: BufferedIOBase | None = None
        self._stream: BufferedIOBase | None = None
        self._hash = blake2b(digest_size=16)
        self._buffer = b""
        self._buffer_at = 0
        self._separator = b"\n"
        self._offset = 0
        self._damage: BadLine | None = None

    @property
    def name(self) -> str:
        """Return the path as it was given, with what is no UTF-8 in it escaped, or "-"."""
        return os.fsencode(self._path).decode("utf-8", "backslashreplace") if self._path is not None else "-"

    @property
    def path(self) -> Path | None:
        """Return the file; None for standard input."""
        return self._path

    def rename(self, path: Path) -> None:
        """Call the file by another name."""
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
            while len(beginning) < HEAD and (chunk := stream.read1(HEAD - len(beginning))):
                beginning += chunk
        except DAMAGED:
            pass  # what could be read before the damage is the beginning
        finally:
            content._close()
        head, first_event_at = first_event_in(self._decoder, beginning)
        return head, first_event_at, "" if head else hint_for(beginning)

    def resume(self, marks: Sequence[Mark]) -> int:
        """Go to the last mark before which every byte is as it was."""
        self._close()  # it may have been read before
        fitting = self._last_fitting(marks)
        self._close()
        if self._path is not None:
            stream = self._open()  # also without a mark: whether it can be read is told now
            self._skip(stream, fitting.offset if fitting is not None else 0)
        return self._offset

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """Yield what every line says; a damaged or unreadable end becomes a BadLine."""
        stream = self._stream or self._open()
        try:
            yield from self._lines(stream)
        finally:
            self._close(keep_mark=True)

    def mark(self) -> Mark:
        """Return the mark behind what was yielded."""
        digest = self._hash.copy()
        digest.update(memoryview(self._buffer)[: self._offset - self._buffer_at])
        return Mark(self._offset, digest.hexdigest())

    def progress(self) -> int:
        """Return how many bytes of the file were read; of a stream, how many of its content."""
        if self._raw is None:
            return self.size or self._offset
        return self._raw.tell() if self.size is not None else self._offset

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
        if self.may_be_json and self._must_be_unfolded(beginning):
            self._stream, self._separator = JsonLines(self._stream, LONGEST_LINE), b"\n"
        return self._stream

    @staticmethod
    def _peek(stream: BufferedIOBase) -> bytes:
        try:
            return bytes(stream.peek(LONGEST_BEGINNING)[:LONGEST_BEGINNING])  # type: ignore[attr-defined]  # each has it
        except DAMAGED:
            return b""  # reported when it is read

    def _must_be_unfolded(self, beginning: bytes) -> bool:
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
            self._begin()

    def _begin(self) -> None:
        """Be at the beginning of the content."""
        self._hash = blake2b(digest_size=16)
        self._buffer, self._buffer_at, self._offset = b"", 0, 0

    def _last_fitting(self, marks: Sequence[Mark]) -> Mark | None:
        fitting = None
        if marks:
            stream = self._open()
            for mark in marks:
                self._skip(stream, mark.offset)
                if self.mark() != mark:
                    break
                fitting = mark
        return fitting

    def _skip(self, stream: BufferedIOBase, offset: int) -> None:
        """Read up to *offset*, or to the end, and remember only the hash."""
        while self._offset < offset:
            try:
                chunk = stream.read1(min(CHUNK, offset - self._offset))
            except DAMAGED:
                return
            if not chunk:
                return
            self._hash.update(chunk)
            self._offset += len(chunk)
            self._buffer_at = self._offset

    def _lines(self, stream: BufferedIOBase) -> Iterator[LogEvent | BadLine]:
        decode, separator = self._decoder.decode, self._separator
        rest: list[bytes] = [self._buffer]  # the beginning of a line, as it came; joined once, when the line ends
        size = len(self._buffer)
        is_one = False  # whether the current line contains no complete event, however long it is
        while chunk := self._read(stream):
            rest.append(chunk)
            size += len(chunk)
            if separator not in chunk and size <= (LONGEST_LINE if is_one else min(LONGEST_GLUED, LONGEST_LINE)):
                continue
            self._buffer = b"".join(rest)
            is_one = (yield from self._long_line(stream, is_one)) if separator not in chunk else False
            lines = self._buffer.split(separator)[:-1]
            done = 0
            for number, line in enumerate(lines):
                if number < done:
                    continue
                start = self._offset
                self._offset += len(line) + 1
                text = line.strip(BLANK)
                if not text:
                    continue
                said = decode(text)
                if isinstance(said, LogEvent):
                    yield said
                    continue
                done = number + (yield from self._odd_lines(lines, number, said, start))
                if done == number:
                    break
            used = self._offset - self._buffer_at
            self._hash.update(memoryview(self._buffer)[:used])
            self._buffer, self._buffer_at = self._buffer[used:], self._offset
            rest, size = [self._buffer], len(self._buffer)
        self._buffer = b"".join(rest)
        end = self._offset + len(self._buffer)
        yield from self._last(self._buffer)
        if self._damage is not None:
            yield replace(self._damage, offset=end)

    def _read(self, stream: BufferedIOBase) -> bytes:
        """Return the next bytes; none at the end or at damage, which is remembered."""
        self._damage = None
        try:
            return stream.read1(CHUNK)
        except DAMAGED as exc:
            reason = Reason.UNFINISHED_FILE if isinstance(exc, UnfinishedData) else Reason.DAMAGED_FILE
            self._damage = BadLine(reason, str(exc).encode("utf-8", "replace"), self._offset)
            return b""

    def _long_line(self, stream: BufferedIOBase, is_one: bool) -> Generator[LogEvent | BadLine, None, bool]:  # noqa: FBT001
        """Consume the beginning of a line whose end was not read yet; return whether it has no complete event."""
        if not is_one:
            yield from self._glued()
        if self._offset > self._buffer_at:
            return False
        if len(self._buffer) <= LONGEST_LINE:
            return True
        yield self._too_long()
        after = self._skip_line(stream, self._buffer)
        self._buffer, self._buffer_at = after, self._offset
        return False

    def _glued(self) -> Iterator[LogEvent | BadLine]:
        """Consume the events of a long line whose end was not read yet; set the bookmark after the last one."""
        line = self._buffer.strip(BLANK)
        end = self._offset + len(self._buffer)
        parts = list(parts_of(self._decoder, line, self._offset + self._buffer.index(line))) if line else []
        if parts and isinstance(last := parts[-1], BadLine):
            end = last.offset
            parts.pop()
        if any(isinstance(part, LogEvent) for part in parts):
            yield from parts
            self._offset = end

    def _too_long(self) -> BadLine:
        """Say what is wrong with the line in hand; a hole of NULs is no line, and an event may stand behind it."""
        is_hole = not self._buffer.strip(b"\x00")
        reason = Reason.NUL_BLOCK if is_hole else Reason.TOO_LONG
        return BadLine(reason, self._buffer[:LONGEST_PAYLOAD], self._offset)

    def _skip_line(self, stream: BufferedIOBase, line: bytes) -> bytes:
        """Pass over a line that is too long, and return what follows it; of a hole, pass over the NULs."""
        is_hole = not line.strip(b"\x00")
        while True:
            self._hash.update(line)
            self._offset += len(line)
            self._buffer, self._buffer_at = b"", self._offset
            try:
                line = stream.read1(CHUNK)
            except DAMAGED:
                return b""
            if is_hole:
                after = line.lstrip(b"\x00")
                passed = line[: len(line) - len(after)]
            else:
                head, separator, after = line.partition(self._separator)
                passed = head + separator
            if after or not line or (not is_hole and passed.endswith(self._separator)):
                self._hash.update(passed)
                self._offset += len(passed)
                return after

    def _odd_lines(
        self, lines: Sequence[bytes], number: int, reason: Reason, start: int
    ) -> Generator[LogEvent | BadLine, None, int]:
        """Consume a line that is no event, with those that continue it; return how many, 0 if its end is to come."""
        line = lines[number]
        if is_split(line):
            found = joined(lines, number)
            if found is not None:
                yield from self._joined(found, lines[number : number + found.record_count], start)
                return found.record_count
            if self._buffer_at + len(self._buffer) - start <= LONGEST_JOINED:
                self._offset = start
                return 0
        yield from self._odd(line.strip(BLANK), reason, start)
        return 1

    def _joined(self, found: JoinedLines, lines: Sequence[bytes], start: int) -> Iterator[LogEvent | BadLine]:
        """Consume a split line, or its parts as lines of their own if it is no event when joined."""
        pieces = self._parts_of_each(found.texts, start)
        if not any(isinstance(piece, LogEvent) for piece in pieces):
            pieces = self._parts_of_each(lines, start)
        end = start + sum(map(len, lines)) + len(lines)
        for at, piece in enumerate(pieces):
            self._offset = end if at == len(pieces) - 1 else start
            yield piece
        self._offset = end

    def _parts_of_each(self, lines: Sequence[bytes], start: int) -> Sequence[LogEvent | BadLine]:
        texts = (line.strip(BLANK) for line in lines)
        return [part for text in texts if text for part in parts_of(self._decoder, text, start)]

    def _odd(self, line: bytes, reason: Reason, start: int) -> Iterator[LogEvent | BadLine]:
        """Take the event out of what a loss of power or an editor left around it."""
        pieces, end = parts_of_line(self._decoder, line, reason, start), self._offset
        for at, piece in enumerate(pieces):
            # A mark that is set now must not pass over an event that follows.
            self._offset = end if at == len(pieces) - 1 else start
            yield piece

    def _last(self, rest: bytes, /) -> Iterator[LogEvent | BadLine]:
        """Consume the complete events of a last line without a newline; leave the bookmark before the rest."""
        line = rest.strip(BLANK)
        if not line:
            return
        end = self._offset + len(rest)
        *parts, last = parts_of(self._decoder, line, self._offset + rest.index(line)) or (None,)
        yield from parts
        may_go_on = isinstance(last, BadLine) and not is_whole(line, last.reason)
        if isinstance(last, BadLine) and (may_go_on or is_split(line.partition(self._separator)[0])):
            last, end = replace(last, reason=Reason.UNFINISHED_LINE), last.offset
        self._offset = end
        if last is not None:
            yield last
