"""Compute the snapshot of sessions from the facts about their addresses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, Self, TypeVar

from snapshots.app.enrich.lookup import Lookups
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.runtime import Clock
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.errors import InvalidEvent
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.facts.validation import LARGEST_ASN
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_cache import VerdictCache
from snapshots.domain.snapshot.verdict_spans import HistoryReadings


class Judgeable(Protocol):
    """A session that receives a snapshot."""

    @property
    def sighting(self) -> Sighting | None:
        """Return the canonical sighting."""
        ...

    def judged(self, verdict: IpSnapshot | Gap) -> Self:
        """Return the session with a verdict."""
        ...


S = TypeVar("S", bound=Judgeable)

CHUNK = 5_000
"""Sessions per inventory query, to bound the memory for its rows."""


class SnapshotService:
    """
    Computes snapshots for batches of sessions, and caches the verdicts. Other programs get one from `open_service`.

    Args:
        database: Holds the inventory.
        lookups: Looks up addresses that lack a registered build.
        reader: Chooses facts as of a sighting.
        policy: Decides which snapshots are accepted.
        clock: Provides the time of stored rows.
    """

    def __init__(
        self,
        database: Database,
        lookups: Lookups,
        reader: AsOfReader,
        policy: SnapshotPolicy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._lookups = lookups
        self._reader = reader
        self._policy = policy
        self._clock = clock
        self._knowledge: object = None
        self._cache = VerdictCache(reader, policy, largest_asn=LARGEST_ASN)

    def enrich(self, aggregates: Iterable[SessionAggregate], connection: object | None = None) -> list[SessionSummary]:
        """
        Return a summary of each aggregate, with its snapshot or gap.

        The inventory is queried once per CHUNK sessions, in one transaction. Addresses that it lacks are looked up in
        every source, and the observations are stored. The sessions are not stored: a loader that stores them must
        leave an existing snapshot unchanged.

        Args:
            aggregates: Any number of sessions, each with at least one event; none gives an empty list. An iterator is
                read to its end before the transaction begins.
            connection: The caller's SQLAlchemy connection to the same database. All statements then run there, under
                a savepoint, and nothing is committed. Without it the work is a transaction of its own.

        Returns:
            Summaries in the order of the aggregates. One without a snapshot has a gap; a missing fact or address is
            never an error.

        Raises:
            InvalidEvent: An aggregate has no events, is not a SessionAggregate, or has an invalid value.
            InvalidAddress: An aggregate has an invalid address.
            StoreUnavailable: The database did not answer; nothing was stored.
            SourceUnreadable: A fact source cannot be read; nothing was stored.
        """
        if not isinstance(aggregates, Iterable):
            raise InvalidEvent(f"enrich takes SessionAggregates in a list or another iterable, not {aggregates!r:.80}")
        summaries = [_summary_of(aggregate) for aggregate in aggregates]
        with self._database.transaction(connection) as stores:
            return [
                offered
                for begin in range(0, len(summaries), CHUNK)
                for offered in self.offer(summaries[begin : begin + CHUNK], stores)
            ]

    def offer(self, sessions: Sequence[S], stores: Stores) -> list[S]:
        """Return sessions with snapshots or gaps as `enrich` does, within an open transaction."""
        self.register_sources(stores)  # a file of facts may have been replaced
        sightings = [s.sighting for s in sessions if s.sighting is not None]
        outdated = stores.inventory.register_addresses(sightings, registered_at=self._clock.now())
        self._evict_stale(stores)
        histories = self.look_up(outdated, stores)
        self._knowledge = knowledge_in(stores)
        verdicts = iter(self._completed(sightings, self.cached(sightings), stores, histories))
        return [
            session.judged(Gap.NO_SOURCE_IP if session.sighting is None else next(verdicts)) for session in sessions
        ]

    def cached(self, sightings: Sequence[Sighting]) -> Sequence[IpSnapshot | Gap | None]:
        """Return the cached verdicts on sightings, which may be stale; None for a sighting without one."""
        verdict = self._cache.verdict
        return [verdict(sighting) for sighting in sightings]

    def _completed(
        self,
        sightings: Sequence[Sighting],
        cached: Sequence[IpSnapshot | Gap | None],
        stores: Stores,
        histories: Mapping[IpAddress, Sequence[IpObservation]],
    ) -> Sequence[IpSnapshot | Gap]:
        """
        Return cached verdicts, and compute the others. All verdicts come from here.

        Observations are read from the inventory, except those of addresses in *histories*.
        """
        cache = self._cache
        unknown = [s for s, verdict in zip(sightings, cached, strict=True) if verdict is None]
        asked = [sighting for sighting in unknown if sighting.address.is_routable]
        unread = [s for s in asked if s.address not in histories]
        stored = stores.inventory.as_of(unread) if unread else {}
        calendar = BuildCalendar.of(stores.sources.registered())
        readings: dict[int, HistoryReadings] = {}  # addresses with equal facts share their history

        def judged(sighting: Sighting) -> IpSnapshot | Gap:
            history = histories.get(sighting.address)
            if history is None:
                return cache.judge(sighting, stored.get(sighting))
            if id(history) not in readings:
                readings[id(history)] = cache.readings_of(calendar.address_history(history))
            return cache.judge_by(sighting, readings[id(history)])

        return [
            verdict or cache.verdict(sighting) or judged(sighting)
            for sighting, verdict in zip(sightings, cached, strict=True)
        ]

    def judge_stored(
        self, sightings: Sequence[Sighting], stores: Stores, *, is_dry_run: bool
    ) -> Sequence[IpSnapshot | Gap]:
        """
        Return the snapshot or gap for each sighting of stored sessions.

        Args:
            sightings: A batch.
            stores: The transaction.
            is_dry_run: The transaction will be rolled back, but the cache keeps its verdicts. After any other rollback
                call `clear_cache`: the cache may hold verdicts from lookups that were not stored.
        """
        self.register_sources(stores)
        self._evict_stale(stores)
        cached = self.cached(sightings)
        unknown = [sighting for sighting, verdict in zip(sightings, cached, strict=True) if verdict is None]
        outdated = stores.inventory.register_addresses(unknown, registered_at=self._clock.now())
        histories = self.look_up(outdated, stores)
        if outdated:
            cached = self.cached(sightings)
        if not is_dry_run:
            self._knowledge = knowledge_in(stores)
        return self._completed(sightings, cached, stores, histories)

    def look_up(self, outdated: Mapping[IpAddress, int], stores: Stores) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """
        Look up addresses, each with the number of the last build in which it was looked up.

        Returns:
            All observations of these addresses, as they are stored now; those of an address can be missing.
        """
        self._cache.forget(outdated)
        return self._lookups.catch_up(outdated, stores).histories

    def clear_cache(self) -> None:
        """Evict all verdicts at the next use, because a transaction with lookups was rolled back."""
        self._knowledge = None

    @property
    def rules(self) -> str:
        """Return a text that differs whenever verdicts may differ because of the settings."""
        return repr((self._reader, self._policy))

    def _evict_stale(self, stores: Stores) -> None:
        """Evict all verdicts if facts or builds were changed elsewhere, or after `clear_cache`."""
        known = knowledge_in(stores)
        if known != self._knowledge:
            self._knowledge = known
            self._cache.clear(largest_asn=stores.largest_asn)

    def register_sources(self, stores: Stores) -> None:
        """Register the bundled builds and those of the settings."""
        self._lookups.register_sources(stores)


def _summary_of(aggregate: object) -> SessionSummary:
    if not isinstance(aggregate, SessionAggregate):
        raise InvalidEvent(f"enrich takes SessionAggregates, not {aggregate!r:.80}")
    aggregate.validate()
    return aggregate.summary()


def knowledge_in(stores: Stores) -> object:
    """Return a value that changes with every change of facts or builds, for comparison by equality."""
    return stores.inventory.learned_last(), builds_in(stores)


def builds_in(stores: Stores) -> object:
    """Return a value that changes with every registered or retracted build, for comparison by equality."""
    builds = tuple((registered.number, registered.is_retracted) for registered in stores.sources.registered())
    return builds, stores.largest_asn
