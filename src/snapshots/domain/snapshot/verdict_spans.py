"""Verdicts on all sightings of an address, as spans of time, because its facts stay the same between two builds."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import AddressHistory, BuildCalendar
from snapshots.domain.snapshot.as_of import AsOfReader, IpReading
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot

MIN_TIME, MAX_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
RESOLUTION = timedelta(microseconds=1)
DEFAULT_CAPACITY = 5_000
"""Histories in memory; about five megabytes. Of the addresses in one network, most have the same history."""


class VerdictSpan(NamedTuple):
    """A verdict on one address, for every sighting with *since* <= time < *until*. A tuple, because there are many."""

    address: str
    since: datetime
    until: datetime
    verdict: IpSnapshot | Gap


SpanReading = tuple[datetime, datetime, IpReading | None]
"""The span of time in which a reading is valid, and the reading; None if the address was never looked up."""


class SpanEvaluator:
    """
    Computes verdicts, each with the span of time in which it is valid.

    A verdict can change only at the date of a build, and where a build reaches its maximum age or lag.

    Args:
        reader: Chooses facts as of a sighting.
        policy: Decides which snapshots are acceptable.
        largest_asn: The largest ASN that the store can hold.
        capacity: Maximum number of cached histories, with their readings.
    """

    def __init__(
        self, reader: AsOfReader, policy: SnapshotPolicy, *, largest_asn: int, capacity: int = DEFAULT_CAPACITY
    ) -> None:
        self._reader = reader
        self._policy = policy
        self._policy_lags = () if policy.max_lag is None else (policy.max_lag,)
        self._largest_asn = largest_asn
        self._network_edges = self._edges_of_networks()
        self._capacity = capacity
        self._readings: dict[tuple[IpObservation, ...], tuple[SpanReading, ...]] = {}

    def evaluate(self, sighting: Sighting, nearest: Sequence[IpObservation] | None) -> VerdictSpan:
        """
        Return the verdict on a sighting.

        Args:
            sighting: The canonical sighting of a session.
            nearest: Of each source the observations next to the sighting; None if the address was never looked up.
        """
        return self.verdict_by(self.read(nearest or (), sighting.seen_at), sighting)

    def verdict_by(self, found: SpanReading, sighting: Sighting) -> VerdictSpan:
        """Return the verdict on a sighting by the reading of its address in the span around it."""
        since, until, reading = found
        verdict = self._policy.verdict(sighting, reading, largest_asn=self._largest_asn)
        return VerdictSpan(sighting.address.text, since, until, verdict)

    def read(self, nearest: Sequence[IpObservation], at: datetime) -> SpanReading:
        """Return the reading in the span around a time; equal observations are read once."""
        if not nearest:
            return MIN_TIME, MAX_TIME, None
        stated = tuple(nearest)
        known = self._readings.get(stated, ())
        for found in known:
            since, until, _ = found
            if since <= at < until:
                return found
        if len(self._readings) >= self._capacity:
            self._readings.clear()
        found = (*self.span(nearest, at), self._reader.read(nearest, at=at))
        self._readings[stated] = (*known, found)
        return found

    def compute(
        self, sighting: Sighting, nearest: Sequence[IpObservation]
    ) -> tuple[datetime, datetime, IpSnapshot | Gap]:
        """
        Return the verdict on a sighting and its span of time, without the cache.

        Args:
            sighting: The canonical sighting of a session.
            nearest: Of each source the observations next to the sighting; empty if the address was never looked up.
        """
        since, until = self.span(nearest, sighting.seen_at)
        reading = self._reader.read(nearest, at=sighting.seen_at) if nearest else None
        return since, until, self._policy.verdict(sighting, reading, largest_asn=self._largest_asn)

    def span(self, nearest: Sequence[IpObservation], at: datetime) -> tuple[datetime, datetime]:
        """Return the span around a time in which the verdict stays the same: its start, and its exclusive end."""
        edges: list[datetime] = []
        if any(self._reader.network_types.knows(each.facts.asn) for each in nearest):
            passed = bisect_right(self._network_edges, at)
            edges += self._network_edges[max(passed - 1, 0) : passed + 1]
        later = {each.source: each for each in nearest if each.observed_at > at}
        for each in nearest:
            moment = each.observed_at
            edges.append(moment)
            if moment > at:
                lags = (*self._reader.lags_of(each), *self._policy_lags)
                edges += [_moved(moment, -lag) for lag in lags]
                edges += self._reader.moments_of(each)
            else:
                ages = self._reader.ages_of(each, later.get(each.source))
                edges += [_moved(moment, age + RESOLUTION) for age in ages]
        since = max((edge for edge in edges if edge <= at), default=MIN_TIME)
        return since, min((edge for edge in edges if edge > at), default=MAX_TIME)

    def _edges_of_networks(self) -> Sequence[datetime]:
        """Return the times at which a type by network can change a verdict, in order."""
        lags = [lag for lag in (self._reader.max_lag, *self._policy_lags) if lag is not None]
        edges: set[datetime] = set()
        for moment in self._reader.network_types.moments:
            edges |= {moment, _moved(moment, self._reader.network_max_age + RESOLUTION)}
            edges |= {_moved(moment, -lag) for lag in lags}
        return sorted(edges)


class HistoryReadings:
    """
    The readings of a history that many addresses have: in each span, the history is searched and read once.

    Args:
        evaluator: Reads the observations next to a time.
        history: The history.
    """

    def __init__(self, evaluator: SpanEvaluator, history: AddressHistory) -> None:
        self._evaluator = evaluator
        self._history = history
        self._found: list[SpanReading] = []

    def at(self, moment: datetime) -> SpanReading:
        """Return the reading in the span around a time."""
        for found in self._found:
            if found[0] <= moment < found[1]:
                return found
        found = self._evaluator.read(self._history.nearest(moment), moment)
        self._found.append(found)
        return found


class AddressSpans:
    """
    Computes the verdicts on all sightings of addresses, once for all addresses with the same history.

    Keeps every distinct history: make one per batch.

    Args:
        evaluator: Computes each verdict.
        calendar: The dates of the registered builds.
        first: The earliest sighting, in UTC; spans that end before may be missing.
        last: The latest sighting, in UTC; spans that begin later may be missing.
    """

    def __init__(
        self,
        evaluator: SpanEvaluator,
        calendar: BuildCalendar,
        *,
        first: datetime = MIN_TIME,
        last: datetime = MAX_TIME,
    ) -> None:
        self._evaluator = evaluator
        self._calendar = calendar
        self._first = first
        self._last = last
        self._computed: dict[tuple[bool, tuple[IpObservation, ...]], Sequence[VerdictSpan]] = {}

    def of(self, address: IpAddress, history: Iterable[IpObservation]) -> Sequence[VerdictSpan]:
        """
        Return the spans of an address that was looked up, in the order of time; neighbors have different verdicts.

        Args:
            address: The address.
            history: All of its observations.
        """
        key = (address.is_routable, tuple(history))
        spans = self._computed.get(key)
        if spans is None:
            spans = self._computed[key] = list(self._spans(address, key[1]))
        if spans[0].address != address.text:
            spans = [span._replace(address=address.text) for span in spans]
        return spans

    def _spans(self, address: IpAddress, history: Sequence[IpObservation]) -> Iterator[VerdictSpan]:
        nearest_to = self._calendar.address_history(history).nearest
        since, until, verdict = self._evaluator.compute(Sighting(address, self._first), nearest_to(self._first))
        while until <= self._last and until != MAX_TIME:
            _, end, following = self._evaluator.compute(Sighting(address, until), nearest_to(until))
            if following != verdict:
                yield VerdictSpan(address.text, since, until, verdict)
                since, verdict = until, following
            until = end
        yield VerdictSpan(address.text, since, until, verdict)


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return MAX_TIME if by > timedelta(0) else MIN_TIME
