"""Store addresses, their observations and networks, in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    true,
    update,
)

from snapshots.adapters.sql.connection.dialects.statements import insert, select_address_ranges, select_texts
from snapshots.adapters.sql.connection.keyset import is_within
from snapshots.adapters.sql.rows.row_decoder import address_of
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.schema.tables import fact_sources, known_addresses, known_networks
from snapshots.adapters.sql.stores.address_documents import AddressDocuments
from snapshots.adapters.sql.stores.current_facts import store_facts
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.adapters.sql.stores.observation_reader import ObservationReader, sighting_spans
from snapshots.app.ports.inventory import Document, LearnedFacts
from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.network_name import NetworkName, newest_name
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.freshness import FAST_TYPES, FreshnessPolicy

PAGE = 10_000


class SqlIpInventory:
    """Addresses in `known_addresses`, and their observations in `ip_observations`."""

    def __init__(self, connection: Connection, sources: SqlFactSources, features: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._observations = ObservationReader(connection, sources)
        self._others = features.others
        self._documents = (
            AddressDocuments(connection, features.others.addresses) if features.others is not None else None
        )

    def as_of(
        self, sightings: Collection[Sighting], *, known_by_then: bool = False
    ) -> Mapping[Sighting, Sequence[IpObservation]]:
        """Return the observations next to each sighting, in one query."""
        return self._observations.as_of(sightings, known_by_then=known_by_then)

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """Return all observations of each address, in one query."""
        return self._observations.history_of(addresses)

    def learned_last(self) -> datetime | None:
        """Return the newest learned_at; one index lookup."""
        return self._connection.execute(select(learned_last())).scalar()

    def register_addresses(
        self, sightings: Collection[Sighting], *, registered_at: datetime
    ) -> Mapping[IpAddress, int]:
        """Insert missing addresses without sessions; return those that lack builds."""
        spans = sighting_spans(sightings)
        if not spans:
            return {}
        self._insert_addresses([(address, *span) for address, span in sorted(spans.items())], registered_at)
        wanted = select_texts(self._connection, list(spans)).cte("wanted")
        return self._numbers(self._lacking_builds().where(known_addresses.c.ip_address.in_(select(wanted.c.value))))

    def _insert_addresses(self, seen: Sequence[tuple[str, datetime, datetime]], registered_at: datetime) -> None:
        """Insert missing addresses with a session count of 0, each with its first and last sighting."""
        given = select_address_ranges(self._connection, seen).subquery()
        now = literal(registered_at, known_addresses.c.created_at.type)
        columns = ["ip_address", "first_seen", "last_seen", "session_count", "created_at", "updated_at"]
        rows = select(given.c.address, given.c.first, given.c.last, literal(0), now, now).where(true())
        statement = insert(self._connection, known_addresses).from_select(columns, rows)
        self._connection.execute(statement.on_conflict_do_nothing())

    def page_addresses(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        """Return a page of addresses, ordered by text."""
        row = known_addresses.c
        query = select(row.ip_address).where(row.ip_address > after).order_by(row.ip_address).limit(limit)
        return [IpAddress(text) for text in self._connection.execute(query).scalars()]

    def page_looked_up(self, within: KeyRange, *, limit: int) -> Sequence[IpAddress]:
        """Return a page of addresses that were looked up in every build."""
        row = known_addresses.c
        query = select(row.ip_address).where(is_within(row.ip_address, within), ~self._lacks_builds())
        return [IpAddress(t) for t in self._connection.execute(query.order_by(row.ip_address).limit(limit)).scalars()]

    def page_outdated(self, *, after: str, limit: int) -> Mapping[IpAddress, int]:
        """Return a page of addresses that lack builds."""
        address = known_addresses.c.ip_address
        return self._numbers(self._lacking_builds().where(address > after).order_by(address).limit(limit))

    def address_ranges(self, count: int) -> Sequence[KeyRange]:
        """Number all addresses, and end a range at every n-th."""
        size = self.count_addresses() // count + 1
        address = known_addresses.c.ip_address
        numbered = select(address, func.row_number().over(order_by=address).label("number")).subquery()
        query = select(numbered.c.ip_address).where(numbered.c.number % size == 0).order_by(numbered.c.number)
        ends = self._connection.execute(query).scalars().all()
        return [KeyRange(after, until) for after, until in pairwise(["", *ends, ""])]

    def count_addresses(self) -> int:
        """Count the addresses."""
        return int(self._connection.execute(select(func.count()).select_from(known_addresses)).scalar_one())

    def take_over(self, *, registered_at: datetime) -> None:
        """Copy another loader's addresses, page by page, because they may not be in canonical form."""
        if self._others is None:
            return
        theirs, after = self._others.addresses.c, ""
        query = select(theirs.ip_address, theirs.first_seen, theirs.last_seen).order_by(theirs.ip_address).limit(PAGE)
        while rows := self._connection.execute(query.where(theirs.ip_address > after)).all():
            after = rows[-1].ip_address
            seen = [(a, r.first_seen, r.last_seen) for r in rows if (a := address_of(r.ip_address)) is not None]
            self._insert_addresses(
                [(a.text, first or registered_at, last or registered_at) for a, first, last in seen], registered_at
            )
        if self._others.networks is not None:
            row = self._others.networks.c
            named = select(row.asn_number, row.organization_name).where(row.organization_name.is_not(None))
            names = {number: NetworkName(text) for number, text in self._connection.execute(named)}
            self._name_networks({}, names, registered_at)

    def documents(self, *, after: str, limit: int) -> Sequence[Document]:
        """Return a page of another loader's documents."""
        return self._documents.page(after=after, limit=limit) if self._documents is not None else []

    def documents_of(self, addresses: Collection[IpAddress]) -> Sequence[Document]:
        """Return another loader's documents on these addresses."""
        return self._documents.of_addresses(addresses) if self._documents is not None else []

    def most_urgent(self, freshness: FreshnessPolicy, *, now: datetime, limit: int) -> Mapping[IpAddress, int]:
        """Return the most urgent addresses that lack builds."""
        row = known_addresses.c
        fast, slow = now - freshness.fresh_for_fast, now - freshness.fresh_for
        is_fast = func.coalesce(row.current_ip_type, "").in_([ip_type.value for ip_type in FAST_TYPES])
        fresh_from = case((is_fast, literal(fast, row.newest_at.type)), else_=literal(slow, row.newest_at.type))
        urgency = case((row.looked_up_until == 0, 0), (row.newest_at >= fresh_from, 2), else_=1)
        lacking = self._lacking_builds().order_by(urgency, row.last_seen.desc(), row.ip_address).limit(limit)
        return self._numbers(lacking)

    @classmethod
    def _lacking_builds(cls) -> Select[str, int]:
        return select(known_addresses.c.ip_address, known_addresses.c.looked_up_until).where(cls._lacks_builds())

    @staticmethod
    def _lacks_builds() -> ColumnElement[bool]:
        newest = select(func.coalesce(func.max(fact_sources.c.number), 0)).scalar_subquery()
        return known_addresses.c.looked_up_until < newest

    def _numbers(self, query: Select[str, int]) -> Mapping[IpAddress, int]:
        return {IpAddress(text): number for text, number in self._connection.execute(query)}

    def learn(
        self,
        learned: Collection[LearnedFacts],
        organizations: Mapping[int, NetworkName],
        *,
        learned_at: datetime,
        looked_up: Collection[IpAddress] = (),
        since: int = 0,
        until: int = 0,
    ) -> None:
        """Upsert observations, and update the newest facts of addresses."""
        snapshots = [each.newest.snapshot for each in learned if each.newest is not None]
        networks = {snapshot.asn for snapshot in snapshots if snapshot.asn is not None}
        self._name_networks(networks, organizations, learned_at)
        if any(each.observations for each in learned):
            last = self.learned_last()
            if last is not None and learned_at <= last:  # the clock of another process is ahead
                learned_at = last + timedelta(microseconds=1)
        if learned:
            store_facts(self._connection, learned, learned_at)
        if looked_up:
            row = known_addresses.c
            texts = select_texts(self._connection, [address.text for address in looked_up])
            self._connection.execute(
                update(known_addresses)
                .where(row.ip_address.in_(texts), row.looked_up_until.between(since, until - 1))
                .values(looked_up_until=until)
            )

    def forget_newest(self, addresses: Collection[IpAddress]) -> None:
        """Set the newest facts to NULL."""
        row = known_addresses.c
        texts = select_texts(self._connection, [address.text for address in addresses])
        dates = ("current_asn_at", "current_country_at", "current_ip_type_at", "newest_at")
        nothing = dict.fromkeys(("current_asn", "current_country", "current_ip_type", *dates))
        self._connection.execute(update(known_addresses).where(row.ip_address.in_(texts)).values(**nothing))

    def _name_networks(
        self, networks: Collection[int], organizations: Mapping[int, NetworkName], now: datetime
    ) -> None:
        """Insert missing networks, and update their names if newer ones are given."""
        if not networks and not organizations:
            return
        row = known_networks.c
        given = select_texts(self._connection, [str(number) for number in {*networks, *organizations}]).subquery()
        asn, at = cast(given.c.value, BigInteger), literal(now, row.created_at.type)
        columns = ["asn_number", "first_seen", "last_seen", "created_at", "updated_at"]
        rows = select(asn, at, at, at, at).where(true()).order_by(asn)
        inserting = insert(self._connection, known_networks).from_select(columns, rows)
        self._connection.execute(inserting.on_conflict_do_nothing())
        # Lock in the order of AS numbers, so that two transactions cannot deadlock.
        held = select(row.asn_number, row.organization_name, row.organization_name_at).order_by(row.asn_number)
        numbers = select_texts(self._connection, list(map(str, organizations))).subquery()
        wanted = row.asn_number.in_(select(cast(numbers.c.value, BigInteger)))
        changes = []
        for number, text, stated_at in self._connection.execute(held.where(wanted).with_for_update()):
            name = organizations[number]
            if text is not None:
                name = newest_name(NetworkName(text, stated_at), name)
            if name != (text, stated_at):
                changes.append({"number": number, "name": name.text, "name_at": name.stated_at, "now": now})
        if changes:
            self._connection.execute(
                update(known_networks)
                .where(row.asn_number == bindparam("number"))
                .values(
                    organization_name=bindparam("name"),
                    organization_name_at=bindparam("name_at"),
                    updated_at=bindparam("now"),
                ),
                changes,
            )


def learned_last() -> ScalarSelect[datetime]:
    """Return the query for the newest learned_at; one index lookup."""
    return select(func.max(known_addresses.c.learned_at)).scalar_subquery()
