"""Give sessions the snapshot of what was known of their address."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from snapshots.app.ports import Clock, Database, FactSource, IpInventory, Stores
from snapshots.domain.errors import InvalidEvent
from snapshots.domain.gap import Gap
from snapshots.domain.observation import NOTHING, IpObservation, SourceBuild, extended
from snapshots.domain.policy import SnapshotPolicy
from snapshots.domain.reading import AsOfReader
from snapshots.domain.session import SessionAggregate
from snapshots.domain.snapshot import IpSnapshot
from snapshots.domain.source_ip import IpAddress, Sighting
from snapshots.domain.summary import SessionSummary


class SnapshotService:
    """
    Offers a snapshot to sessions, a whole batch at a time.

    Args:
        database: Where the inventory is.
        sources: The builds to look up addresses in that the inventory does not know.
        reader: How facts are chosen as of a sighting.
        policy: Which snapshot a session may keep.
        clock: Tells when something was learned.
    """

    def __init__(
        self,
        database: Database,
        sources: Sequence[FactSource],
        reader: AsOfReader,
        policy: SnapshotPolicy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sources = sources
        self._reader = reader
        self._policy = policy
        self._clock = clock

    def enrich(
        self, aggregates: Collection[SessionAggregate], connection: object | None = None
    ) -> list[SessionSummary]:
        """
        Return a summary of each aggregate, with the snapshot that is offered to it.

        The inventory is asked once for the whole batch. Addresses that it does not know are looked up
        in every source, and what is learned is stored. The sessions themselves are not: a loader that
        stores them must let a snapshot that is held already win, whole.

        Args:
            aggregates: Any number of sessions, each with at least one event.
            connection: The caller's SQLAlchemy connection to the same database. All work is then done
                there, under a savepoint, and nothing is committed. Without it the work is a
                transaction of its own.

        Returns:
            Summaries in the order of the aggregates. One without a snapshot states its gap: a missing
            fact, or address, is never an error.

        Raises:
            InvalidEvent: An aggregate has no events, or is no SessionAggregate.
            StoreUnavailable: The database did not answer; nothing was learned.
            SourceUnreadable: A source of facts cannot be read; nothing was learned.
        """
        if isinstance(aggregates, SessionAggregate) or not all(isinstance(a, SessionAggregate) for a in aggregates):
            raise InvalidEvent("enrich takes a list of SessionAggregate")
        summaries = [aggregate.summary() for aggregate in aggregates]
        with self._database.transaction(connection) as stores:
            return self.offer(summaries, stores)

    def offer(self, summaries: Collection[SessionSummary], stores: Stores) -> list[SessionSummary]:
        """Do what `enrich` does for summaries, within a transaction that is open already."""
        sightings = [s.sighting for s in summaries if s.sighting is not None]
        routable = {s.address for s in sightings if s.address.is_routable}
        stores.inventory.register(sightings, registered_at=self._clock.now())
        histories = self._histories(routable, stores.inventory)
        largest = stores.largest_asn
        return [summary.judged(self._verdict(summary.sighting, histories, largest)) for summary in summaries]

    def register_sources(self, stores: Stores) -> None:
        """Record every build that addresses are looked up in."""
        for source in self._sources:
            stores.inventory.register_source(source.build, registered_at=self._clock.now())

    def _verdict(
        self, sighting: Sighting | None, histories: Mapping[IpAddress, Sequence[IpObservation]], largest_asn: int
    ) -> IpSnapshot | Gap:
        if sighting is None or sighting.address not in histories:
            return self._policy.verdict(sighting, None)
        reading = self._reader.read(histories[sighting.address], at=sighting.seen_at)
        return self._policy.verdict(sighting, reading, largest_asn=largest_asn)

    def _histories(
        self, addresses: AbstractSet[IpAddress], inventory: IpInventory
    ) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """Ask the inventory once, and every source about the addresses that it did not cover."""
        histories = {address: list(history) for address, history in inventory.history_of(addresses).items()}
        learned: list[IpObservation] = []
        organizations: dict[int, str] = {}
        for source in self._sources:
            build = source.build
            unknown = [a for a in addresses if not _covers(histories.get(a, ()), build)]
            said = source.look_up(unknown) if unknown else {}
            for address in unknown:
                facts = said.get(address, NOTHING)
                if facts.asn is not None and facts.organization is not None:
                    organizations[facts.asn] = facts.organization
                history = histories.setdefault(address, [])
                own = [o for o in history if o.source == build.name]
                newest = extended(own, address, facts, build=build)
                history[:] = [*(o for o in history if not o.is_same_run_as(newest)), newest]
                learned.append(newest)
        shown = {said.address: self._reader.newest(histories[said.address]) for said in learned}
        known = {address: snapshot for address, snapshot in shown.items() if snapshot is not None}
        inventory.learn(learned, organizations, known, learned_at=self._clock.now())
        return histories


def _covers(history: Iterable[IpObservation], build: SourceBuild) -> bool:
    return any(o.source == build.name and o.covers(build.built_at) for o in history)
