"""The facts about an address at one time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import is_by_network
from snapshots.domain.facts.validation import check_asn, check_country, check_utc


class Method(Enum):
    """How the facts of a snapshot relate to the time of the attack."""

    ASOF = "asof"
    """Every fact was stated at or before the sighting."""
    INFERRED = "inferred"
    """A fact was stated only after the sighting."""
    CORRECTED = "corrected"
    """An operator stated a fact, through the audit."""
    ADOPTED = "adopted"
    """Another loader wrote the facts before its database was adopted; their date is that loader's."""

    @property
    def explanation(self) -> str:
        """Return an explanation of the method that completes the phrase "facts ..."."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Method.ASOF: "stated by the time of the attack",
    Method.INFERRED: "of which at least one was first stated after the attack",
    Method.CORRECTED: "stated by an operator, through the audit",
    Method.ADOPTED: "that another loader wrote before the database was adopted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IpSnapshot:
    """
    The facts about one address at one time.

    They were chosen together, so they are stored or dropped together. An unknown fact is None; at least one is known.

    Attributes:
        asn: Autonomous system number, 1 to 4294967295.
        country: ISO 3166-1 alpha-2, upper case, such as "DE"; never a pseudo code such as "XX".
        ip_type: The highest-ranked type by IpTypePriority.
        enrichment_at: Date of the newest table consulted by the time of the sighting, even if it had no entry; of an
            inferred snapshot, of its newest fact. Aware, in UTC.
        method: Whether all facts were stated by the time of the sighting.
        source: Labels of the builds that stated the facts, such as "dbip@2026-09-01 iporigin@2026-10-05", in the order
            of the facts; see `fact_methods.source_text`.

    Raises:
        InvalidFact: A fact is out of range, there is none, or enrichment_at is not in UTC.
    """

    asn: int | None
    country: str | None
    ip_type: IpType | None
    enrichment_at: datetime
    method: Method
    source: str

    def __post_init__(self) -> None:
        if self.asn is None and self.country is None and self.ip_type is None:
            raise InvalidFact("a snapshot needs at least one fact: an ASN, a country or an IP type")
        check_asn(self.asn)
        check_country(self.country)
        check_utc(self.enrichment_at)

    @classmethod
    def corrected(
        cls,
        held: "IpSnapshot | None",
        *,
        asn: int | None = None,
        country: str | None = None,
        ip_type: IpType | None = None,
        at: datetime,
    ) -> "IpSnapshot":
        """
        Return a snapshot with the corrections of an operator; facts that are None stay unchanged.

        Args:
            held: The snapshot to correct; None if another loader wrote it and it cannot be parsed.
            asn: The correct ASN.
            country: The correct country.
            ip_type: The correct type.
            at: The present time, in UTC.

        Raises:
            InvalidFact: No fact is given, or a fact is out of range.
        """
        if asn is None and country is None and ip_type is None:
            raise InvalidFact("a correction needs at least one fact: an ASN, a country or an IP type")
        return cls(
            asn=held.asn if asn is None and held is not None else asn,
            country=held.country if country is None and held is not None else country,
            ip_type=held.ip_type if ip_type is None and held is not None else ip_type,
            enrichment_at=at,
            method=Method.CORRECTED,
            source=f"operator@{at:%Y-%m-%d}",
        )

    @property
    def builds(self) -> tuple[str, ...]:
        """Return each label in its source once."""
        return tuple(dict.fromkeys(self.source.split()))

    @property
    def is_type_by_network(self) -> bool:
        """Whether the type is that of the network, and not of the address."""
        return any(map(is_by_network, self.builds))

    def lag_behind(self, moment: datetime) -> timedelta:
        """Return how long after *moment* the newest fact was stated; negative if before."""
        return self.enrichment_at - moment
