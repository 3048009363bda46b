"""Give sessions the snapshot of what was known of their address."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from snapshots.app.enrich.lookup import Lookups
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.runtime import Clock
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.errors import InvalidEvent
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.facts.validation import LARGEST_ASN
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_cache import VerdictCache, Verdicts

CHUNK = 5_000
"""Sessions per query of the inventory, which bounds the memory for its answers."""


class SnapshotService:
    """
    Offers a snapshot to sessions, a whole batch at a time.

    Args:
        database: Where the inventory is.
        lookups: Looks addresses up that lack a registered build.
        reader: How facts are chosen as of a sighting.
        policy: Which snapshot a session may keep.
        clock: Tells when something was learned.
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
        self._known: object = None
        self._judgement = VerdictCache(reader, policy, largest_asn=LARGEST_ASN)

    def enrich(self, aggregates: Iterable[SessionAggregate], connection: object | None = None) -> list[SessionSummary]:
        """
        Return a summary of each aggregate, with the snapshot that is offered to it.

        The inventory is asked once for every CHUNK sessions, in one transaction. Addresses that it does not know are
        looked up in every source, and what is learned is stored. The sessions themselves are not: a loader that
        stores them must keep an existing snapshot unchanged.

        Args:
            aggregates: Any number of sessions, each with at least one event; an iterator is read to its end before
                the transaction begins.
            connection: The caller's SQLAlchemy connection to the same database. All work is then done
                there, under a savepoint, and nothing is committed. Without it the work is a
                transaction of its own.

        Returns:
            Summaries in the order of the aggregates. One without a snapshot has a gap: a missing
            fact or address is never an error.

        Raises:
            InvalidEvent: An aggregate has no events, is not a SessionAggregate, or has an invalid value.
            InvalidAddress: An aggregate has an invalid address.
            StoreUnavailable: The database did not answer; nothing was learned.
            SourceUnreadable: A source of facts cannot be read; nothing was learned.
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

    def offer(self, summaries: Collection[SessionSummary], stores: Stores) -> list[SessionSummary]:
        """Do what `enrich` does for summaries, within a transaction that is open already."""
        self.register_sources(stores)  # a file of facts may have been replaced since
        sightings = [s.sighting for s in summaries if s.sighting is not None]
        behind = stores.inventory.register_addresses(sightings, registered_at=self._clock.now())
        self._forget_what_is_out_of_date(stores)
        self._learn_of(behind, stores)
        self._known = knowledge_in(stores)
        verdicts = iter(self._verdicts(sightings, stores))
        return [
            summary.judged(Gap.NO_SOURCE_IP if summary.sighting is None else next(verdicts)) for summary in summaries
        ]

    def _verdicts(self, sightings: Sequence[Sighting], stores: Stores) -> Sequence[IpSnapshot | Gap]:
        return self._completed(sightings, self.remembered(sightings), stores)

    def remembered(self, sightings: Sequence[Sighting]) -> Sequence[IpSnapshot | Gap | None]:
        """Return the verdicts on sightings that are remembered, which may be out of date; None where none is."""
        verdict = self._judgement.verdict
        return [verdict(sighting) for sighting in sightings]

    def _completed(
        self,
        sightings: Sequence[Sighting],
        remembered: Sequence[IpSnapshot | Gap | None],
        stores: Stores,
        *,
        more_will_come: bool = False,
    ) -> Sequence[IpSnapshot | Gap]:
        """Return the snapshot that a session with each sighting may hold, or why it gets none: the one place for it."""
        judgement = self._judgement
        unknown = [s for s, verdict in zip(sightings, remembered, strict=True) if verdict is None]
        asked = [sighting for sighting in unknown if sighting.address.is_routable]
        ahead = self._judged_ahead(asked, stores) if more_will_come and asked else {}
        left = [sighting for sighting in asked if sighting not in ahead]
        said = stores.inventory.as_of(left) if left else {}
        return [
            verdict
            or ahead.get(sighting)
            or judgement.verdict(sighting)
            or judgement.judge(sighting, said.get(sighting))
            for sighting, verdict in zip(sightings, remembered, strict=True)
        ]

    def _judged_ahead(self, sightings: Sequence[Sighting], stores: Stores) -> Mapping[Sighting, IpSnapshot | Gap]:
        """Return the verdicts on sightings, and remember those on others of their addresses, if histories are short."""
        calendar = BuildCalendar.of(stores.sources.registered())
        if not calendar.is_short:
            return {}
        judgement = self._judgement
        histories = stores.inventory.history_of({sighting.address for sighting in sightings})
        verdicts: dict[Sighting, IpSnapshot | Gap] = {}
        for sighting in sightings:
            history = histories.get(sighting.address)
            if history is None:
                continue
            verdict = judgement.verdict(sighting)
            if verdict is None:
                said_at = calendar.told(history).nearest
                verdict = judgement.judge(sighting, said_at(sighting.seen_at))
                judgement.judge_nearby(sighting, said_at)
            verdicts[sighting] = verdict
        return verdicts

    def judge_stored(
        self, sightings: Sequence[Sighting], stores: Stores, *, is_dry_run: bool
    ) -> Sequence[IpSnapshot | Gap]:
        """
        Return the snapshot that a stored session with each sighting may hold, or why it gets none.

        Args:
            sightings: A whole batch.
            stores: The transaction in which it is done.
            is_dry_run: Whether the transaction will be rolled back; what is learned is remembered all the same.
                Where any other is rolled back `clear_cache` must be called, or its addresses are missed afterwards.
        """
        self.register_sources(stores)
        self._forget_what_is_out_of_date(stores)
        remembered = self.remembered(sightings)
        unknown = [sighting for sighting, verdict in zip(sightings, remembered, strict=True) if verdict is None]
        behind = stores.inventory.register_addresses(unknown, registered_at=self._clock.now())
        self._learn_of(behind, stores)
        if behind:
            remembered = self.remembered(sightings)
        if not is_dry_run:
            self._known = knowledge_in(stores)
        return self._completed(sightings, remembered, stores, more_will_come=True)

    def can_precompute(self, stores: Stores) -> bool:
        """Whether so few builds are known that all of an address's time can be judged at once."""
        return BuildCalendar.of(stores.sources.registered()).is_short

    def precompute(self, addresses: Collection[IpAddress], stores: Stores) -> Verdicts:
        """
        Judge every sighting that addresses may have, and return the verdicts that are remembered.

        Args:
            addresses: Such as lack no build.
            stores: The transaction in which it is done.
        """
        self._forget_what_is_out_of_date(stores)
        calendar = BuildCalendar.of(stores.sources.registered())
        histories = stores.inventory.history_of([address for address in addresses if address.is_routable])
        now = self._clock.now()
        for address, history in histories.items():
            self._judgement.judge_history(address, calendar.told(history).nearest, now=now)
        return self._judgement.remembered

    def verdicts(self, stores: Stores) -> Verdicts:
        """Return the verdicts that are remembered and hold in this transaction, for any store to apply."""
        self.register_sources(stores)
        self._forget_what_is_out_of_date(stores)
        return self._judgement.remembered

    def _learn_of(self, behind: Mapping[IpAddress, int], stores: Stores) -> None:
        """Look addresses up in the builds that they lack, as `IpInventory.register` tells them."""
        if behind:
            self._lookups.catch_up(behind, stores)
            self._judgement.forget(behind)

    def clear_cache(self) -> None:
        """Forget every verdict, because a transaction learned what is not stored."""
        self._known = None

    @property
    def knowledge(self) -> object:
        """Return what was known when the newest verdicts were reached, as `knowledge_in` tells it."""
        return self._known

    @property
    def rules(self) -> str:
        """Return a text that is another whenever sessions may be judged by other rules."""
        return repr((self._reader, self._policy))

    def _forget_what_is_out_of_date(self, stores: Stores) -> None:
        """Forget every verdict if anybody else learned, registered or retracted since, or a transaction failed."""
        known = knowledge_in(stores)
        if known != self._known:
            self._known = known
            self._judgement.forget_all(largest_asn=stores.largest_asn)

    def register_sources(self, stores: Stores) -> None:
        """Record the builds that come with the program and the settings."""
        self._lookups.register_sources(stores)


def _summary_of(aggregate: object) -> SessionSummary:
    if not isinstance(aggregate, SessionAggregate):
        raise InvalidEvent(f"enrich takes SessionAggregates, not {aggregate!r:.80}")
    aggregate.validate()
    return aggregate.summary()


def knowledge_in(stores: Stores) -> object:
    """Return what is another whenever something is known that was not known before."""
    builds = tuple((registered.number, registered.is_retracted) for registered in stores.sources.registered())
    return stores.inventory.learned_last(), builds, stores.largest_asn
