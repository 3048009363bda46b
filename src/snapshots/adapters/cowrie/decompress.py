"""Decompress gzip and bzip2 up to the first damage, and report the damage."""

import bz2
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

CHUNK = 1024 * 1024
"""Maximum decompressed bytes in memory, whatever the compression ratio."""

INPUT = 16 * 1024
OUTPUT_OF_BZIP2 = 1000
"""bz2 discards the output of a call that finds damage. bzcat loses a block of 5,000 bytes; this is a divisor."""

GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
LAST_FLAGS = b"\x1f"
"""The largest valid flags byte of a gzip header; zlib rejects larger ones, the faster implementation ignores them."""

WITH_HEADER = 16 + zlib.MAX_WBITS
"""The wbits argument with which zlib expects a gzip header and a checksum."""


class DamagedData(ValueError):
    """Compressed data is truncated or corrupt; everything before the damage was read."""


class UnfinishedData(DamagedData):
    """Compressed data is truncated, such as while it is still being written."""


def _fast() -> Any:
    """Return the faster implementation of zlib's interface, where it is installed."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - optional dependency
    except ImportError:
        return None
    return isal_zlib


FAST = _fast()


class Decompressed(BufferedIOBase):
    """
    A decompressed stream of one or several members, with optional zero padding, as on tapes.

    It yields the same bytes as zcat and bzcat. Every read at the damage raises `DamagedData`.

    Args:
        stream: The compressed bytes, from the first one. It is not closed.
        magic: `GZIP` or `BZIP2`, the first bytes of the stream.
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
    Compressed bytes with pushback.

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
        """Push bytes back."""
        self._ahead = data

    def peek(self, size: int) -> bytes:
        """Return the next bytes without taking them; fewer at the end."""
        while len(self._ahead) < size and (more := self._stream.read1(INPUT)):
            self._ahead += more
        return self._ahead[:size]

    def is_at_end(self) -> bool:
        """Skip zero bytes, and return whether the end was reached."""
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
            raise DamagedData(f"the bytes after the end of the compressed data are not {kind} data and were not read")
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
            data.seek(start)  # zlib also returns the last bytes before the damage
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
            raise UnfinishedData("the compressed data is truncated")
        piece = b""
        while not inflate.eof and (compressed or len(piece) == CHUNK):
            before = inflate.copy() if hasattr(inflate, "copy") else None
            try:
                piece = inflate.decompress(compressed, CHUNK)
            except zlib.error as error:
                yield from _before_damage(before, compressed)
                raise DamagedData(f"the compressed data is corrupt: {str(error).rpartition(': ')[2]}") from error
            if piece:
                yield piece
            compressed = inflate.unconsumed_tail
    data.put_back(inflate.unused_data)


def _before_damage(inflate: Any, compressed: bytes) -> Iterator[bytes]:
    """Yield the output that zlib discarded in the call that found the damage."""
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
            raise UnfinishedData("the compressed data is truncated")
        try:
            piece = decompressor.decompress(compressed, OUTPUT_OF_BZIP2)
        except OSError as error:
            yield b"".join(pieces)
            raise DamagedData("the compressed data is corrupt: invalid data") from error
        if piece:
            pieces.append(piece)
    yield b"".join(pieces)
    data.put_back(decompressor.unused_data)
