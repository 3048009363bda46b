"""Types of whole networks, by autonomous system number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.ip_type import NETWORK_KINDS, IpType
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild

NETWORK_TYPES = "network-types"
"""Name of the source of these types, and beginning of the names of others like it."""


def is_by_network(label: str) -> bool:
    """Whether a label or a name of a source means a source of types by network."""
    return label.startswith(NETWORK_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTypesBuild:
    """
    One dated build of a source of types by network.

    Attributes:
        build: The build; its source begins with NETWORK_TYPES.
        types: The type of each ASN that it contains.

    Raises:
        InvalidFact: The name of the source is another, or a type cannot be that of a whole network.
    """

    build: SourceBuild
    types: Mapping[int, IpType] = field(repr=False)

    def __post_init__(self) -> None:
        if not is_by_network(self.build.name):
            raise InvalidFact(f"the source {self.build.name} of types by network must be named {NETWORK_TYPES}...")
        if not NETWORK_KINDS.issuperset(self.types.values()):
            raise InvalidFact(f"{self.build.label} states a type that no whole network has")


@dataclass(frozen=True, slots=True)
class NetworkTypes:
    """
    All builds of all sources of types by network.

    Attributes:
        builds: The builds; of a source that is more trusted than another, all builds come before those of the other.
    """

    builds: tuple[NetworkTypesBuild, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the names of the sources, the most trusted first."""
        return tuple(dict.fromkeys(each.build.name for each in self.builds))

    @property
    def labels(self) -> frozenset[str]:
        """Return the labels of all builds."""
        return frozenset(each.build.label for each in self.builds)

    @property
    def moments(self) -> frozenset[datetime]:
        """Return the dates of all builds."""
        return frozenset(each.build.built_at for each in self.builds)

    def knows(self, asn: int | None) -> bool:
        """Whether any build states the type of a network."""
        for each in self.builds:  # noqa: SIM110 - any() takes twice as long
            if asn in each.types:
                return True
        return False

    def about(self, asn: int | None) -> Sequence[IpObservation]:
        """Return what each build states about the addresses in a network; nothing without an ASN."""
        return [_statement(each.build, each.types.get(asn)) for each in self.builds] if asn is not None else []

    def with_labels(self, labels: frozenset[str]) -> "NetworkTypes":
        """Return only the builds with these labels."""
        return NetworkTypes(tuple(each for each in self.builds if each.build.label in labels))


@lru_cache(maxsize=1024)
def _statement(build: SourceBuild, ip_type: IpType | None) -> IpObservation:
    return IpObservation(
        source=build.name,
        observed_at=build.built_at,
        confirmed_until=build.built_at,
        facts=IpFacts(ip_types=frozenset({ip_type} if ip_type is not None else ())),
    )


NO_NETWORK_TYPES = NetworkTypes()
"""No source of types by network."""
