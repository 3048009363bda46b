"""IP types from the ranges of cloud, VPN and Tor operators in the `iporigin` package."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from importlib import resources
from importlib.metadata import version
from types import MappingProxyType

import iporigin
from iporigin._data import dataset

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts, SourceBuild

RELAY = "Apple Private Relay"
"""Listed as a VPN, but it works as a proxy, and other providers list it as one."""


class IporiginSource:
    """The ranges in the installed `iporigin` package."""

    @cached_property
    def build(self) -> SourceBuild:
        """Return the build of the installed ranges."""
        built_at = datetime.fromtimestamp(int(iporigin.dataset_info()["built_at"]), UTC)  # type: ignore[no-untyped-call]  # the package has no annotations
        return SourceBuild(
            name="iporigin",
            built_at=end_of_day(built_at.date()),
            licence=f"iporigin {version('iporigin')}, MIT, with its NOTICE of the operators' feeds",
            sha256=_hash_of_data(),
            origin="bundled",
        )

    @property
    def versions(self) -> frozenset[int]:
        """Return 4 and 6."""
        return frozenset({4, 6})

    size = 0
    typed_shares: Mapping[IpType, float] = MappingProxyType({})

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """Return the type of each address in a known range; other addresses are absent."""
        # Not by `classify`, because most of its time is spent on parsing the address and on whether it is public.
        find = dataset().find  # type: ignore[no-untyped-call]  # the package has no annotations
        found = {}
        for address in addresses:
            stated = find(address.number, address.version) if address.is_routable else None
            facts = _facts_of(*stated) if stated is not None else NO_FACTS
            if facts is not NO_FACTS:
                found[address] = facts
        return found


@lru_cache(maxsize=1024)
def _facts_of(provider: str, word: str) -> IpFacts:
    kind = IpType.PROXY if provider == RELAY else IpType.named(word)
    return IpFacts(ip_types=frozenset({kind})) if kind is not None else NO_FACTS


def _hash_of_data() -> str:
    digest = hashlib.sha256()
    for file in sorted(resources.files("iporigin").joinpath("data").iterdir(), key=lambda f: f.name):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()
