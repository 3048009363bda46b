"""Cache verdicts on sightings by span of time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import AddressHistory
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import HistoryReadings, SpanEvaluator, VerdictSpan

DEFAULT_CAPACITY = 24_000
"""Verdicts in memory; about ten megabytes."""


class VerdictCache:
    """
    Computes verdicts on sightings, and caches each with the span of time in which it is valid.

    Spans stay cached until `forget` or `clear`, or until they are evicted.

    Args:
        reader: Chooses facts as of a sighting.
        policy: Decides which snapshots are acceptable.
        largest_asn: The largest ASN that the store can hold.
        capacity: Maximum number of cached spans.
    """

    def __init__(
        self, reader: AsOfReader, policy: SnapshotPolicy, *, largest_asn: int, capacity: int = DEFAULT_CAPACITY
    ) -> None:
        self._reader = reader
        self._policy = policy
        self._evaluator = SpanEvaluator(reader, policy, largest_asn=largest_asn)
        self._capacity = capacity
        self._spans: dict[str, tuple[VerdictSpan, ...]] = {}
        self._size = 0
        self._equal: dict[IpSnapshot | Gap, IpSnapshot | Gap] = {}
        self._edges: dict[datetime, datetime] = {}

    def verdict(self, sighting: Sighting) -> IpSnapshot | Gap | None:
        """Return the cached verdict on a sighting; None if it must be computed."""
        at = sighting.seen_at
        for _, since, until, verdict in self._spans.get(sighting.address.text, ()):
            if since <= at < until:
                return verdict
        return None

    def judge(self, sighting: Sighting, nearest: Sequence[IpObservation] | None) -> IpSnapshot | Gap:
        """
        Compute and cache the verdict on a sighting.

        Args:
            sighting: The canonical sighting of a session.
            nearest: Of each source the observations next to the sighting; None if the address was never looked up.
        """
        return self._cached(self._evaluator.evaluate(sighting, nearest))

    def readings_of(self, history: AddressHistory) -> HistoryReadings:
        """Return the readings of a history, for `judge_by`."""
        return HistoryReadings(self._evaluator, history)

    def judge_by(self, sighting: Sighting, readings: HistoryReadings) -> IpSnapshot | Gap:
        """Compute and cache the verdict on a sighting by the readings of the history of its address."""
        return self._cached(self._evaluator.verdict_by(readings.at(sighting.seen_at), sighting))

    def _cached(self, found: VerdictSpan) -> IpSnapshot | Gap:
        verdict = self._equal.setdefault(found.verdict, found.verdict)
        since, until = (self._edges.setdefault(edge, edge) for edge in (found.since, found.until))
        if self._size >= self._capacity:
            self._evict()
        self._spans[found.address] = (
            *self._spans.get(found.address, ()),
            VerdictSpan(found.address, since, until, verdict),
        )
        self._size += 1
        return verdict

    def _evict(self) -> None:
        """Drop the addresses of the older half."""
        for address in list(islice(self._spans, (len(self._spans) + 1) // 2)):
            self._size -= len(self._spans.pop(address))
        self._equal.clear()
        self._edges.clear()

    def forget(self, addresses: Iterable[IpAddress]) -> None:
        """Drop the verdicts on addresses that have new observations."""
        for address in addresses:
            self._size -= len(self._spans.pop(address.text, ()))

    def clear(self, *, largest_asn: int | None = None) -> None:
        """Drop all verdicts; *largest_asn* is the new limit of the store, None if it is unchanged."""
        if largest_asn is not None:
            self._evaluator = SpanEvaluator(self._reader, self._policy, largest_asn=largest_asn)
        self._spans.clear()
        self._equal.clear()
        self._edges.clear()
        self._size = 0
