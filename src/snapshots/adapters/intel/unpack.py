"""Open tables through compression and archives."""

import bz2
import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from snapshots.app.errors import SourceUnreadable

MOST_BYTES = 4 * 2**30
"""Maximum decompressed size of a table: the largest tables of cities have 1 GiB, and a bomb has more."""

MOST_LAYERS = 3
"""Maximum number of nested compressions: one is usual, and a thousand are an attack."""

PACKING = re.compile(r"(\.(gz|xz|bz2|zip|tar|tgz|txz|tbz2?))+$", re.IGNORECASE)

DOCUMENTS = re.compile(
    r"((licen[cs]e|copying|copyright|readme|notice|changes|changelog|attribution)([._-].*)?|sha256sums(\..*)?"
    r"|.*\.(md|html?|pdf|sha256|md5|sig|asc))",
    re.IGNORECASE,
)
"""Names of files that accompany tables."""

OPENERS: Mapping[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}

FOREIGN: Mapping[bytes, str] = {
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; decompress it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; extract it first",
    b"Rar!\x1a\x07": "is a rar archive; extract it first",
    b"PAR1": "is a Parquet file; export it as CSV",
    b"SQLite format 3": "is a SQLite database and not a table of addresses",
    b"%PDF": "is a PDF document and not a table of addresses",
}
"""Other kinds of files by their first bytes, and what to do."""

ZIP, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
TAR, TAR_AT = b"ustar", 257

DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What the readers of compressed files and archives raise for damaged and encrypted ones."""


@dataclass(frozen=True, slots=True)
class Content:
    """
    A file, or a file in an archive.

    Attributes:
        name: The name of the file, without suffixes of compression.
        open: Opens the decompressed bytes; may be called repeatedly.
    """

    name: str
    open: Callable[[], AbstractContextManager[io.BufferedReader]]


def contents_of(path: Path) -> Sequence[Content]:
    """
    Return the files in an archive that may be tables, or the file itself.

    Raises:
        SourceUnreadable: The file is missing, damaged, or of a kind that is not read.
    """
    with _decompressed(path) as file:
        head = file.peek(TAR_AT + len(TAR))
        for magic, problem in FOREIGN.items():
            if head.startswith(magic):
                raise SourceUnreadable(f"{path} {problem}")
        if head.startswith(EMPTY_ZIP):
            return []
        if head.startswith(ZIP):
            return [Content(Path(name).name, _opener_in_zip(path, name)) for name in _names_in_zip(path)]
        if head[TAR_AT:].startswith(TAR):
            return [Content(Path(name).name, _opener_in_tar(path, name)) for name in _names_in_tar(path)]
    return [Content(PACKING.sub("", path.name), lambda: _decompressed(path))]


def sha256_of(path: Path) -> str:
    """
    Return the hash of a file, or of what is packed in it, so that a file is the same table packed or not.

    Raises:
        SourceUnreadable: It cannot be read.
    """
    digests = []
    for content in contents_of(path) if is_packed(path) else [Content(path.name, lambda: _decompressed(path))]:
        digest = hashlib.sha256()
        with content.open() as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
        digests.append(digest)
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()


def is_packed(path: Path) -> bool:
    """
    Whether a file is compressed or an archive.

    Raises:
        SourceUnreadable: The file is missing.
    """
    try:
        with path.open("rb") as file:
            head = file.read(TAR_AT + len(TAR))
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    return head.startswith((ZIP, EMPTY_ZIP, *OPENERS)) or head[TAR_AT:].startswith(TAR)


@contextmanager
def _decompressed(path: Path) -> Iterator[io.BufferedReader]:
    try:
        raw = path.open("rb")
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    with raw:
        yield _through_layers(path, raw)


def _through_layers(path: Path, file: IO[bytes]) -> io.BufferedReader:
    buffered: io.BufferedReader = io.BufferedReader(_Checked(path, file))
    for _ in range(MOST_LAYERS):
        head = buffered.peek(8)
        opener = next((opener for magic, opener in OPENERS.items() if head.startswith(magic)), None)
        if opener is None:
            break
        buffered = io.BufferedReader(_Checked(path, opener(buffered)))
    return buffered


class _Checked(io.RawIOBase):
    """Limits the size of a stream, and reports damage in one way."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(buffer))
        except DAMAGED as exc:
            problem = getattr(exc, "strerror", None) or exc
            advice = "" if getattr(exc, "errno", None) else "; it is damaged or incomplete, so download it again"
            raise SourceUnreadable(f"{self._path} cannot be read: {problem}{advice}") from exc
        self._left -= len(data)
        if self._left < 0:
            raise SourceUnreadable(f"{self._path} is larger than {MOST_BYTES // 2**30} GiB")
        buffer[: len(data)] = data
        return len(data)


def _is_table(name: str) -> bool:
    return not name.endswith("/") and not Path(name).name.startswith(".") and not DOCUMENTS.fullmatch(Path(name).name)


@contextmanager
def _opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as exc:
        raise SourceUnreadable(f"{path} is a damaged zip archive: {exc}") from exc
    with archive:
        yield archive


def _names_in_zip(path: Path) -> list[str]:
    with _opened_zip(path) as archive:
        return [name for name in archive.namelist() if _is_table(name)]


def _opener_in_zip(path: Path, name: str) -> Callable[[], AbstractContextManager[io.BufferedReader]]:
    @contextmanager
    def opened() -> Iterator[io.BufferedReader]:
        with _opened_zip(path) as archive:
            try:
                member = archive.open(name)
            except (*DAMAGED, NotImplementedError) as exc:
                raise SourceUnreadable(f"{path} cannot be read: {exc}") from exc
            with member:
                yield _through_layers(path, member)

    return opened


@contextmanager
def _members_of_tar(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes] | None]]]:
    def members(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes] | None]]:
        try:
            for member in archive:
                if member.isfile() and _is_table(member.name):
                    yield member.name, archive.extractfile(member)
        except DAMAGED as exc:
            raise SourceUnreadable(f"{path} is a damaged tar archive: {exc}") from exc

    with _decompressed(path) as file:
        try:
            archive = tarfile.open(fileobj=file, mode="r|")  # noqa: SIM115 - closed below
        except DAMAGED as exc:
            raise SourceUnreadable(f"{path} is a damaged tar archive: {exc}") from exc
        with archive:
            yield members(archive)


def _names_in_tar(path: Path) -> list[str]:
    with _members_of_tar(path) as members:
        return [name for name, _ in members]


def _opener_in_tar(path: Path, name: str) -> Callable[[], AbstractContextManager[io.BufferedReader]]:
    @contextmanager
    def opened() -> Iterator[io.BufferedReader]:
        with _members_of_tar(path) as members:
            for found, member in members:
                if found == name and member is not None:
                    yield _through_layers(path, member)
                    return
        raise SourceUnreadable(f"{path} has changed while it was read")

    return opened
