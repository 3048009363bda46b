"""Look addresses up in ranges in memory."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from snapshots.adapters.intel.layouts.table import Row, Unused
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts, SourceBuild

ADDRESSES = {4: 2**32, 6: 2**125}
"""Number of addresses of an IP version; of IPv6, one eighth is assigned."""


REPEATED = "repeated"
REPLACED = "replaced by a later row with the same range"


class RangeSource:
    """
    Ranges in memory. Where ranges overlap, the one that begins last applies; the facts of equal ranges are united.

    Args:
        build: The build that the file contains.
        rows: The ranges, in any order.
        unused: Numbers of rows of the file that are not used, by the reason.
    """

    def __init__(self, build: SourceBuild, rows: Iterable[Row], unused: Unused | None = None) -> None:
        self._build = build
        self._facts: list[IpFacts | None] = [None]
        self.unused = unused if unused is not None else Unused()
        known: dict[int, int] = {}  # by identity, because hashing the facts of every row would dominate the time
        by_version: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        for version, first, last, facts in rows:
            index = known.get(id(facts))
            if index is None:
                index = known[id(facts)] = len(self._facts)
                self._facts.append(facts)
            by_version[version].append((first, last, index))
        self._pieces = {version: _flattened(own, self._united) for version, own in by_version.items() if own}

    def _united(self, first: int, second: int) -> int:
        """Return the index of the facts of two equal ranges: those of the second, and of the first what it lacks."""
        one, other = self._facts[first] or NO_FACTS, self._facts[second] or NO_FACTS
        both = IpFacts(
            asn=other.asn or one.asn,
            organization=other.organization if other.asn is not None else one.organization,
            country=other.country or one.country,
            ip_types=one.ip_types | other.ip_types,
        )
        if both == one:
            self.unused[REPEATED] += 1
            return first
        if one.asn not in {None, both.asn} or one.country not in {None, both.country}:
            self.unused[REPLACED] += 1
        self._facts.append(both)
        return len(self._facts) - 1

    @property
    def build(self) -> SourceBuild:
        """Return the build that the file contains."""
        return self._build

    @property
    def versions(self) -> frozenset[int]:
        """Return the IP versions of the ranges."""
        return frozenset(self._pieces)

    @property
    def size(self) -> int:
        """Return the number of disjoint ranges."""
        return sum(len(starts) for starts, _ in self._pieces.values())

    @property
    def typed_shares(self) -> Mapping[IpType, float]:
        """Return the largest share of an IP version, of all routable addresses, that has each type."""
        shares: dict[IpType, float] = {}
        for version, (starts, indexes) in self._pieces.items():
            counts: Counter[IpType] = Counter()
            for (start, following), index in zip(pairwise(starts), indexes, strict=False):
                facts = self._facts[index]
                for kind in facts.ip_types if facts is not None else ():
                    counts[kind] += following - start
            for kind, count in counts.items():
                shares[kind] = max(shares.get(kind, 0), min(1, count / ADDRESSES[version]))
        return shares

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """Return the facts of each address in a range; other addresses are absent."""
        found = {}
        for address in addresses:
            pieces = self._pieces.get(address.version)
            if pieces is None:
                continue
            starts, indexes = pieces
            at = bisect_right(starts, address.number) - 1
            facts = self._facts[indexes[at]] if at >= 0 else None
            if facts is not None:
                found[address] = facts
        return found


def _flattened(
    rows: list[tuple[int, int, int]], united: Callable[[int, int], int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the starts and the indexes of facts of disjoint pieces; index 0 means no facts."""
    starts: list[int] = []
    indexes = array("L")

    def add(start: int, index: int) -> None:
        if starts and starts[-1] == start:
            indexes[-1] = index
        else:
            starts.append(start)
            indexes.append(index)

    previous = (-1, -1)
    within: list[tuple[int, int]] = []  # (last, index) of the ranges that contain the current start, the innermost last
    for first, last, own in sorted(rows, key=lambda row: (row[0], -row[1])):
        index = own
        while within and within[-1][0] < first:
            over = within.pop()[0]
            while within and within[-1][0] <= over:
                within.pop()
            add(over + 1, within[-1][1] if within else 0)
        if previous == (first, last):
            index = united(within.pop()[1], index)
        add(first, index)
        within.append((last, index))
        previous = (first, last)
    while within:
        over = within.pop()[0]
        while within and within[-1][0] <= over:
            within.pop()
        add(over + 1, within[-1][1] if within else 0)
    return (array("L", starts) if starts[-1] < 2**64 else starts), indexes
