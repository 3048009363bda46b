"""Decompress gzip, bzip2 and xz up to the first damage, and report the damage."""

import bz2
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from io import BufferedIOBase
from typing import Any

from snapshots.adapters.cowrie.lines.byte_streams import DamagedData, PeekableStream, UnfinishedData

CHUNK = 1024 * 1024
"""Maximum decompressed bytes in memory, whatever the compression ratio."""

INPUT = 16 * 1024
OUTPUT_OF_BZIP2 = 1000
"""bz2 discards the output of a call that finds damage. bzcat loses a block of 5,000 bytes; this is a divisor."""

OUTPUT_OF_XZ = 64
"""The same for xz data that cannot be read again, such as that of a pipe: so many bytes before the damage are lost."""

MOST_MEMORY_OF_XZ = 72 * 1024 * 1024
"""Bytes for the dictionary of xz, which a file may demand up to 4 GiB; `xz -9` needs 65 MiB, and xz alone 9 MiB."""

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
HAS_XZ = find_spec("_lzma") is not None
"""Python may be built without it."""

MAGICS = (GZIP, BZIP2, XZ) if HAS_XZ else (GZIP, BZIP2)
"""The first bytes of what can be decompressed."""

LAST_FLAGS = b"\x1f"
"""The largest valid flags byte of a gzip header; zlib rejects larger ones, the faster implementation ignores them."""

WITH_HEADER = 16 + zlib.MAX_WBITS
"""The wbits argument with which zlib expects a gzip header and a checksum."""


def _fast() -> Any:
    """Return the faster implementation of zlib's interface, where it is installed."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - optional dependency
    except ImportError:
        return None
    return isal_zlib


FAST = _fast()


class Decompressed(PeekableStream):
    """
    A decompressed stream of one or several members, with optional zero padding, as on tapes.

    It yields the same bytes as zcat, bzcat and xzcat. Every read at the damage raises `DamagedData`.

    Args:
        stream: The compressed bytes, from the first one. It is not closed.
        magic: One of `MAGICS`, the first bytes of the stream.
    """

    def __init__(self, stream: BufferedIOBase, magic: bytes) -> None:
        super().__init__(_members(_Input(stream), magic))


class _Input:
    """
    Compressed bytes with pushback.

    Args:
        stream: The compressed bytes.
    """

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._ahead = b""
        self.is_seekable = stream.seekable()

    def take(self) -> bytes:
        """Return some bytes; b"" at the end."""
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
        """Return the offset in the stream, if it is seekable."""
        return self._stream.tell() - len(self._ahead)

    def seek(self, place: int) -> None:
        """Go to an offset in the stream, if it is seekable."""
        self._stream.seek(place)
        self._ahead = b""


def _members(data: _Input, magic: bytes) -> Iterator[bytes]:
    member, kind = {GZIP: (_gzip_member, "gzip"), BZIP2: (_bzip2_member, "bzip2"), XZ: (_xz_member, "xz")}[magic]
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


def _xz_member(data: _Input) -> Iterator[bytes]:
    if not data.is_seekable:
        yield from _unpacked(data, OUTPUT_OF_XZ)
        return
    start, done = data.tell(), 0
    try:
        for piece in _unpacked(data, CHUNK):
            yield piece
            done += len(piece)
    except UnfinishedData:
        raise  # no call failed, so no output was discarded
    except DamagedData:
        data.seek(start)
        yield from _unpacked(data, 1, after=done)


def _unpacked(data: _Input, size: int, *, after: int = 0) -> Iterator[bytes]:
    """Yield the output of one xz stream; lzma discards what a call that finds damage would return, up to *size*."""
    import lzma  # noqa: PLC0415 - Python may be built without it

    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY_OF_XZ)
    pieces: list[bytes] = []
    held = 0
    while not decompressor.eof:
        if decompressor.needs_input or held >= CHUNK:
            yield b"".join(pieces)
            pieces, held = [], 0
        compressed = data.take() if decompressor.needs_input else b""
        if decompressor.needs_input and not compressed:
            raise UnfinishedData("the compressed data is truncated")
        try:
            piece = decompressor.decompress(compressed, min(CHUNK, after) or size)
        except lzma.LZMAError as error:
            yield b"".join(pieces)
            raise DamagedData(_damage_of_xz(str(error))) from error
        if after:
            after -= len(piece)
        elif piece:
            pieces.append(piece)
            held += len(piece)
    yield b"".join(pieces)
    data.put_back(decompressor.unused_data)


def _damage_of_xz(message: str) -> str:
    if "limit" in message:
        needed = MOST_MEMORY_OF_XZ // 1024**2
        return f"the compressed data needs more than {needed} MiB of memory; decompress it first with xz -dk"
    return "the compressed data is corrupt: invalid data"
