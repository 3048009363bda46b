"""What one build of one source says of one address."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from snapshots.domain.ip_type import IpType
from snapshots.domain.snapshot import check_asn, check_country, check_utc
from snapshots.domain.source_ip import IpAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class IpFacts:
    """
    What is said of an address, only the facts that are stated.

    Attributes:
        asn: Autonomous system number, 1 to 4294967295, or None.
        organization: The name of the autonomous system, where the source has one.
        country: ISO 3166-1 alpha-2, upper case, or None.
        ip_types: Every type that applies; empty if none is stated.

    Raises:
        InvalidFact: A fact is out of range.
    """

    asn: int | None = None
    organization: str | None = None
    country: str | None = None
    ip_types: frozenset[IpType] = frozenset()

    def __post_init__(self) -> None:
        check_asn(self.asn)
        check_country(self.country)


NOTHING = IpFacts()
"""The address was looked up, and the source does not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBuild:
    """
    One dated build of one source of facts.

    Attributes:
        name: The source, such as "dbip".
        built_at: When the source made this build, in UTC.
        licence: Under which terms the data may be used, with the attribution they ask for.
        sha256: The hash of the data, in hexadecimal.
        origin: A file's path, or "bundled".
    """

    name: str
    built_at: datetime
    licence: str
    sha256: str
    origin: str

    def __post_init__(self) -> None:
        check_utc(self.built_at)

    @property
    def label(self) -> str:
        """Return the name and the day, such as "dbip@2026-09-01"."""
        return label_of(self.name, self.built_at)


def label_of(source: str, built_at: datetime) -> str:
    """Return how a build is named in a snapshot's provenance."""
    return f"{source}@{built_at:%Y-%m-%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IpObservation:
    """
    What one source said of one address, from one build to another.

    A run of builds that say the same is one observation. That a build knows nothing of the address is
    an observation too.

    Attributes:
        address: The address that was looked up.
        source: The name of the source.
        observed_at: The date of the first build that said so, in UTC.
        confirmed_until: The date of the last build in the run that said the same.
        facts: What was said.
    """

    address: IpAddress
    source: str
    observed_at: datetime
    confirmed_until: datetime
    facts: IpFacts

    def covers(self, moment: datetime) -> bool:
        """Whether the source is known to have said this at *moment*."""
        return self.observed_at <= moment <= self.confirmed_until

    def is_same_run_as(self, other: "IpObservation") -> bool:
        """Whether both are the same run of builds of one source, perhaps known up to different dates."""
        return (self.address, self.source, self.observed_at) == (other.address, other.source, other.observed_at)

    def heard_at(self, moment: datetime) -> datetime:
        """Return the date of the newest build at or before *moment* known to have said this, else of the first."""
        return self.confirmed_until if self.confirmed_until <= moment else self.observed_at


def extended(
    history: Collection[IpObservation], address: IpAddress, facts: IpFacts, *, build: SourceBuild
) -> IpObservation:
    """
    Return the observation that adds to *history* what *build* says.

    Args:
        history: What is held of this address from this source; no observation covers the build.
        address: The address that was looked up.
        facts: What the build says of it.
        build: The build, older or newer than what is held.

    Returns:
        The observation before it, confirmed until the build, if that said the same; else a new one.
    """
    at = build.built_at
    before = max((o for o in history if o.observed_at < at), key=lambda o: o.observed_at, default=None)
    if before is not None and _same(before.facts, facts):
        return replace(before, confirmed_until=at)
    return IpObservation(address=address, source=build.name, observed_at=at, confirmed_until=at, facts=facts)


def _same(one: IpFacts, other: IpFacts) -> bool:
    return (one.asn, one.country, one.ip_types) == (other.asn, other.country, other.ip_types)
