"""The inventory of addresses, in SQL."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    true,
    union,
    union_all,
    update,
)

from snapshots.adapters.sql.connection.dialects import each_of, each_span, insert
from snapshots.adapters.sql.rows.row_decoder import address_of, observation_in
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations, known_addresses, known_networks
from snapshots.adapters.sql.stores.current_facts import insert_observations, show_newest
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.enrich.lookup import ENRICHMENT
from snapshots.app.ports.database import Document
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.network_name import NetworkName, newest_name
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.freshness import FAST_TYPES, FreshnessPolicy
from snapshots.domain.snapshot.provenance import CurrentFacts

PAGE = 10_000


class SqlIpInventory:
    """Addresses in `known_addresses`, and their observations in `ip_observations`."""

    def __init__(self, connection: Connection, sources: SqlFactSources, shape: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._sources = sources
        self._others = shape.others

    def as_of(
        self, sightings: Collection[Sighting], *, known_by_then: bool = False
    ) -> Mapping[Sighting, Sequence[IpObservation]]:
        """
        Return what sources said next to each sighting, in one query.

        The addresses of a batch are far fewer than its sightings. For each address and source the runs are read
        from the last that begins before its first sighting to the first that begins after its last one.
        """
        if not sightings:
            return {}
        spans = _spans(sightings)
        # What was learned later may stand nearer to a sighting than what was known by then: that asks for all of it.
        said = (
            self.history_of({sighting.address for sighting in sightings})
            if known_by_then
            else self._runs_between([(address, *span) for address, span in spans.items()])
        )
        return BuildCalendar.of(self._sources.registered()).answers(sightings, said, known_by_then=known_by_then)

    def learned_last(self) -> datetime | None:
        """Return the newest learned_at: one step in its index."""
        return self._connection.execute(select(learned_last())).scalar()

    def _runs_between(
        self, spans: Sequence[tuple[str, datetime, datetime]]
    ) -> Mapping[IpAddress, Sequence[IpObservation]]:
        wanted = each_span(self._connection, spans).cte("wanted")
        if self._connection.dialect.name == "postgresql":
            return self._observations(_by_seeks(wanted))
        own = ip_observations.alias("own")
        of_source = and_(
            own.c.ip_address == wanted.c.address, own.c.source == ip_observations.c.source, ~_is_retracted(own)
        )
        newest = select(func.max(own.c.observed_at)).where(of_source, own.c.observed_at <= wanted.c.first)
        oldest = select(func.min(own.c.observed_at)).where(of_source, own.c.observed_at > wanted.c.last)
        at = ip_observations.c.observed_at
        query = select(ip_observations).join_from(
            wanted, ip_observations, ip_observations.c.ip_address == wanted.c.address
        )
        query = query.where(
            at >= func.coalesce(newest.scalar_subquery(), at), at <= func.coalesce(oldest.scalar_subquery(), at)
        )
        return self._observations(query)

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """Return all observations of each address, in one query."""
        wanted = each_of(self._connection, [address.text for address in addresses]).cte("wanted")
        return self._observations(select(ip_observations).join(wanted, ip_observations.c.ip_address == wanted.c.value))

    def _observations(self, query: Select[Any]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        histories: defaultdict[IpAddress, list[IpObservation]] = defaultdict(list)
        for row in self._connection.execute(query):
            observation = observation_in(row)
            histories[observation.address].append(observation)
        return dict(histories)

    def register(self, sightings: Collection[Sighting], *, registered_at: datetime) -> Mapping[IpAddress, int]:
        """Insert the addresses that are not there, without sessions, and tell which lack builds."""
        spans = _spans(sightings)
        if not spans:
            return {}
        self._insert_addresses([(address, *span) for address, span in sorted(spans.items())], registered_at)
        wanted = each_of(self._connection, list(spans)).cte("wanted")
        return self._numbers(self._lacking_builds().where(known_addresses.c.ip_address.in_(select(wanted.c.value))))

    def _insert_addresses(self, seen: Sequence[tuple[str, datetime, datetime]], registered_at: datetime) -> None:
        """Insert missing addresses with a session count of 0, each with its first and last sighting."""
        given = each_span(self._connection, seen).subquery()
        now = literal(registered_at, known_addresses.c.created_at.type)
        columns = ["ip_address", "first_seen", "last_seen", "session_count", "created_at", "updated_at"]
        rows = select(given.c.address, given.c.first, given.c.last, literal(0), now, now).where(true())
        statement = insert(self._connection, known_addresses).from_select(columns, rows)
        self._connection.execute(statement.on_conflict_do_nothing())

    def page(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        """Return addresses in the order of their texts."""
        row = known_addresses.c
        query = select(row.ip_address).where(row.ip_address > after).order_by(row.ip_address).limit(limit)
        return [IpAddress(text) for text in self._connection.execute(query).scalars()]

    def looked_up(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        """Return addresses that lack no build."""
        row = known_addresses.c
        query = select(row.ip_address).where(row.ip_address > after, ~self._lacks_builds())
        return [IpAddress(t) for t in self._connection.execute(query.order_by(row.ip_address).limit(limit)).scalars()]

    def count(self) -> int:
        """Count the addresses."""
        return int(self._connection.execute(select(func.count()).select_from(known_addresses)).scalar_one())

    def take_over(self, *, registered_at: datetime) -> None:
        """Read another loader's addresses in pages, because they may not be in canonical form."""
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
        """Return what stands in another loader's column `enrichment`."""
        if self._others is None:
            return []
        row = self._others.addresses.c
        query = self._documents_query(self._others.addresses).where(row.ip_address > after)
        return self._documents(query.order_by(row.ip_address).limit(limit))

    def documents_of(self, addresses: Collection[IpAddress]) -> Sequence[Document]:
        """Return the documents of these addresses."""
        if self._others is None or not addresses:
            return []
        texts = each_of(self._connection, [address.text for address in addresses])
        theirs = self._others.addresses
        return self._documents(self._documents_query(theirs).where(theirs.c.ip_address.in_(texts)))

    @staticmethod
    def _documents_query(theirs: Table) -> Select[Any]:
        row = theirs.c
        content: ColumnElement[Any] = literal_column("ip_inventory.enrichment")
        return select(row.ip_address, content, row.enrichment_updated_at, row.created_at)

    def _documents(self, query: Select[Any]) -> Sequence[Document]:
        return [
            Document(address=address, content=_decoded(content), written_at=written_at or created_at)
            for text, content, written_at, created_at in self._connection.execute(query)
            if (address := address_of(text)) is not None
        ]

    def behind(self, freshness: FreshnessPolicy, *, now: datetime, limit: int) -> Mapping[IpAddress, int]:
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
        observations: Collection[IpObservation],
        organizations: Mapping[int, NetworkName],
        newest: Mapping[IpAddress, CurrentFacts],
        *,
        learned_at: datetime,
        looked_up: Collection[IpAddress] = (),
        since: int = 0,
        until: int = 0,
    ) -> None:
        """Insert observations, or let their confirmed_until grow; show the newest facts on the address."""
        networks = {facts.snapshot.asn for facts in newest.values() if facts.snapshot.asn is not None}
        self._name_networks(networks, organizations, learned_at)
        if observations:
            last = self.learned_last()
            if last is not None and learned_at <= last:  # another process has another clock
                learned_at = last + timedelta(microseconds=1)
            insert_observations(self._connection, observations, learned_at)
            row = known_addresses.c
            texts = each_of(self._connection, list({said.address.text for said in observations}))
            self._connection.execute(
                update(known_addresses).where(row.ip_address.in_(texts)).values(learned_at=learned_at)
            )
        if newest:
            show_newest(self._connection, newest, learned_at)
        if looked_up:
            row = known_addresses.c
            texts = each_of(self._connection, [address.text for address in looked_up])
            self._connection.execute(
                update(known_addresses)
                .where(row.ip_address.in_(texts), row.looked_up_until.between(since, until - 1))
                .values(looked_up_until=until)
            )

    def forget_newest(self, addresses: Collection[IpAddress]) -> None:
        """Set the newest facts to NULL."""
        row = known_addresses.c
        texts = each_of(self._connection, [address.text for address in addresses])
        dates = ("current_asn_at", "current_country_at", "current_ip_type_at", "newest_at")
        nothing = dict.fromkeys(("current_asn", "current_country", "current_ip_type", *dates))
        self._connection.execute(update(known_addresses).where(row.ip_address.in_(texts)).values(**nothing))

    def _name_networks(
        self, networks: Collection[int], organizations: Mapping[int, NetworkName], now: datetime
    ) -> None:
        """Insert missing networks, and let each have the newest of its names."""
        times = {"first_seen": now, "last_seen": now, "created_at": now, "updated_at": now}
        rows = [{"asn_number": number} | times for number in sorted({*networks, *organizations})]
        if not rows:
            return
        self._connection.execute(insert(self._connection, known_networks).on_conflict_do_nothing(), rows)
        row = known_networks.c
        # In the order of their numbers, so that two transactions cannot wait for each other.
        held = select(row.asn_number, row.organization_name, row.organization_name_at).order_by(row.asn_number)
        numbers = each_of(self._connection, list(map(str, organizations))).subquery()
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
    """Return the query for the newest learned_at: one step in its index."""
    return select(func.max(known_addresses.c.learned_at)).scalar_subquery()


def _spans(sightings: Collection[Sighting]) -> dict[str, tuple[datetime, datetime]]:
    """Return the first and the last moment at which each address was sighted."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for sighting in sightings:
        at = sighting.seen_at
        first, last = spans.get(sighting.address.text, (at, at))
        spans[sighting.address.text] = (min(first, at), max(last, at))
    return spans


def _is_retracted(runs: FromClause) -> ColumnElement[bool]:
    return exists().where(
        fact_sources.c.source == runs.c.source,
        fact_sources.c.built_at == runs.c.observed_at,
        fact_sources.c.retracted_at.is_not(None),
    )


def _by_seeks(wanted: CTE) -> Select[Any]:
    """
    Return the query for the runs around each span, by seeks in the index for each source.

    A window over all runs of the addresses costs PostgreSQL somewhat more with three runs an address, and ever more
    with longer histories; see benchmarks/lookup.py.
    """
    # What another loader's enrichment says is no registered build.
    sources = union(select(fact_sources.c.source), select(literal(ENRICHMENT))).subquery("sources")
    row = ip_observations.c
    of_source = (
        select(ip_observations)
        .where(row.ip_address == wanted.c.address, row.source == sources.c.source, ~_is_retracted(ip_observations))
        .correlate(wanted, sources)
    )
    around = union_all(
        of_source.where(row.observed_at <= wanted.c.first).order_by(row.observed_at.desc()).limit(1),
        of_source.where(row.observed_at > wanted.c.first, row.observed_at <= wanted.c.last),
        of_source.where(row.observed_at > wanted.c.last).order_by(row.observed_at).limit(1),
    ).lateral("around")
    return select(*(around.c[column.name] for column in ip_observations.columns)).select_from(
        wanted.join(sources, true()).join(around, true())
    )


def _decoded(content: object) -> object:
    """Return a JSON document that a database may keep as text; None for what is none."""
    if not isinstance(content, str | bytes):
        return content
    try:
        return json.loads(content)
    except ValueError:
        return None
