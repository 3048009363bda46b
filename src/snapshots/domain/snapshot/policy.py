"""Decide which snapshot a session is sealed with."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.validation import LARGEST_ASN
from snapshots.domain.snapshot.as_of import IpReading
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method


class Requirement(Enum):
    """The facts that a snapshot must have."""

    ASN_OR_COUNTRY = "asn_or_country"
    ASN = "asn"
    COUNTRY = "country"
    ASN_AND_COUNTRY = "asn_and_country"
    ANY = "any"

    def is_met_by(self, snapshot: IpSnapshot) -> bool:
        """Whether *snapshot* has the required facts."""
        return (snapshot.asn is not None, snapshot.country is not None) in _ENOUGH[self]


_BOTH, _ASN, _COUNTRY, _NEITHER = (True, True), (True, False), (False, True), (False, False)
_ENOUGH = {
    Requirement.ASN_OR_COUNTRY: {_BOTH, _ASN, _COUNTRY},
    Requirement.ASN: {_BOTH, _ASN},
    Requirement.COUNTRY: {_BOTH, _COUNTRY},
    Requirement.ASN_AND_COUNTRY: {_BOTH},
    Requirement.ANY: {_BOTH, _ASN, _COUNTRY, _NEITHER},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPolicy:
    """
    Decides which snapshot a session is sealed with: the first acceptable one, complete and final.

    Attributes:
        requires: The facts that a snapshot must have.
        max_lag: Maximum time from the sighting to the newest fact; None for no limit.

    Raises:
        InvalidPolicy: max_lag is negative.
    """

    requires: Requirement = Requirement.ASN_OR_COUNTRY
    max_lag: timedelta | None = None

    def __post_init__(self) -> None:
        if self.max_lag is not None and self.max_lag < timedelta(0):
            raise InvalidPolicy("max_lag must not be negative")

    def keep(self, held: IpSnapshot | None, offered: IpSnapshot | None, *, seen_at: datetime) -> IpSnapshot | None:
        """
        Return the snapshot of the session when another one is offered; None if neither is acceptable.

        A missing fact of the held snapshot is never taken from a later one, because the row would then describe the
        address as it was at no time.
        """
        if held is not None:
            return held
        if offered is None or self._objection(offered, seen_at) is not None:
            return None
        return offered

    def improves(self, held: IpSnapshot, offered: IpSnapshot) -> bool:
        """
        Whether `backfill --improve` replaces *held* by *offered*.

        True if *held* is inferred and *offered* is as of the attack with the same kinds of facts or more, or if both
        have the same method and *offered* has all facts of *held* and more. A type of the address is more than one of
        its network. Corrected and adopted snapshots are never
        replaced.
        """
        if held.method not in {Method.ASOF, Method.INFERRED}:
            return False
        before, after = _stated(held), _stated(offered)
        if held.method is Method.INFERRED and offered.method is Method.ASOF:
            return before.keys() <= after.keys()
        if held.is_type_by_network and not offered.is_type_by_network and "ip_type" in after:
            del before["ip_type"]
        return held.method is offered.method and before.items() < after.items()

    def verdict(
        self, sighting: Sighting | None, reading: IpReading | None, *, largest_asn: int = LARGEST_ASN
    ) -> IpSnapshot | Gap:
        """
        Return the snapshot with which an open session is sealed, or the gap for which it stays open.

        Args:
            sighting: The canonical sighting of the session; None if it has none.
            reading: The reading of its address; None if the address has no history.
            largest_asn: The largest ASN that the store can hold.
        """
        if sighting is None:
            return Gap.NO_SOURCE_IP
        if not sighting.address.is_routable:
            return Gap.NOT_ROUTABLE
        if reading is None or not reading.was_looked_up:
            return Gap.NEVER_LOOKED_UP
        if reading.snapshot is not None:
            return self._objection(reading.snapshot, sighting.seen_at, largest_asn) or reading.snapshot
        reasons = (
            (reading.has_later_asn, Gap.NOT_ALLOCATED),
            (reading.is_too_late, Gap.TOO_LATE),
            (reading.has_expired, Gap.EXPIRED),
        )
        return next((gap for applies, gap in reasons if applies), Gap.NOTHING_KNOWN)

    def _objection(self, offered: IpSnapshot, seen_at: datetime, largest_asn: int = LARGEST_ASN) -> Gap | None:
        if not self.requires.is_met_by(offered):
            return Gap.PARTIAL
        if self.max_lag is not None and offered.lag_behind(seen_at) > self.max_lag:
            return Gap.TOO_LATE
        if offered.asn is not None and offered.asn > largest_asn:
            return Gap.ASN_TOO_LARGE
        return None


def _stated(snapshot: IpSnapshot) -> dict[str, object]:
    facts = {"asn": snapshot.asn, "country": snapshot.country, "ip_type": snapshot.ip_type}
    return {name: fact for name, fact in facts.items() if fact is not None}
