"""Count how many sessions or addresses have a snapshot, and why the others have none."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snapshots.domain.snapshot.fact_methods import Distance, FactMethod
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.provenance import FACTS
from snapshots.domain.snapshot.snapshot import Method

NOT_JUDGED = "not_judged"
"""The key of sessions without a verdict, next to the gaps of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCase:
    """
    A group of sessions: all sealed with the same kinds of facts, or all open for one reason.

    Attributes:
        count: Number of sessions, at least 1.
        facts: How near each of their facts is to the attack, by the keys of `FACTS`; a fact that they lack is absent.
        method: The method of their snapshots; None if they are open.
        gap: Why they are open; None if they are sealed or have no verdict yet.
    """

    count: int
    facts: Mapping[str, FactMethod] = field(default_factory=dict)
    method: Method | None = None
    gap: Gap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """
    Numbers of sessions, or of distinct addresses, with and without a snapshot.

    Attributes:
        total: All of them.
        sealed: Those with a snapshot.
        asn: Those with an ASN.
        country: Those with a country.
        ip_type: Those with an IP type.
        by_method: Sealed ones by method; the counts add up to sealed.
        asof: Of each `by_field` count, those whose fact was stated by the time of the attack; of snapshots, those
            whose facts all were.
        inferred: Of each `by_field` count, those whose fact was first stated after the attack; of snapshots, those
            with such a fact.
        distances: The same by `Distance`, for each of `FACTS`.
        by_network: Of the IP types, those that are known of the network and not of the address.
        asof_by_network: Those of them that were stated by the time of the attack.
        by_gap: Open ones by reason, None for those without a verdict; the counts add up to total - sealed.
    """

    total: int = 0
    sealed: int = 0
    asn: int = 0
    country: int = 0
    ip_type: int = 0
    by_method: Counter[Method] = field(default_factory=Counter)
    asof: Counter[str] = field(default_factory=Counter)
    inferred: Counter[str] = field(default_factory=Counter)
    distances: Mapping[str, Counter[Distance]] = field(default_factory=lambda: {fact: Counter() for fact in FACTS})
    by_network: int = 0
    asof_by_network: int = 0
    by_gap: Counter[Gap | None] = field(default_factory=Counter)

    @classmethod
    def of(cls, cases: Iterable[CoverageCase]) -> "Coverage":
        """Return the sums over *cases*."""
        cases = list(cases)
        sealed = [case for case in cases if case.method is not None]
        total = _by_field(sealed)
        distances: Mapping[str, Counter[Distance]] = {fact: Counter() for fact in FACTS}
        for case in sealed:
            for fact, found in case.facts.items():
                if found.distance is not None:
                    distances[fact][found.distance] += case.count
        by_method: Counter[Method] = Counter()
        by_gap: Counter[Gap | None] = Counter()
        for case in cases:
            if case.method is not None:
                by_method[case.method] += case.count
            else:
                by_gap[case.gap] += case.count
        return cls(
            total=sum(case.count for case in cases),
            sealed=total["snapshot"],
            asn=total["asn"],
            country=total["country"],
            ip_type=total["ip_type"],
            by_method=by_method,
            asof=_by_field(sealed, Method.ASOF),
            inferred=_by_field(sealed, Method.INFERRED),
            distances=distances,
            by_network=sum(case.count for case in sealed for fact in case.facts.values() if fact.is_by_network),
            asof_by_network=sum(
                case.count
                for case in sealed
                for fact in case.facts.values()
                if fact.is_by_network and fact.method is Method.ASOF
            ),
            by_gap=by_gap,
        )

    @property
    def by_field(self) -> Mapping[str, int]:
        """Return the number of snapshots and of each fact, by name."""
        return {"snapshot": self.sealed, "asn": self.asn, "country": self.country, "ip_type": self.ip_type}

    @property
    def by_address(self) -> int:
        """Return the number with an IP type that is known of the address."""
        return self.ip_type - self.by_network

    @property
    def open(self) -> int:
        """Return the number without a snapshot."""
        return self.total - self.sealed

    @property
    def reachable(self) -> int:
        """Return the number that can have a snapshot: all but those whose address is not routable."""
        return self.total - self.by_gap[Gap.NOT_ROUTABLE]

    def share(self, count: int) -> float | None:
        """Return *count* as a share, 0 to 1, of the reachable ones; None if there are none."""
        return count / self.reachable if self.reachable else None

    def meets(self, target: float) -> bool:
        """
        Whether snapshots, ASNs and countries each reach a share.

        Args:
            target: Minimum share, 0 to 1, of the reachable ones.

        Returns:
            False if none are reachable.
        """
        shares = [self.share(count) for count in (self.sealed, self.asn, self.country)]
        return all(share is not None and share >= target for share in shares)


def _by_field(sealed: Iterable[CoverageCase], method: Method | None = None) -> Counter[str]:
    """Count sealed sessions by the keys of `Coverage.by_field`, all of them or those with one method."""
    counts: Counter[str] = Counter()
    for case in sealed:
        counts["snapshot"] += case.count * (method in {None, case.method})
        for fact, found in case.facts.items():
            counts[fact] += case.count * (method in {None, found.method})
    return counts
