"""Decompress and transcode a stream to UTF-8, or refuse a file that is not a log."""

import codecs
import re
import stat
from collections.abc import Callable, Mapping
from io import BufferedIOBase, BufferedReader
from pathlib import Path

from snapshots.adapters.cowrie.decompress import BZIP2, GZIP, Decompressed
from snapshots.adapters.cowrie.streams import CHUNK, DAMAGED
from snapshots.app.errors import LogUnreadable

MOST_LAYERS = 3
"""How many times a content may be compressed: once is usual, twice happens, and a thousand times is an attack."""

TAR_HEADER = 512

UNPACK = "decompress it first (plain, gzip and bzip2 logs are supported)"
EXTRACT = "extract it and load the files"
NO_LOG = "it is not a log"
FOREIGN: Mapping[bytes, tuple[str, str]] = {
    b"\xfd7zXZ": ("compressed with xz", UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", UNPACK),
    b"\x04\x22\x4d\x18": ("compressed with lz4", UNPACK),
    b"LZIP": ("compressed with lzip", UNPACK),
    b"\x1f\x9d": ("compressed with compress", UNPACK),
    b"PK\x03\x04": ("a zip archive", EXTRACT),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", EXTRACT),
    b"Rar!\x1a\x07": ("a rar archive", EXTRACT),
    b"SQLite format 3": ("a SQLite database", NO_LOG),
    b"PAR1": ("a Parquet file", NO_LOG),
    b"\x7fELF": ("an executable", NO_LOG),
    b"\xd4\xc3\xb2\xa1": ("a packet capture", NO_LOG),
}
"""Other kinds of files by their first bytes, each with its name and what to do."""

_TEXT_LOG = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S* \[[^\]\n]*\] (?!\s*\{)")
"""The beginning of Cowrie's text log, which contains unescaped text of attackers that may look like an event."""

_DOCKER_LOCAL = re.compile(rb"\0[\0-\xff]{3}\n\x06std(?:out|err)\x10")
"""How a log of Docker's driver `local` begins: a length, and a record that names its stream."""

DEVICES: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)

_ASCII = rb"[\t\r\n -~]"
ENCODINGS = (
    ("utf-32", re.compile(rb"\xff\xfe\0\0(%b\0\0\0){2}|\0\0\xfe\xff(\0\0\0%b){2}" % (_ASCII, _ASCII))),
    ("utf-32-le", re.compile(rb"(%b\0\0\0){4}" % _ASCII)),
    ("utf-32-be", re.compile(rb"(\0\0\0%b){4}" % _ASCII)),
    ("utf-16", re.compile(rb"\xff\xfe(%b\0){2}|\xfe\xff(\0%b){2}" % (_ASCII, _ASCII))),
    ("utf-16-le", re.compile(rb"(%b\0){4}" % _ASCII)),
    ("utf-16-be", re.compile(rb"(\0%b){4}" % _ASCII)),
)
"""The beginning of a text in each encoding; a byte order mark alone may be noise before a line of UTF-8."""


class ForeignFile(LogUnreadable):
    """A file of a kind that contains no log lines."""


def refuse_device(path: Path, name: str) -> None:
    """
    Refuse devices and sockets.

    Raises:
        ForeignFile: It is a device or a socket.
        OSError: Its status cannot be read.
    """
    mode = path.stat().st_mode
    for is_kind, kind in DEVICES:
        if is_kind(mode):
            raise ForeignFile(f"{name} is {kind}; only files, folders and pipes can be loaded")


def as_text(raw: BufferedReader, name: str) -> BufferedIOBase:
    """
    Return a stream decompressed and in UTF-8; damage shows when it is read.

    Args:
        raw: The bytes of the file, from the first one.
        name: The file, for messages.

    Raises:
        ForeignFile: It is an archive, a database or another kind of file that contains no log lines.
    """
    stream: BufferedIOBase = raw
    for _ in range(MOST_LAYERS + 1):
        try:
            beginning: bytes = stream.peek(TAR_HEADER)[:TAR_HEADER]  # type: ignore[attr-defined]  # each kind has it
        except DAMAGED:
            return stream
        if beginning.startswith((GZIP, BZIP2)):
            stream = Decompressed(stream, GZIP if beginning.startswith(GZIP) else BZIP2)
        else:
            _refuse_foreign(beginning, name)
            encoding = next((encoding for encoding, begins in ENCODINGS if begins.match(beginning)), None)
            return stream if encoding is None else Transcoded(stream, encoding)
    raise ForeignFile(f"{name} is compressed more than {MOST_LAYERS} times; decompress it first")


def _refuse_foreign(beginning: bytes, name: str) -> None:
    for start, (kind, advice) in FOREIGN.items():
        if beginning.startswith(start):
            raise ForeignFile(f"{name} is {kind}; {advice}")
    if _TEXT_LOG.match(beginning):
        raise ForeignFile(f"{name} is Cowrie's text log; load its JSON log")
    if _DOCKER_LOCAL.match(beginning):
        raise ForeignFile(f"{name} is a log of Docker's driver `local`; load the output of `docker logs CONTAINER`")
    if _is_tar(beginning):
        raise ForeignFile(f"{name} is a tar archive; {EXTRACT}")


def _is_tar(beginning: bytes) -> bool:
    if len(beginning) < TAR_HEADER or b"\0" not in beginning:
        return False
    import tarfile  # noqa: PLC0415 - rarely needed

    try:
        tarfile.TarInfo.frombuf(beginning, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


class Transcoded(BufferedIOBase):
    """
    A stream transcoded to UTF-8; invalid bytes become U+FFFD.

    Args:
        stream: What to read.
        encoding: Python's name of it.
    """

    def __init__(self, stream: BufferedIOBase, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._ready = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def peek(self, _size: int = 0, /) -> bytes:
        """Return some bytes without taking them; none at the end."""
        while not self._ready and (chunk := self._stream.read1(CHUNK)):
            self._ready = self._decoder.decode(chunk).encode()
        if not self._ready:
            self._ready = self._decoder.decode(b"", final=True).encode()
        return self._ready

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, at most *size*; none at the end."""
        ready = self.peek()
        size = len(ready) if size < 0 else size
        self._ready = ready[size:]
        return ready[:size]
