"""Decompress gzip and bzip2 up to the first damage, and say what is damaged."""

import bz2
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

CHUNK = 1024 * 1024
"""The most decompressed bytes that are held at a time, however far the data expands."""

INPUT = 16 * 1024
OUTPUT_OF_BZIP2 = 1000
"""bzip2 loses the output of a call that finds damage: bzcat that of 5,000 bytes, of which this is a divisor."""

GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
LAST_FLAGS = b"\x1f"
"""All that a header can have; of other flags, which zlib refuses, the faster implementation takes no notice."""

WITH_HEADER = 16 + zlib.MAX_WBITS
"""Tells zlib that a gzip header and a checksum stand around the data."""


class DamagedData(ValueError):
    """Compressed data is cut or wrong; everything before the damage was read."""


class UnfinishedData(DamagedData):
    """Compressed data breaks off; it may still be written."""


def _fast() -> Any:
    """Return the faster implementation of zlib's interface, where it is installed."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return isal_zlib


FAST = _fast()


class Decompressed(BufferedIOBase):
    """
    A compressed stream, decompressed: one or several members, also with zeros behind them, as tapes have.

    It yields what zcat and bzcat yield. At the damage each reading raises `DamagedData`.

    Args:
        stream: The compressed bytes, at their beginning. It is not closed.
        magic: `GZIP` or `BZIP2`, with which it begins.
    """

    def __init__(self, stream: BufferedIOBase, magic: bytes) -> None:
        self._pieces = _members(_Input(stream), magic)
        self._ready = b""
        self._damage: Exception | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def peek(self, _size: int = 0, /) -> bytes:
        """Return some bytes without taking them; none at the end."""
        if self._damage is not None and not self._ready:
            raise self._damage
        while not self._ready:
            try:
                self._ready = next(self._pieces)
            except StopIteration:
                break
            except (DamagedData, OSError) as error:
                self._damage = error
                raise
        return self._ready

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, at most *size*; none at the end."""
        ready = self.peek()
        size = len(ready) if size < 0 else size
        self._ready = ready[size:]
        return ready[:size]


class _Input:
    """
    Compressed bytes, of which some can be put back.

    Args:
        stream: What to read.
    """

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._ahead = b""
        self.is_seekable = stream.seekable()

    def take(self) -> bytes:
        """Return some bytes; none at the end."""
        taken, self._ahead = self._ahead, b""
        return taken or self._stream.read1(INPUT)

    def put_back(self, data: bytes) -> None:
        """Let *data* be what comes next."""
        self._ahead = data

    def peek(self, size: int) -> bytes:
        """Return the next bytes without taking them; fewer at the end."""
        while len(self._ahead) < size and (more := self._stream.read1(INPUT)):
            self._ahead += more
        return self._ahead[:size]

    def is_at_end(self) -> bool:
        """Pass over zeros, and return whether nothing follows."""
        while not self._ahead.strip(b"\0"):
            self._ahead = self._stream.read1(INPUT)
            if not self._ahead:
                return True
        self._ahead = self._ahead.lstrip(b"\0")
        return False

    def tell(self) -> int:
        """Return the place in the stream, if it is seekable."""
        return self._stream.tell() - len(self._ahead)

    def seek(self, place: int) -> None:
        """Go to a place in the stream, if it is seekable."""
        self._stream.seek(place)
        self._ahead = b""


def _members(data: _Input, magic: bytes) -> Iterator[bytes]:
    member, kind = (_gzip_member, "gzip") if magic == GZIP else (_bzip2_member, "bzip2")
    yield from member(data)
    while not data.is_at_end():
        if data.peek(len(magic)) != magic:
            raise DamagedData(f"the bytes after the end of the compressed data are no {kind} and were not read")
        yield from member(data)


def _gzip_member(data: _Input) -> Iterator[bytes]:
    done = 0
    if FAST is not None and data.is_seekable and data.peek(4)[3:] <= LAST_FLAGS:
        start = data.tell()
        try:
            for piece in _inflated(data, FAST.decompressobj(WITH_HEADER)):
                yield piece
                done += len(piece)
        except (DamagedData, FAST.error):
            data.seek(start)  # it may hold back the last bytes before the damage; zlib does not
        else:
            return
    for piece in _inflated(data, zlib.decompressobj(WITH_HEADER)):
        new = piece[done:]
        done -= len(piece) - len(new)
        if new:
            yield new


def _inflated(data: _Input, inflate: Any) -> Iterator[bytes]:
    while not inflate.eof:
        compressed = data.take()
        if not compressed:
            raise UnfinishedData("the compressed data breaks off")
        piece = b""
        while not inflate.eof and (compressed or len(piece) == CHUNK):
            before = inflate.copy() if hasattr(inflate, "copy") else None
            try:
                piece = inflate.decompress(compressed, CHUNK)
            except zlib.error as error:
                yield from _before_damage(before, compressed)
                raise DamagedData(f"the compressed data is wrong: {str(error).rpartition(': ')[2]}") from error
            if piece:
                yield piece
            compressed = inflate.unconsumed_tail
    data.put_back(inflate.unused_data)


def _before_damage(inflate: Any, compressed: bytes) -> Iterator[bytes]:
    """Yield what zlib dropped of the output of a call that found damage."""
    for at in range(len(compressed)):
        try:
            piece = inflate.decompress(compressed[at : at + 1])
        except zlib.error:
            return
        if piece:
            yield piece


def _bzip2_member(data: _Input) -> Iterator[bytes]:
    decompressor = bz2.BZ2Decompressor()
    pieces: list[bytes] = []
    while not decompressor.eof:
        if decompressor.needs_input or len(pieces) == CHUNK // OUTPUT_OF_BZIP2:
            yield b"".join(pieces)
            pieces = []
        compressed = data.take() if decompressor.needs_input else b""
        if decompressor.needs_input and not compressed:
            raise UnfinishedData("the compressed data breaks off")
        try:
            piece = decompressor.decompress(compressed, OUTPUT_OF_BZIP2)
        except OSError as error:
            yield b"".join(pieces)
            raise DamagedData("the compressed data is wrong: invalid data") from error
        if piece:
            pieces.append(piece)
    yield b"".join(pieces)
    data.put_back(decompressor.unused_data)
