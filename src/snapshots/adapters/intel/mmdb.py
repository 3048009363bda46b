"""Read facts from MaxMind DB files of any provider."""

import hashlib
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import maxminddb

from snapshots.adapters.intel.parsing import asn_in, country_in
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.plausibility import EARLIEST
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts, SourceBuild

UNKNOWN_LICENCE = "as granted to the operator by the maker of the file"

MOST_KNOWN = 100_000
"""Maximum number of parsed records cached per file."""

FLAGS = {
    "is_anonymous_vpn": IpType.VPN,
    "is_tor_exit_node": IpType.TOR,
    "is_public_proxy": IpType.PROXY,
    "is_residential_proxy": IpType.PROXY,
    "is_hosting_provider": IpType.DATACENTER,
    "vpn": IpType.VPN,
    "tor": IpType.TOR,
    "proxy": IpType.PROXY,
    "relay": IpType.PROXY,
    "hosting": IpType.DATACENTER,
}
"""Boolean fields of the anonymous-IP databases of MaxMind and IPinfo."""

TYPE_FIELDS = ("user_type", "connection_type", "type", "usage_type", "proxy_type")
"""Fields with the name of a type, at MaxMind, IPinfo and IP2Location."""


class MmdbSource:
    """
    An MMDB file: ASN, country, city or anonymous-IP database in the format of GeoLite2, DB-IP or IPinfo.

    Args:
        build: The build that the file contains.
        reader: The opened file.
    """

    unread = 0
    """Number of unreadable lines; an MMDB file has no lines."""

    def __init__(self, build: SourceBuild, reader: maxminddb.Reader) -> None:
        self._build = build
        self._reader = reader
        self._known: dict[tuple[tuple[str, Any], ...], IpFacts] = {}

    @property
    def build(self) -> SourceBuild:
        """Return the build that the file contains."""
        return self._build

    @property
    def versions(self) -> frozenset[int]:
        """Return 4 and, if the file has IPv6 networks, 6."""
        return frozenset({4, self._reader.metadata().ip_version})

    def renamed(self, build: SourceBuild) -> "MmdbSource":
        """Return a source with the same data and another build."""
        return MmdbSource(build, self._reader)

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """Return the facts by address; addresses that the file does not contain are absent."""
        found = {}
        for address in addresses:
            try:
                record = self._reader.get(address.text)
            except maxminddb.InvalidDatabaseError as exc:
                raise SourceUnreadable(f"{self._build.origin} is damaged: {exc}") from exc
            except ValueError:
                continue  # an IPv6 address in a table of IPv4
            if isinstance(record, dict):
                found[address] = self._facts_in(record)
        return found

    def _facts_in(self, record: Mapping[str, Any]) -> IpFacts:
        """Return the facts in a record, from the cache if an equal record was parsed before."""
        try:
            key = tuple(record.items())
            facts = self._known.get(key)
        except TypeError:  # a nested record is not hashable
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
        path: The file.
        built_at: The moment of the build, in UTC; None for the one that the file states.
        in_memory: Read the whole file into memory, so that it may be overwritten later.

    Raises:
        SourceUnreadable: The file is missing, no MMDB, or states an implausible build time.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY if in_memory else maxminddb.MODE_AUTO)
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except maxminddb.InvalidDatabaseError as exc:
        raise SourceUnreadable(f"{path} is not an MMDB file: {exc}") from exc
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
    return MmdbSource(build, reader)


def _built_at(path: Path, epoch: int) -> datetime:
    """Return the moment of a build epoch; wrong ones are 0, and milliseconds in place of seconds."""
    with suppress(ValueError, OverflowError, OSError):
        built_at = datetime.fromtimestamp(epoch, UTC)
        if built_at >= EARLIEST:
            return built_at
    raise SourceUnreadable(
        f"{path} states an impossible build time ({epoch} seconds since 1970); if you know the date, import the file"
        " with --as-of (snapshots inventory import)"
    )


def facts_in(record: Mapping[str, Any]) -> IpFacts:
    """Return the facts in a record; invalid and out-of-range values are ignored."""
    asn, organization = _network_in(record)
    return IpFacts(asn=asn, organization=organization, country=_country_in(record), ip_types=_types_in(record))


def _network_in(record: Mapping[str, Any]) -> tuple[int | None, str | None]:
    traits = record.get("traits")
    holders = [record, traits] if isinstance(traits, Mapping) else [record]
    for holder in holders:
        asn = asn_in(holder.get("autonomous_system_number", holder.get("asn")))
        if asn is not None:
            names = (holder.get(key) for key in ("autonomous_system_organization", "as_name", "name"))
            return asn, next((name for name in names if isinstance(name, str) and name), None)
    return None, None


def _country_in(record: Mapping[str, Any]) -> str | None:
    for key in ("country", "country_code"):
        value = record.get(key)
        code = value.get("iso_code") if isinstance(value, Mapping) else value
        if country_in(code) is not None:
            return country_in(code)
    return None


def _types_in(record: Mapping[str, Any]) -> frozenset[IpType]:
    traits = record.get("traits")
    holders = [record, traits] if isinstance(traits, Mapping) else [record]
    flags = {kind for holder in holders for flag, kind in FLAGS.items() if holder.get(flag) in (True, "true", "1")}
    words = [holder.get(field) for holder in holders for field in TYPE_FIELDS]
    named = (IpType.named(word) for word in words if isinstance(word, str))
    return frozenset(flags.union(kind for kind in named if kind is not None))
