"""Verdicts on sightings, each reached once: what is read of an address stays the same for a span of time."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot

LARGEST_MEMORY = 24_000
"""How many verdicts are remembered; about ten megabytes. A store may keep those that went."""

EVER, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


class VerdictSpan(NamedTuple):
    """A verdict on one address, for every sighting from *since* until before *until*. There are very many of them."""

    address: str
    since: datetime
    until: datetime
    verdict: IpSnapshot | Gap


class Verdicts(NamedTuple):
    """
    The verdicts that are remembered.

    Attributes:
        generation: Grows whenever a verdict may be wrong; until then verdicts are only added, at the end.
        spans: Where those of one address overlap they agree.
        before: How many of the generation came before these and are not remembered any more. They still hold.
    """

    generation: int
    spans: Sequence[VerdictSpan]
    before: int = 0


class VerdictCache:
    """
    Judges sightings, and remembers for how long around each the verdict holds.

    Between two edges (a build, or a build and a greatest age or lag) the same builds stand next to a
    moment and are believed, so the reading is the same. It remembers until it is told to forget.

    Args:
        reader: How facts are chosen as of a sighting.
        policy: Which snapshot a session may keep.
        largest_asn: The largest number of a network that the store can hold.
        memory: How many verdicts are remembered.
    """

    def __init__(
        self, reader: AsOfReader, policy: SnapshotPolicy, *, largest_asn: int, memory: int = LARGEST_MEMORY
    ) -> None:
        self._largest_asn = largest_asn
        self._memory = memory
        self._reader = reader
        self._policy = policy
        self._policy_lags = () if policy.max_lag is None else (policy.max_lag,)
        self._spans: dict[str, tuple[VerdictSpan, ...]] = {}
        self._in_order: list[VerdictSpan] = []
        self._before = 0
        self._generation = 0
        self._equal: dict[IpSnapshot | Gap, IpSnapshot | Gap] = {}
        self._edges: dict[datetime, datetime] = {}

    @property
    def remembered(self) -> Verdicts:
        """Return every verdict that is remembered; more may come to be in it."""
        return Verdicts(self._generation, self._in_order, self._before)

    def verdict(self, sighting: Sighting) -> IpSnapshot | Gap | None:
        """Return the verdict on a sighting if it is remembered; None if it must be judged."""
        at = sighting.seen_at
        for _, since, until, verdict in self._spans.get(sighting.address.text, ()):
            if since <= at < until:
                return verdict
        return None

    def judge(self, sighting: Sighting, said: Sequence[IpObservation] | None) -> IpSnapshot | Gap:
        """
        Return the verdict on a sighting, and remember it.

        Args:
            sighting: Of a session's canonical address.
            said: What stands next to it, each an observation of one build; None if nobody looked the address up.
        """
        span = self._span(said or (), sighting.seen_at)
        return self._judge(sighting, said, span)

    def judge_nearby(self, sighting: Sighting, said_at: Callable[[datetime], Sequence[IpObservation]]) -> None:
        """
        Judge also the spans of time before and behind that of a sighting, as far as anything bounds them.

        Most addresses come back, and an address's history is read once for all of its sightings.

        Args:
            sighting: One that was judged.
            said_at: Returns what stands next to a moment in the history of its address.
        """
        here = self._span(said_at(sighting.seen_at), sighting.seen_at)
        for is_later in (True, False):
            since, until = here
            while (until if is_later else since) not in {EVER, NEVER}:
                at = until if is_later else since - INSTANT
                said = said_at(at)
                since, until = span = self._span(said, at)
                neighbour = sighting._replace(seen_at=at)
                if since != EVER and until != NEVER and self.verdict(neighbour) is None:
                    self._judge(neighbour, said, span)

    def judge_history(
        self, address: IpAddress, said_at: Callable[[datetime], Sequence[IpObservation]], *, now: datetime = NEVER
    ) -> None:
        """
        Judge every sighting that an address may have had, and remember the verdicts.

        Args:
            address: One that was looked up.
            said_at: Returns what stands next to a moment in its history.
            now: The present moment; whatever is seen later may be left out.
        """
        until = EVER
        while until < now:
            said = said_at(until)
            since, until = self._span(said, at := until)
            self._judge(Sighting(address, at), said, (since, until))

    def _judge(
        self, sighting: Sighting, said: Sequence[IpObservation] | None, span: tuple[datetime, datetime]
    ) -> IpSnapshot | Gap:
        reading = self._reader.read(said, at=sighting.seen_at) if said else None
        verdict = self._policy.verdict(sighting, reading, largest_asn=self._largest_asn)
        verdict = self._equal.setdefault(verdict, verdict)
        if len(self._in_order) >= self._memory:
            self._let_go()
        address = sighting.address.text
        judged = VerdictSpan(address, *span, verdict)
        self._spans[address] = (*self._spans.get(address, ()), judged)
        self._in_order.append(judged)
        return verdict

    def _let_go(self) -> None:
        """Remember the older half no more: what is newest may not have reached the store yet."""
        half = (len(self._in_order) + 1) // 2
        self._in_order = self._in_order[half:]
        self._before += half
        self._spans.clear()
        for span in self._in_order:
            self._spans[span.address] = (*self._spans.get(span.address, ()), span)
        self._equal.clear()
        self._edges.clear()

    def forget(self, addresses: Iterable[IpAddress]) -> None:
        """
        Forget the verdicts on addresses, because something was learned of them.

        One that was judged since `forget_all` lacked no build then, so none that was let go is among them.
        """
        gone = {address.text for address in addresses if self._spans.pop(address.text, None) is not None}
        if gone:
            self._in_order = [each for each in self._in_order if each.address not in gone]
            self._begin_generation()

    def forget_all(self, *, largest_asn: int | None = None) -> None:
        """Forget every verdict; *largest_asn* is what the store can hold from now on, None for what it could."""
        self._largest_asn = largest_asn or self._largest_asn
        self._spans.clear()
        self._equal.clear()
        self._edges.clear()
        self._in_order = []
        self._begin_generation()

    def _begin_generation(self) -> None:
        self._generation += 1
        self._before = 0

    def _span(self, said: Sequence[IpObservation], at: datetime) -> tuple[datetime, datetime]:
        since, until = EVER, NEVER
        later = {each.source: each for each in said if each.observed_at > at}
        for each in said:
            moment = each.observed_at
            if moment > at:
                lags = (*self._reader.lags_of(each), *self._policy_lags)
                edges = [moment, *(_moved(moment, -lag) for lag in lags)]
            else:
                ages = self._reader.ages_of(each, later.get(each.source))
                edges = [moment, *(_moved(moment, age + INSTANT) for age in ages)]
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
        return NEVER if by > timedelta(0) else EVER
