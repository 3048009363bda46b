"""Read the lines of a stream as events and bad lines, and track the position for bookmarks."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from io import BufferedIOBase

from snapshots.adapters.cowrie.lines.byte_streams import BLANK, CHUNK, DAMAGED, UnfinishedData
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.json_to_lines import JsonLines
from snapshots.adapters.cowrie.lines.salvage import LONGEST_LINE, LONGEST_PAYLOAD, is_whole, parts_of, parts_of_line
from snapshots.adapters.cowrie.lines.split_lines import JoinedLines, is_split, joined
from snapshots.app.ports.log_source import BadLine, EventLines, LogEvent, Mark, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """
    How much of a content is read at once, in bytes, except for `together`.

    Attributes:
        chunk: The size of one read.
        glued: A longer line is split at the ends of its events, because some archives contain no newline at all.
        line: A longer line, or a longer element of a JSON document, becomes a bad line.
        joined: How far the end of a line that a container runtime split is searched for.
        together: Lines that are decoded together; one odd line among them has all decoded one by one.
    """

    chunk: int = CHUNK
    glued: int = 2 * 1024 * 1024
    line: int = LONGEST_LINE
    joined: int = 1024 * 1024
    together: int = 64


DEFAULT_LIMITS = ReadLimits()

LEAST_TOGETHER = 16
"""Fewer lines are decoded in less time one by one."""


class LineReader:
    """
    Reads lines, and tracks the offset and the hash of all lines that it yielded.

    Args:
        decoder: Turns lines into events.
        limits: Limits on memory.
        waits_for_newline: Whether a last line without a newline is left for the next call, because it may still be
            written.
    """

    def __init__(self, decoder: LineDecoder, limits: ReadLimits, *, waits_for_newline: bool = False) -> None:
        self._decoder = decoder
        self._limits = limits
        self._waits_for_newline = waits_for_newline
        self._separator = b"\n"
        self._document: JsonLines | None = None
        self._damage: BadLine | None = None
        self.rewind()

    def rewind(self) -> None:
        """Set the position to the start of the content."""
        self._hash = blake2b(digest_size=16)
        self._buffer, self._buffer_at = b"", 0
        self.offset = 0
        """Bytes of the content, decompressed and unfolded, before the position."""

    def mark(self) -> Mark:
        """Return the bookmark of the position."""
        digest = self._hash.copy()
        digest.update(memoryview(self._buffer)[: self.offset - self._buffer_at])
        return Mark(self.offset, digest.hexdigest())

    def skip_to(self, stream: BufferedIOBase, offset: int) -> None:
        """Read up to *offset* or to the end, and keep only the hash."""
        while self.offset < offset:
            try:
                chunk = stream.read1(min(self._limits.chunk, offset - self.offset))
            except DAMAGED:
                return
            if not chunk:
                return
            self._hash.update(chunk)
            self.offset += len(chunk)
            self._buffer_at = self.offset

    def parts(
        self, stream: BufferedIOBase, separator: bytes, *, together: int
    ) -> Iterator[LogEvent | EventLines | BadLine]:
        """
        Yield the events and bad lines from the position on.

        Args:
            stream: The content, decompressed and unfolded, at the position.
            separator: The byte between two lines.
            together: Number of lines whose events come together if all are ordinary; 1 for one by one.
        """
        self._separator = separator
        self._document = stream if isinstance(stream, JsonLines) else None
        limits = self._limits
        rest: list[bytes] = [self._buffer]  # the chunks of an incomplete line, joined once when the line ends
        size = len(self._buffer)
        is_one = False  # whether the current line contains no complete event, however long it is
        while chunk := self._read(stream):
            rest.append(chunk)
            size += len(chunk)
            if separator not in chunk and size <= (limits.line if is_one else min(limits.glued, limits.line)):
                continue
            self._buffer = b"".join(rest)
            is_one = (yield from self._long_line(stream, is_one=is_one)) if separator not in chunk else False
            lines = self._buffer.split(separator)[:-1]
            done = 0
            while done < len(lines):
                begin, end = done, done + together
                group = lines[begin:end] if together > 1 else []
                if len(group) >= LEAST_TOGETHER and (events := self._decoder.decode_together(group)) is not None:
                    done = begin + len(group)
                    self.offset += sum(map(len, group)) + len(group)
                    yield events
                    continue
                done = yield from self._one_by_one(lines, begin, end)
                if done < min(end, len(lines)):
                    break
            used = self.offset - self._buffer_at
            self._hash.update(memoryview(self._buffer)[:used])
            self._buffer, self._buffer_at = self._buffer[used:], self.offset
            rest, size = [self._buffer], len(self._buffer)
        self._buffer = b"".join(rest)
        end = self.offset + len(self._buffer)
        if not self._waits_for_newline:
            yield from self._last(self._buffer)
        if self._damage is not None:
            yield replace(self._damage, offset=end)

    def _one_by_one(self, lines: Sequence[bytes], begin: int, end: int) -> Generator[LogEvent | BadLine, None, int]:
        """Consume lines to at least *end*; return the number of the next one, which is before *end* to read more."""
        decode = self._decoder.decode
        done = begin
        for number, line in enumerate(lines[begin:end], begin):
            if number < done:
                continue
            start = self.offset
            self.offset += len(line) + 1
            text = line.strip(BLANK)
            if not text:
                done = number + 1
                continue
            decoded = decode(text)
            if isinstance(decoded, LogEvent):
                done = number + 1
                yield decoded
                continue
            done = number + (yield from self._odd_lines(lines, number, decoded, start))
            if done == number:
                break
        return done

    def _read(self, stream: BufferedIOBase) -> bytes:
        """Return the next chunk; b"" at the end or at damage, which is stored."""
        self._damage = None
        try:
            return stream.read1(self._limits.chunk)
        except DAMAGED as exc:
            reason = Reason.UNFINISHED_FILE if isinstance(exc, UnfinishedData) else Reason.DAMAGED_FILE
            self._damage = BadLine(reason, str(exc).encode("utf-8", "replace"), self.offset)
            return b""

    def _long_line(self, stream: BufferedIOBase, *, is_one: bool) -> Generator[LogEvent | BadLine, None, bool]:
        """Consume the start of a line whose end was not read yet; return whether it has no complete event."""
        if not is_one:
            yield from self._glued()
        if self.offset > self._buffer_at:
            return False
        if len(self._buffer) <= self._limits.line:
            return True
        yield self._too_long()
        after = self._skip_line(stream, self._buffer)
        self._buffer, self._buffer_at = after, self.offset
        return False

    def _glued(self) -> Iterator[LogEvent | BadLine]:
        """Consume the events of a long line whose end was not read yet; set the bookmark after the last one."""
        line = self._buffer.strip(BLANK)
        end = self.offset + len(self._buffer)
        parts = list(parts_of(self._decoder, line, self.offset + self._buffer.index(line))) if line else []
        if parts and isinstance(last := parts[-1], BadLine):
            end = last.offset
            parts.pop()
        if any(isinstance(part, LogEvent) for part in parts):
            yield from parts
            self.offset = end

    def _too_long(self) -> BadLine:
        """Return the bad line for the current line; a block of NULs is not a line, and an event may follow it."""
        is_nul_block = not self._buffer.strip(b"\x00")
        reason = Reason.NUL_BLOCK if is_nul_block else Reason.TOO_LONG
        return BadLine(reason, self._buffer[:LONGEST_PAYLOAD], self.offset)

    def _skip_line(self, stream: BufferedIOBase, line: bytes) -> bytes:
        """Skip a line that is too long, or a block of NULs, and return the bytes that were read after it."""
        is_nul_block = not line.strip(b"\x00")
        while True:
            self._hash.update(line)
            self.offset += len(line)
            self._buffer, self._buffer_at = b"", self.offset
            try:
                line = stream.read1(self._limits.chunk)
            except DAMAGED:
                return b""
            if is_nul_block:
                after = line.lstrip(b"\x00")
                skipped = line[: len(line) - len(after)]
            else:
                head, separator, after = line.partition(self._separator)
                skipped = head + separator
            if after or not line or (not is_nul_block and skipped.endswith(self._separator)):
                self._hash.update(skipped)
                self.offset += len(skipped)
                return after

    def _odd_lines(
        self, lines: Sequence[bytes], number: int, reason: Reason, start: int
    ) -> Generator[LogEvent | BadLine, None, int]:
        """Consume a line that is not an event, with its continuation; return the number of lines, 0 to read more."""
        line = lines[number]
        if self._document is not None and self._document.is_too_long(start):
            yield BadLine(Reason.TOO_LONG, line, start)
            return 1
        if is_split(line):
            found = joined(lines, number)
            if found is not None:
                yield from self._joined(found, lines[number : number + found.record_count], start)
                return found.record_count
            if self._buffer_at + len(self._buffer) - start <= self._limits.joined:
                self.offset = start
                return 0
        text = line.strip(BLANK)
        yield from self._placed(parts_of_line(self._decoder, text, reason, start + line.index(text)), start)
        return 1

    def _joined(self, found: JoinedLines, lines: Sequence[bytes], start: int) -> Iterator[LogEvent | BadLine]:
        """Consume a split line, or its records as lines of their own if it is not an event when joined."""
        pieces = self._parts_of_each(found.texts, start)
        if not any(isinstance(piece, LogEvent) for piece in pieces):
            pieces = self._parts_of_each(lines, start)
        self.offset = start + sum(map(len, lines)) + len(lines)
        yield from self._placed(pieces, start)

    def _parts_of_each(self, lines: Sequence[bytes], start: int) -> Sequence[LogEvent | BadLine]:
        texts = (line.strip(BLANK) for line in lines)
        return [part for text in texts if text for part in parts_of(self._decoder, text, start)]

    def _placed(self, parts: Sequence[LogEvent | BadLine], start: int) -> Iterator[LogEvent | BadLine]:
        """Yield the parts of lines that begin at *start*; a bookmark set before the last part repeats all of them."""
        end = self.offset
        for at, part in enumerate(parts):
            self.offset = end if at == len(parts) - 1 else start
            yield part
        self.offset = end

    def _last(self, rest: bytes, /) -> Iterator[LogEvent | BadLine]:
        """Consume the complete events of a last line without a newline; leave the bookmark before the rest."""
        line = rest.strip(BLANK)
        if not line:
            return
        end = self.offset + len(rest)
        *parts, last = parts_of(self._decoder, line, self.offset + rest.index(line)) or (None,)
        yield from parts
        may_go_on = isinstance(last, BadLine) and not is_whole(line, last.reason)
        if isinstance(last, BadLine) and (may_go_on or is_split(line.partition(self._separator)[0])):
            last, end = replace(last, reason=Reason.UNFINISHED_LINE), last.offset
        self.offset = end
        if last is not None:
            yield last
