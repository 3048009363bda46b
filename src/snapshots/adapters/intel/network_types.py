"""Open tables of types by network: the bundled one, and those of the operator."""

import hashlib
import lzma
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from snapshots.adapters.intel.parsing import asn_in
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.ip_type import NETWORK_KINDS, IpType
from snapshots.domain.facts.network_types import NETWORK_TYPES, NetworkTypes, NetworkTypesBuild
from snapshots.domain.facts.observation import IpFacts, SourceBuild

OWN_LICENCE = "as granted to the operator by the maker of the file"
FILE_NAME = re.compile(r"network-types-(?P<name>[a-z0-9.-]+)-(?P<date>\d{4}-\d{2}-\d{2})\.csv(\.xz)?")
TYPES_BY_INITIAL = {ip_type.value[0]: ip_type for ip_type in NETWORK_KINDS}
"""The bundled tables name each type by its first letter, which saves a quarter of their size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledNetworkTypes:
    """
    A table built by `tools/build_network_types.py`.

    Attributes:
        built_on: The date of the table from whose names of networks it was built.
        sha256: The SHA-256 of the decompressed table, in hexadecimal.
        licence: The terms of use, with the required attribution.
    """

    built_on: date
    sha256: str
    licence: str

    @property
    def file(self) -> str:
        """Return the name of the compressed file in the package data."""
        return f"{NETWORK_TYPES}-{self.built_on}.csv.xz"


BUNDLED_NETWORK_TYPES = (
    BundledNetworkTypes(
        built_on=date(2026, 9, 1),
        sha256="ed96914cb13a31d0f4fc778969bcfa45b86f14460622f94204c9ee7332459d58",
        licence="from names of networks in IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0",
    ),
)
"""Every build that was ever bundled: snapshots name them, and attacks between two of them need the older one."""


class NetworkTypesSource:
    """
    A build of types by network, for its registration. It has no facts about addresses.

    Args:
        networks: The build.
    """

    def __init__(self, networks: NetworkTypesBuild) -> None:
        self._build = networks.build

    @property
    def build(self) -> SourceBuild:
        """Return the build."""
        return self._build

    @property
    def versions(self) -> frozenset[int]:
        """Return no IP version, so that no address is looked up."""
        return frozenset()

    size = 0
    typed_shares: Mapping[IpType, float] = MappingProxyType({})

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:  # noqa: ARG002 - of the port
        """Return nothing."""
        return {}


def open_network_types(files: Sequence[Path] = ()) -> NetworkTypes:
    """
    Open the tables of the operator and the bundled ones.

    Args:
        files: Tables of the operator, the most trusted first.

    Raises:
        SourceUnreadable: A file is missing, has another name than network-types-NAME-YYYY-MM-DD.csv, or contains a line
            that is not an ASN and a type of a network.
    """
    return NetworkTypes((*(open_file(path) for path in files), *(_open_bundled(b) for b in BUNDLED_NETWORK_TYPES)))


@lru_cache
def _open_bundled(bundled: BundledNetworkTypes) -> NetworkTypesBuild:
    packed = resources.files("snapshots.adapters.intel").joinpath("data", bundled.file)
    build = SourceBuild(
        name=NETWORK_TYPES,
        built_at=end_of_day(bundled.built_on),
        licence=bundled.licence,
        sha256=bundled.sha256,
        origin="bundled",
    )
    return NetworkTypesBuild(build=build, types=_types_in(lzma.decompress(packed.read_bytes()).decode()))


def open_file(path: Path) -> NetworkTypesBuild:
    """
    Open a table of the operator: lines of an ASN and a type, packed with xz or not.

    Raises:
        SourceUnreadable: As `open_network_types` raises it.
    """
    named = FILE_NAME.fullmatch(path.name)
    if named is None:
        raise SourceUnreadable(f"{path} is not named network-types-NAME-YYYY-MM-DD.csv or .csv.xz")
    try:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
        build = SourceBuild(
            name=f"{NETWORK_TYPES}-{named['name']}"[:64],
            built_at=end_of_day(date.fromisoformat(named["date"])),
            licence=OWN_LICENCE,
            sha256=hashlib.sha256(data).hexdigest(),
            origin=str(path.absolute()),
            form=NETWORK_TYPES,
        )
        return NetworkTypesBuild(build=build, types=_types_in(text))
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except (lzma.LZMAError, ValueError, InvalidFact) as exc:
        raise SourceUnreadable(f"{path} is not a table of an ASN and a type in each line: {exc}") from exc


def _types_in(text: str) -> Mapping[int, IpType]:
    """
    Return the types of networks by ASN.

    Raises:
        ValueError: A line is not an ASN and a type.
    """
    types = {}
    for line in text.splitlines():
        number, _, word = line.partition(",")
        asn, ip_type = asn_in(number.strip()), TYPES_BY_INITIAL.get(word) or IpType.named(word)
        if asn is None or ip_type is None:
            raise ValueError(f"{line[:40]!r}")
        types[asn] = ip_type
    return MappingProxyType(types)
