"""Streams of bytes from files and pipes."""

import sys
from collections.abc import Iterator
from io import BufferedIOBase, RawIOBase
from typing import TYPE_CHECKING, cast

from snapshots.app.errors import SourceUnreadable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class DamagedData(ValueError):
    """Compressed data is truncated or corrupt; everything before the damage was read."""


class UnfinishedData(DamagedData):
    """Compressed data is truncated, such as while it is still being written."""


DAMAGED: tuple[type[Exception], ...] = (OSError, DamagedData)
"""Errors of reading a failing disk, or truncated or corrupt compressed data."""

CHUNK = 1024 * 1024
BLANK = b" \t\r\n\x0b\x0c"
BOM = b"\xef\xbb\xbf"
"""The byte order mark, which some editors write at the start of a file."""

LONGEST_BEGINNING = 8192
"""Bytes that suffice to detect the format of a content."""


def separator_of(beginning: bytes) -> bytes:
    """Return the line separator of a content: a newline, or the carriage return or record separator used instead."""
    text = beginning[: LONGEST_BEGINNING - 1]
    return next((sign for sign in (b"\n", b"\r", b"\x1e") if sign in text[1:-1]), b"\n")


class PeekableStream(BufferedIOBase):
    """
    A stream of generated pieces that supports `peek`.

    Args:
        pieces: The content; empty pieces are skipped. If it raises one of `DAMAGED`, every later read raises the same
            error.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._ready = b""
        self._damage: Exception | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def peek(self, _size: int = 0, /) -> bytes:
        """Return some bytes without consuming them; b"" at the end."""
        if self._damage is not None and not self._ready:
            raise self._damage
        while not self._ready:
            try:
                self._ready = next(self._pieces)
            except StopIteration:
                break
            except DAMAGED as error:
                self._damage = error
                raise
        return self._ready

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, at most *size*; b"" at the end."""
        ready = self.peek()
        size = len(ready) if size < 0 else size
        self._ready = ready[size:]
        return ready[:size]


class PrefixedStream(RawIOBase):
    """
    A stream whose first read returns a whole line or `LONGEST_BEGINNING` bytes, however small the writes to a pipe are.

    Args:
        stream: The stream to read.
        is_ours: Whether `close` closes it too.
    """

    def __init__(self, stream: BufferedIOBase, *, is_ours: bool) -> None:
        self._stream = stream
        self._is_ours = is_ours
        self._beginning: bytes | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the stream, unless its owner is another object."""
        super().close()
        if self._is_ours:
            self._stream.close()

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read some bytes into a buffer, and return their number; 0 at the end."""
        target = memoryview(buffer)
        if self._beginning is None:
            self._beginning = self._read_beginning()
        taken = self._beginning[: len(target)] or self._stream.read1(len(target))
        self._beginning = self._beginning[len(target) :]
        target[: len(taken)] = taken
        return len(taken)

    def _read_beginning(self) -> bytes:
        """Read a line, or enough bytes to detect the format."""
        found = b""
        while b"\n" not in found and (more := self._stream.read1(LONGEST_BEGINNING - len(found))):
            found += more
        return found


def standard_input() -> BufferedIOBase:
    """Return standard input as bytes; raise SourceUnreadable if it is closed."""
    if sys.stdin is None:
        raise SourceUnreadable("standard input is closed")
    return cast(BufferedIOBase, sys.stdin.buffer)
