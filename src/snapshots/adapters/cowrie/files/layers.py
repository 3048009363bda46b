"""Decompress and transcode a stream to UTF-8, or refuse a file that is not a log."""

import codecs
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from io import BufferedIOBase, BufferedReader
from pathlib import Path

from snapshots.adapters.cowrie.files.decompress import HAS_XZ, MAGICS, Decompressed
from snapshots.adapters.cowrie.lines.byte_streams import CHUNK, DAMAGED, PeekableStream
from snapshots.app.errors import LogUnreadable

MOST_LAYERS = 3
"""Maximum number of nested compressions: one is usual, two occur, and a thousand are an attack."""

TAR_HEADER = 512

UNPACK = "decompress it first; plain, gzip, bzip2 and xz logs are read"
EXTRACT = "extract it and load the files"
NO_LOG = "it is not a log"
FOREIGN: Mapping[bytes, tuple[str, str]] = {
    **({} if HAS_XZ else {b"\xfd7zXZ": ("compressed with xz", UNPACK)}),
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
"""The beginning of a log of Docker's driver `local`: a length, and a record with the name of the stream."""

OWN = "part of the database in use; it is not a log"
"""SQLite loses its POSIX locks on a file when the same process opens the file again and closes it."""

Identity = tuple[int, int]
"""The device and the inode of a file, which are equal for all its names."""

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
"""The beginning of a text in each encoding. A byte order mark alone is not enough: it may be noise before UTF-8."""


class ForeignFile(LogUnreadable):
    """
    A file of a kind that contains no log lines.

    Args:
        name: The file.
        reason: Its kind and what to do with it, as the end of a sentence "FILE is ...".

    Attributes:
        reason: The same.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is {reason}")
        self.reason = reason


def special_kind(path: Path) -> str | None:
    """Return the kind of a pipe, a device or a socket; None for files, folders and inaccessible paths."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in ((stat.S_ISFIFO, "a named pipe"), *DEVICES) if is_kind(mode)), None)


def refuse_device(path: str, name: str) -> bool:
    """
    Refuse devices and sockets.

    Returns:
        Whether it is a regular file, not a pipe.

    Raises:
        ForeignFile: It is a device or a socket.
        OSError: Its status cannot be read.
    """
    mode = os.stat(path).st_mode  # noqa: PTH116 - a Path takes as long as the call
    if stat.S_ISREG(mode):
        return True
    for is_kind, kind in DEVICES:
        if is_kind(mode):
            raise ForeignFile(name, f"{kind}; only files, folders and pipes can be loaded")
    return False


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
        if beginning.startswith(b"{") and b"\0" not in beginning:
            return stream  # the usual case, which none of the following matches
        magic = next((magic for magic in MAGICS if beginning.startswith(magic)), None)
        if magic is not None:
            stream = Decompressed(stream, magic)
        else:
            _refuse_foreign(beginning, name)
            encoding = next((encoding for encoding, begins in ENCODINGS if begins.match(beginning)), None)
            return stream if encoding is None else PeekableStream(_transcoded(stream, encoding))
    raise ForeignFile(name, f"compressed more than {MOST_LAYERS} times; decompress it first")


def _refuse_foreign(beginning: bytes, name: str) -> None:
    for start, (kind, advice) in FOREIGN.items():
        if beginning.startswith(start):
            raise ForeignFile(name, f"{kind}; {advice}")
    if _TEXT_LOG.match(beginning):
        raise ForeignFile(name, "Cowrie's text log; load its JSON log")
    if _DOCKER_LOCAL.match(beginning):
        raise ForeignFile(name, "a log of Docker's driver `local`; load the output of `docker logs CONTAINER`")
    if _is_tar(beginning):
        raise ForeignFile(name, f"a tar archive; {EXTRACT}")


def _is_tar(beginning: bytes) -> bool:
    if len(beginning) < TAR_HEADER or b"\0" not in beginning:
        return False
    import tarfile  # noqa: PLC0415 - rarely needed

    try:
        tarfile.TarInfo.frombuf(beginning, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _transcoded(stream: BufferedIOBase, encoding: str) -> Iterator[bytes]:
    """Yield a text in UTF-8; invalid bytes become U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    while chunk := stream.read1(CHUNK):
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()
