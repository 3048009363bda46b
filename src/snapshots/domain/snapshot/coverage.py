"""Count how many sessions or addresses have a snapshot, and why the others have none."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

NOT_JUDGED = "not_judged"
"""The key of sessions without a verdict, next to the gaps of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCase:
    """
    A group of sessions: all sealed with the same kinds of facts, or all open for one reason.

    Attributes:
        count: Number of sessions, at least 1.
        has_asn: Whether their snapshots have an ASN.
        has_country: Whether their snapshots have a country.
        has_type: Whether their snapshots have an IP type.
        method: The method of their snapshots; None if they are open.
        gap: Why they are open; None if they are sealed or have no verdict yet.
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
    Numbers of sessions, or of distinct addresses, with and without a snapshot.

    Attributes:
        total: All of them.
        sealed: Those with a snapshot.
        asn: Those with an ASN.
        country: Those with a country.
        ip_type: Those with an IP type.
        by_method: Sealed ones by method; the counts add up to sealed.
        asof: Of each `by_field` count, those with only facts stated by the time of the attack.
        inferred: Of each `by_field` count, those with a fact first stated after the attack.
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
    by_gap: Counter[Gap | None] = field(default_factory=Counter)

    @classmethod
    def of(cls, cases: Iterable[CoverageCase]) -> "Coverage":
        """Return the sums over *cases*."""
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
        """Return the number of snapshots and of each fact, by name."""
        return {"snapshot": self.sealed, "asn": self.asn, "country": self.country, "ip_type": self.ip_type}

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


def _by_field(sealed: Iterable[CoverageCase]) -> Counter[str]:
    """Count sealed sessions by the keys of `Coverage.by_field`."""
    counts: Counter[str] = Counter()
    for case in sealed:
        counts["snapshot"] += case.count
        counts["asn"] += case.count * case.has_asn
        counts["country"] += case.count * case.has_country
        counts["ip_type"] += case.count * case.has_type
    return counts
