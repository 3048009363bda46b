"""What one build of one source says of one address."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.validation import check_asn, check_country, check_utc


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

    def equal(self, other: "IpFacts") -> bool:
        """Whether both say the same of the address; what its network is called makes no difference."""
        return (self.asn, self.country, self.ip_types) == (other.asn, other.country, other.ip_types)


NO_FACTS = IpFacts()
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
        form: How the file is read again, such as "mmdb", "ranges" or "list TOR"; "" if it comes with the program.
    """

    name: str
    built_at: datetime
    licence: str
    sha256: str
    origin: str
    form: str = ""

    def __post_init__(self) -> None:
        check_utc(self.built_at)

    @property
    def label(self) -> str:
        """Return the name and the day, such as "dbip@2026-09-01"."""
        return label_of(self.name, self.built_at)


@lru_cache(maxsize=1024)
def label_of(source: str, built_at: datetime) -> str:
    """Return how a build is named in a snapshot's provenance."""
    return f"{source}@{built_at.date()}"


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
        learned_at: When it was first stored; None if it was not stored yet. It makes no difference to what was said.
    """

    address: IpAddress
    source: str
    observed_at: datetime
    confirmed_until: datetime
    facts: IpFacts
    learned_at: datetime | None = field(default=None, compare=False)

    def heard_at(self, moment: datetime) -> datetime:
        """Return the date of the newest build at or before *moment* known to have said this, else of the first."""
        return self.confirmed_until if self.confirmed_until <= moment else self.observed_at
