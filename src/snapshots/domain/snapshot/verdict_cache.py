"""Cache verdicts on sightings by span of time, because the facts of an address stay the same between two builds."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot

DEFAULT_CAPACITY = 24_000
"""Verdicts in memory; about ten megabytes. A store may hold evicted ones."""

MIN_TIME, MAX_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
RESOLUTION = timedelta(microseconds=1)


class VerdictSpan(NamedTuple):
    """A verdict on one address, for every sighting with *since* <= time < *until*. A tuple, because there are many."""

    address: str
    since: datetime
    until: datetime
    verdict: IpSnapshot | Gap


class Verdicts(NamedTuple):
    """
    The cached verdicts.

    Attributes:
        generation: Number that grows whenever cached verdicts become invalid; within one, spans are only appended.
        spans: The cached spans, oldest first; overlapping spans of one address have equal verdicts.
        evicted: Number of older spans of this generation that were dropped from memory. They remain valid.
    """

    generation: int
    spans: Sequence[VerdictSpan]
    evicted: int = 0


class VerdictCache:
    """
    Computes verdicts on sightings, and caches each with the span of time in which it is valid.

    A verdict can change only at the date of a build, and where a build reaches its maximum age or lag. Between two such
    times it is constant. Spans stay cached until `forget` or `clear`, or until they are evicted.

    Args:
        reader: Chooses facts as of a sighting.
        policy: Decides which snapshots are acceptable.
        largest_asn: The largest ASN that the store can hold.
        capacity: Maximum number of cached spans.
    """

    def __init__(
        self, reader: AsOfReader, policy: SnapshotPolicy, *, largest_asn: int, capacity: int = DEFAULT_CAPACITY
    ) -> None:
        self._largest_asn = largest_asn
        self._capacity = capacity
        self._reader = reader
        self._policy = policy
        self._policy_lags = () if policy.max_lag is None else (policy.max_lag,)
        self._network_edges = self._edges_of_networks()
        self._spans: dict[str, tuple[VerdictSpan, ...]] = {}
        self._in_order: list[VerdictSpan] = []
        self._evicted = 0
        self._generation = 0
        self._equal: dict[IpSnapshot | Gap, IpSnapshot | Gap] = {}
        self._edges: dict[datetime, datetime] = {}

    @property
    def remembered(self) -> Verdicts:
        """Return the cached verdicts. The list is live: later verdicts are appended to it."""
        return Verdicts(self._generation, self._in_order, self._evicted)

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
            nearest: Of each source the observations next to the sighting, as `BuildCalendar.nearest` returns them; None
                if the address was never looked up.
        """
        span = self._span(nearest or (), sighting.seen_at)
        return self._judge(sighting, nearest, span)

    def judge_neighbours(self, sighting: Sighting, nearest_to: Callable[[datetime], Sequence[IpObservation]]) -> None:
        """
        Compute also the spans before and after that of a sighting, up to the first and the last edge.

        Most addresses return, so their history is read once for all sightings.

        Args:
            sighting: A sighting whose verdict was computed.
            nearest_to: Returns the observations of its address next to a time, as `BuildCalendar.nearest`.
        """
        here = self._span(nearest_to(sighting.seen_at), sighting.seen_at)
        for is_later in (True, False):
            since, until = here
            while (until if is_later else since) not in {MIN_TIME, MAX_TIME}:
                at = until if is_later else since - RESOLUTION
                nearest = nearest_to(at)
                since, until = span = self._span(nearest, at)
                neighbour = sighting._replace(seen_at=at)
                if since != MIN_TIME and until != MAX_TIME and self.verdict(neighbour) is None:
                    self._judge(neighbour, nearest, span)

    def precompute(
        self, address: IpAddress, nearest_to: Callable[[datetime], Sequence[IpObservation]], *, now: datetime = MAX_TIME
    ) -> None:
        """
        Compute and cache the verdicts for all possible sightings of an address.

        Args:
            address: An address that was looked up.
            nearest_to: Returns its observations next to a time, as `BuildCalendar.nearest`.
            now: The present time, in UTC; spans that begin later may be missing.
        """
        until = MIN_TIME
        while until < now:
            nearest = nearest_to(until)
            since, until = self._span(nearest, at := until)
            self._judge(Sighting(address, at), nearest, (since, until))

    def _judge(
        self, sighting: Sighting, nearest: Sequence[IpObservation] | None, span: tuple[datetime, datetime]
    ) -> IpSnapshot | Gap:
        reading = self._reader.read(nearest, at=sighting.seen_at) if nearest else None
        verdict = self._policy.verdict(sighting, reading, largest_asn=self._largest_asn)
        verdict = self._equal.setdefault(verdict, verdict)
        if len(self._in_order) >= self._capacity:
            self._evict()
        address = sighting.address.text
        judged = VerdictSpan(address, *span, verdict)
        self._spans[address] = (*self._spans.get(address, ()), judged)
        self._in_order.append(judged)
        return verdict

    def _evict(self) -> None:
        """Drop the older half: the newest spans may not be in the store yet."""
        half = (len(self._in_order) + 1) // 2
        self._in_order = self._in_order[half:]
        self._evicted += half
        self._spans.clear()
        for span in self._in_order:
            self._spans[span.address] = (*self._spans.get(span.address, ()), span)
        self._equal.clear()
        self._edges.clear()

    def forget(self, addresses: Iterable[IpAddress]) -> None:
        """
        Drop the verdicts on addresses that have new observations.

        An address whose verdict was computed in this generation lacked no build then, so no evicted span is affected.
        """
        gone = {address.text for address in addresses if self._spans.pop(address.text, None) is not None}
        if gone:
            self._in_order = [each for each in self._in_order if each.address not in gone]
            self._begin_generation()

    def clear(self, *, largest_asn: int | None = None) -> None:
        """Drop all verdicts; *largest_asn* is the new limit of the store, None if it is unchanged."""
        self._largest_asn = largest_asn or self._largest_asn
        self._spans.clear()
        self._equal.clear()
        self._edges.clear()
        self._in_order = []
        self._begin_generation()

    def _begin_generation(self) -> None:
        self._generation += 1
        self._evicted = 0

    def _edges_of_networks(self) -> Sequence[datetime]:
        """Return the times at which a type by network can change a verdict, in order."""
        lags = [lag for lag in (self._reader.max_lag, *self._policy_lags) if lag is not None]
        edges: set[datetime] = set()
        for moment in self._reader.network_types.moments:
            edges |= {moment, _moved(moment, self._reader.network_max_age + RESOLUTION)}
            edges |= {_moved(moment, -lag) for lag in lags}
        return sorted(edges)

    def _span(self, nearest: Sequence[IpObservation], at: datetime) -> tuple[datetime, datetime]:
        if not nearest:
            return MIN_TIME, MAX_TIME
        passed = bisect_right(self._network_edges, at)
        since = self._network_edges[passed - 1] if passed else MIN_TIME
        until = self._network_edges[passed] if passed < len(self._network_edges) else MAX_TIME
        later = {each.source: each for each in nearest if each.observed_at > at}
        for each in nearest:
            moment = each.observed_at
            if moment > at:
                lags = (*self._reader.lags_of(each), *self._policy_lags)
                edges = [moment, *(_moved(moment, -lag) for lag in lags), *self._reader.moments_of(each)]
            else:
                ages = self._reader.ages_of(each, later.get(each.source))
                edges = [moment, *(_moved(moment, age + RESOLUTION) for age in ages)]
            for edge in edges:
                if edge <= at:
                    since = max(since, edge)
                else:
                    until = min(until, edge)
        return self._edges.setdefault(since, since), self._edges.setdefault(until, until)


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return MAX_TIME if by > timedelta(0) else MIN_TIME
