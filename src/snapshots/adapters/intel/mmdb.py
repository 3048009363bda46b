"""Read facts from MaxMind DB files of any provider."""

import os
import re
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from io import SEEK_END, BytesIO
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import maxminddb
from maxminddb.reader import Metadata, Reader

from snapshots.adapters.intel.layouts.facts import COUNTRIES, FLAGS, TYPES
from snapshots.adapters.intel.parsing import asn_in, country_in
from snapshots.adapters.intel.unpack import Content, contents_of, is_packed, sha256_of
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.plausibility import EARLIEST
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts, SourceBuild

UNKNOWN_LICENCE = "as granted to the operator by the maker of the file"

MOST_KNOWN = 100_000
"""Maximum number of parsed records cached per file."""

METADATA = b"\xab\xcd\xefMaxMind.com"
METADATA_WITHIN = 128 * 1024
SEPARATOR = 16
"""Zero bytes between the search tree and the data."""

SUB_RECORDS = ("traits", "asn", "as", "geo", "location")
"""Fields with the facts of a record in records of some makers."""

_SUB_RECORDS = frozenset(SUB_RECORDS)
_TYPED = frozenset({*FLAGS, *TYPES})

ASNS = ("autonomous_system_number", "asn")
NAMES = ("autonomous_system_organization", "as_name", "name", "organization")
"""Fields with the number and the name of an autonomous system."""

BROKEN = (
    maxminddb.InvalidDatabaseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What the reader raises for damaged files."""

LARGEST_IN_MEMORY = 16 * 2**20
"""Bytes of a file that is read into memory: tables of ASNs and countries are smaller, those of cities are not."""

MOST_RECORDS_SEEN = 100_000
"""Networks in which a fact must occur, so that a table without facts is refused."""


class MmdbSource:
    """
    An MMDB file: ASN, country, city or anonymous-IP database in the format of GeoLite2, DB-IP or IPinfo.

    Args:
        build: The build that the file contains.
        reader: The opened file.
        is_unchanged: Whether the opened file was not overwritten; one that is read while in use may be.
    """

    unused: Mapping[str, int] = MappingProxyType({})
    """Numbers of unused rows; an MMDB file has no rows."""

    def __init__(
        self, build: SourceBuild, reader: maxminddb.Reader, is_unchanged: Callable[[], bool] = lambda: True
    ) -> None:
        self._build = build
        self._reader = reader
        self._is_unchanged = is_unchanged
        self._ip_version = reader.metadata().ip_version
        self._known: dict[tuple[tuple[str, Any], ...], IpFacts] = {}

    @property
    def build(self) -> SourceBuild:
        """Return the build that the file contains."""
        return self._build

    @property
    def versions(self) -> frozenset[int]:
        """Return 4 and, if the file has IPv6 networks, 6."""
        return frozenset({4, self._ip_version})

    @property
    def size(self) -> int:
        """Return the number of nodes of the search tree."""
        return self._reader.metadata().node_count

    typed_shares: Mapping[IpType, float] = MappingProxyType({})
    """An MMDB file is not a list of one type."""

    def renamed(self, build: SourceBuild) -> "MmdbSource":
        """Return a source with the same data and another build."""
        return MmdbSource(build, self._reader, self._is_unchanged)

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """Return the facts by address; addresses that the file does not contain are absent."""
        found = {}
        for address in addresses:
            if address.version > self._ip_version:
                continue
            try:
                record = self._reader.get(address.text)
            except BROKEN as exc:
                raise SourceUnreadable(f"{self._build.origin} is damaged: {exc}") from exc
            if isinstance(record, dict):
                found[address] = self._facts_in(record)
        if not self._is_unchanged():
            raise SourceUnreadable(f"{self._build.origin} was changed while it was in use")
        return found

    def _facts_in(self, record: Mapping[str, Any]) -> IpFacts:
        """Return the facts in a record, from the cache if an equal record was parsed before."""
        try:
            key = tuple([(name, tuple(v.items()) if isinstance(v, dict) else v) for name, v in record.items()])
            facts = self._known.get(key)
        except TypeError:  # a list, or a record in a record in the record, is not hashable
            return facts_in(record)
        if facts is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            facts = self._known[key] = facts_in(record)
        return facts


def open_mmdb(path: Path, *, built_at: datetime | None = None, in_memory: bool = False) -> MmdbSource:
    """
    Open a file of the operator. Its `database_type` becomes the name of the source, its build epoch the moment.

    Args:
        path: The file, packed or not.
        built_at: The moment of the build, in UTC; None for the one that the file states.
        in_memory: Read the whole file into memory, so that it may be overwritten later.

    Raises:
        SourceUnreadable: The file is missing, damaged, or no MMDB, its records state no facts, or its build time is
            implausible.
    """
    digest = sha256_of(path)
    packed = packed_mmdb(path) if is_packed(path) else None
    try:
        is_held = in_memory or packed is not None or path.stat().st_size <= LARGEST_IN_MEMORY
        reader = _reader_of(path, packed, in_memory=is_held)
        is_unchanged = reader.is_unchanged if isinstance(reader, _FileReader) else lambda: True
        metadata = reader.metadata()
        name = re.sub(r"[^a-z0-9.]+", "-", metadata.database_type.lower()).strip("-") or path.stem
        build = SourceBuild(
            name=name[:64],
            built_at=built_at or _built_at(path, metadata.build_epoch),
            licence=metadata.description.get("en") or UNKNOWN_LICENCE,
            sha256=digest,
            origin=str(path.absolute()),
            form="mmdb",
        )
        _check_tree(path, packed, metadata)
        _check_facts(path, reader)
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except BROKEN as exc:
        raise SourceUnreadable(f"{path} is not an MMDB file, or damaged: {exc}") from exc
    return MmdbSource(build, reader, is_unchanged)


def _reader_of(path: Path, packed: bytes | None, *, in_memory: bool) -> maxminddb.Reader:
    """
    Return a reader in Python, which a file of the operator cannot crash.

    On damaged data the extension module reads and overwrites foreign memory, and a file that is mapped into memory and
    cut by another process ends this one. In Python, 17,000 addresses per second are found in a file, 40,000 in memory.
    """
    if packed is not None:
        return maxminddb.open_database(BytesIO(packed), maxminddb.MODE_FD)
    return Reader(path, maxminddb.MODE_MEMORY) if in_memory else _FileReader(path)


class _FileReader(Reader):
    """Reads from the file, and closes it when it is no longer used: several sources may share it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxminddb.MODE_FILE)
        self._state = self._state_now()

    def is_unchanged(self) -> bool:
        """Whether the opened file was not overwritten; another one may have its name, or it may be deleted."""
        try:
            return self._state_now() == self._state
        except OSError:
            return False

    def _state_now(self) -> tuple[int, int]:
        status = os.fstat(self._buffer._handle.fileno())  # type: ignore[union-attr]  # noqa: SLF001 - no method has it
        return status.st_size, status.st_mtime_ns

    def __del__(self) -> None:
        with suppress(AttributeError):  # the file could not be opened
            self.close()


def _built_at(path: Path, epoch: int) -> datetime:
    """Return the moment of a build epoch; wrong ones are 0, and milliseconds in place of seconds."""
    with suppress(ValueError, OverflowError, OSError):
        built_at = datetime.fromtimestamp(epoch, UTC)
        if built_at >= EARLIEST:
            return built_at
    raise SourceUnreadable(
        f"{path} states an impossible build time ({epoch} seconds since 1970); if you know the date, import the file"
        " with --as-of (snapshots facts import)"
    )


def is_mmdb(path: Path) -> bool:
    """
    Whether a file, or the only file in an archive, ends with the metadata of an MMDB file.

    Raises:
        SourceUnreadable: It cannot be read.
    """
    if is_packed(path):
        return packed_mmdb(path) is not None
    try:
        with path.open("rb") as file:
            file.seek(0, SEEK_END)
            file.seek(max(0, file.tell() - METADATA_WITHIN))
            return METADATA in file.read()
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc


def packed_mmdb(path: Path) -> bytes | None:
    """
    Return the MMDB file that is compressed or in an archive; None if there is none.

    Raises:
        SourceUnreadable: The archive is damaged, or contains several.
    """
    found = []
    for content in contents_of(path):
        if METADATA in _end_of(content):
            with content.open() as file:
                found.append(file.read())
    if len(found) > 1:
        raise SourceUnreadable(f"{path} contains {len(found)} MMDB files; extract them and import the folder")
    return found[0] if found else None


def _end_of(content: Content) -> bytes:
    """Return the end of a file that may be an MMDB file: a text has no zero bytes."""
    with content.open() as file:
        if not content.name.lower().endswith(".mmdb") and b"\0" not in file.peek(4096)[:4096]:
            return b""
        end = b""
        while chunk := file.read(METADATA_WITHIN):
            end = (end + chunk)[-METADATA_WITHIN:]
        return end


def _check_tree(path: Path, packed: bytes | None, metadata: Metadata) -> None:
    """Check that the search tree is whole: a file that lost its beginning would give the facts of other networks."""
    size = metadata.node_count * metadata.record_size // 4
    if packed is not None:
        separator = packed[size : size + SEPARATOR]
    else:
        with path.open("rb") as file:
            file.seek(size)
            separator = file.read(SEPARATOR)
    if separator != bytes(SEPARATOR):
        raise SourceUnreadable(f"{path} is damaged: its search tree has not the size in its metadata")


def _check_facts(path: Path, reader: maxminddb.Reader) -> None:
    """Check that the records state facts."""
    record: Any = None
    for _, record in islice(reader, MOST_RECORDS_SEEN):
        if isinstance(record, Mapping) and facts_in(record) != NO_FACTS:
            return
    if isinstance(record, Mapping):
        seen = f"its records have the fields {', '.join(map(repr, list(record)[:8]))}"
    else:
        seen = "it has no records" if record is None else f"its records are of the type {type(record).__name__}"
    raise SourceUnreadable(f"{path} states no ASN, country or type; {seen}")


def facts_in(record: Mapping[str, Any]) -> IpFacts:
    """Return the facts in a record; invalid and out-of-range values are ignored."""
    parts: list[Mapping[str, Any]] = [record]
    if not _SUB_RECORDS.isdisjoint(record):
        parts += [part for key in SUB_RECORDS if isinstance(part := record.get(key), Mapping)]
    asn, organization = _network_in(parts)
    country = next((code for part in parts if (code := _country_in(part)) is not None), None)
    ip_types = frozenset[IpType]() if len(parts) == 1 and _TYPED.isdisjoint(record) else _types_in(record)
    return IpFacts(asn=asn, organization=organization, country=country, ip_types=ip_types)


def _network_in(parts: Sequence[Mapping[str, Any]]) -> tuple[int | None, str | None]:
    for part in parts:
        for key in ASNS if part is parts[0] else (*ASNS, "number"):
            if (value := part.get(key)) is not None and (asn := asn_in(value)) is not None:
                names = (part.get(name) for name in NAMES)
                return asn, next((name for name in names if isinstance(name, str) and name), None)
    return None, None


def _country_in(part: Mapping[str, Any]) -> str | None:
    for key in ("country", "country_code"):
        if (value := part.get(key)) is not None:
            code = country_in(value.get("iso_code") if isinstance(value, dict) else value)
            if code in COUNTRIES:
                return code
    return None


def _types_in(record: Mapping[str, Any]) -> frozenset[IpType]:
    traits = record.get("traits")  # other parts, such as the ASN, have types of the whole network
    parts = [record, traits] if isinstance(traits, Mapping) else [record]
    flags = {FLAGS[flag] for part in parts for flag in FLAGS.keys() & part.keys() if part[flag] in (True, "true", "1")}
    words = [part.get(key) for part in parts for key in TYPES]
    named = (IpType.named(word) for word in words if isinstance(word, str))
    return frozenset(flags.union(kind for kind in named if kind is not None))
