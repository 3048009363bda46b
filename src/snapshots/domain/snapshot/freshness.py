"""Classify facts about addresses by age: fresh, ageing or expired."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_AGE


class Freshness(Enum):
    """The class of facts by their age today."""

    FRESH = "fresh"
    AGEING = "ageing"
    EXPIRED = "expired"
    UNKNOWN = "never looked up"


FAST_TYPES = frozenset({IpType.VPN, IpType.TOR, IpType.DATACENTER})
"""Types that change quickly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessPolicy:
    """
    Decides from which age on facts need a newer build.

    Attributes:
        fresh_for: Maximum age of fresh facts.
        fresh_for_fast: The same for addresses of one of FAST_TYPES.
        network_max_age: Maximum age of an ASN and a country before they expire.

    Raises:
        InvalidPolicy: A duration is negative.
    """

    fresh_for: timedelta = timedelta(days=30)
    fresh_for_fast: timedelta = timedelta(days=7)
    network_max_age: timedelta = NETWORK_MAX_AGE

    def __post_init__(self) -> None:
        if min(self.fresh_for, self.fresh_for_fast, self.network_max_age) < timedelta(0):
            raise InvalidPolicy("ages must not be negative")

    def freshness_of(self, age: timedelta | None, ip_type: IpType | None) -> Freshness:
        """Return the class of facts of an age; None means that there are no facts."""
        if age is None:
            return Freshness.UNKNOWN
        if age > (TYPE_MAX_AGE[ip_type] if ip_type is not None else self.network_max_age):
            return Freshness.EXPIRED
        return Freshness.FRESH if age <= self._fresh_for(ip_type) else Freshness.AGEING

    def _fresh_for(self, ip_type: IpType | None) -> timedelta:
        return self.fresh_for_fast if ip_type in FAST_TYPES else self.fresh_for


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentSince:
    """
    The oldest dates of tables that are still valid today, by the default maximum ages for an attack.

    Attributes:
        network: For ASNs and countries, in UTC.
        types: For each IP type, in UTC.
        no_type: For the answer that an address has no type, the newest of the dates of types: the last statement of a
            type may have been ignored because of its age.
    """

    network: datetime
    types: Mapping[IpType, datetime]
    no_type: datetime

    @classmethod
    def at(cls, now: datetime) -> "CurrentSince":
        """Return the dates at a time."""
        types = {ip_type: now - age for ip_type, age in TYPE_MAX_AGE.items()}
        return cls(network=now - NETWORK_MAX_AGE, types=types, no_type=max(types.values()))
