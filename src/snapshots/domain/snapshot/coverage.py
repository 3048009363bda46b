"""How many sessions and addresses carry a snapshot, and why the others do not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

NOT_JUDGED = "not_judged"
"""The word for sessions that nobody judged, beside the reasons of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCase:
    """
    Sessions that stand alike: all sealed with the same kinds of facts, or all open for one reason.

    Attributes:
        count: How many there are, at least 1.
        has_asn: Whether they hold an ASN.
        has_country: Whether they hold a country.
        has_type: Whether they hold an IP type.
        method: How near their facts are to the attack; None if they are open.
        gap: Why they are open; None if they are sealed, or if nobody judged them.
    """

    count: int
    has_asn: bool = False
    has_country: bool = False
    has_type: bool = False
    method: Method | None = None
    gap: Gap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """
    How much of what was counted holds a snapshot.

    Attributes:
        total: Everything counted: sessions, or distinct addresses.
        sealed: Those that hold a snapshot.
        asn: Those that hold an ASN.
        country: Those that hold a country.
        ip_type: Those that hold an IP type.
        by_method: Sealed ones by method; the counts add up to sealed.
        asof: How many of each `by_field` count hold only facts stated by the time of the attack.
        inferred: How many of each `by_field` count hold a fact stated only after the attack.
        by_gap: Open ones by reason, None for those nobody judged; the counts add up to total - sealed.
    """

    total: int = 0
    sealed: int = 0
    asn: int = 0
    country: int = 0
    ip_type: int = 0
    by_method: Counter[Method] = field(default_factory=Counter)
    asof: Counter[str] = field(default_factory=Counter)
    inferred: Counter[str] = field(default_factory=Counter)
    by_gap: Counter[Gap | None] = field(default_factory=Counter)

    @classmethod
    def of(cls, cases: Iterable[CoverageCase]) -> "Coverage":
        """Return the coverage of everything in *cases*."""
        cases = list(cases)
        sealed = [case for case in cases if case.method is not None]
        total = _by_field(sealed)
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
            asof=_by_field(case for case in sealed if case.method is Method.ASOF),
            inferred=_by_field(case for case in sealed if case.method is Method.INFERRED),
            by_gap=by_gap,
        )

    @property
    def by_field(self) -> Mapping[str, int]:
        """Return how many hold each thing that is asked of coverage, by its word."""
        return {"snapshot": self.sealed, "asn": self.asn, "country": self.country, "ip_type": self.ip_type}

    @property
    def open(self) -> int:
        """Return how many hold no snapshot."""
        return self.total - self.sealed

    @property
    def reachable(self) -> int:
        """Return how many could hold one: all but those whose address is not routable."""
        return self.total - self.by_gap[Gap.NOT_ROUTABLE]

    def share(self, count: int) -> float | None:
        """Return *count* as a share, 0 to 1, of what is reachable; None if nothing is."""
        return count / self.reachable if self.reachable else None

    def meets(self, target: float) -> bool:
        """
        Whether snapshots, ASN and country each cover enough.

        Args:
            target: The least share, 0 to 1, of what is reachable.

        Returns:
            False if nothing is reachable: nothing proves nothing.
        """
        shares = [self.share(count) for count in (self.sealed, self.asn, self.country)]
        return all(share is not None and share >= target for share in shares)


def _by_field(sealed: Iterable[CoverageCase]) -> Counter[str]:
    """Count sealed sessions by the keys of `Coverage.by_field`."""
    counts: Counter[str] = Counter()
    for case in sealed:
        counts["snapshot"] += case.count
        counts["asn"] += case.count * case.has_asn
        counts["country"] += case.count * case.has_country
        counts["ip_type"] += case.count * case.has_type
    return counts
