"""Facts that one build of one source states about one address."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from snapshots.domain.facts.build_moment import moment_text
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.validation import check_asn, check_country, check_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class IpFacts:
    """
    The facts stated about an address.

    Attributes:
        asn: Autonomous system number, 1 to 4294967295, or None.
        organization: The name of the autonomous system, or None.
        country: ISO 3166-1 alpha-2, upper case, or None.
        ip_types: All types that apply; empty if none is stated.

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
        """Whether ASN, country and types are equal; the name of the network is ignored."""
        return (self.asn, self.country, self.ip_types) == (other.asn, other.country, other.ip_types)


NO_FACTS = IpFacts()
"""The facts about an address that a source does not contain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBuild:
    """
    One dated build of one source of facts.

    Attributes:
        name: The source, such as "dbip".
        built_at: When the source made this build, in UTC; the end of its day if only the day is known.
        licence: The terms of use of the data, with the required attribution.
        sha256: The hash of the data, in hexadecimal.
        origin: The path of the file, or "bundled".
        form: The file format, such as "mmdb", "ranges" or "list TOR"; "" for bundled data.
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
        """Return the name and the day or moment, such as "dbip@2026-09-01" or "tor-exits@2026-10-15T12:02"."""
        return label_of(self.name, self.built_at)


@lru_cache(maxsize=1024)
def label_of(source: str, built_at: datetime) -> str:
    """Return the name of a build in the provenance of snapshots; see `SourceBuild.label`."""
    return f"{source}@{moment_text(built_at)}"


@lru_cache(maxsize=1024)
def labels_of(source: str, built_at: datetime) -> frozenset[str]:
    """Return the label of a build, and the one with its day alone, which older versions stored in snapshots."""
    return frozenset({label_of(source, built_at), f"{source}@{built_at.date()}"})


def without_times(labels: str) -> str:
    """Return labels of builds, separated by spaces, with their days alone."""
    return re.sub(r"(@[0-9]{4}-[0-9]{2}-[0-9]{2})T[0-9:]+", r"\1", labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class IpObservation:
    """
    The facts that consecutive builds of one source state about an address.

    Consecutive builds with equal facts are one observation. A build without facts about the address is an observation
    too. The address is not part of it: addresses of one network have equal observations, which are evaluated once.

    Attributes:
        source: The name of the source.
        observed_at: The date of the first of these builds, in UTC.
        confirmed_until: The date of the last of these builds, in UTC.
        facts: The stated facts.
        learned_at: When it was first stored, in UTC; None if it is not stored yet. Ignored by comparisons.
    """

    source: str
    observed_at: datetime
    confirmed_until: datetime
    facts: IpFacts
    learned_at: datetime | None = field(default=None, compare=False)

    def confirmed_at(self, moment: datetime) -> datetime:
        """Return the date of the newest known build of this observation at or before *moment*, else of its first."""
        return self.confirmed_until if self.confirmed_until <= moment else self.observed_at
