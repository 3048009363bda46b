"""Reports on addresses and sources, in SQL."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, func, not_, or_, select

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.current_answers import SEEN_AT, CurrentAnswers
from snapshots.adapters.sql.queries.query_builder import selected
from snapshots.adapters.sql.rows.row_decoder import observation_in
from snapshots.adapters.sql.schema import versions
from snapshots.adapters.sql.schema.tables import (
    fact_sources,
    ip_observations,
    is_sealed,
    known_addresses,
    known_networks,
    session_summaries,
)
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.queries.inventory_reports import (
    Drift,
    InventoryStatus,
    KnownAddress,
    Move,
    SourceState,
)
from snapshots.app.queries.session_queries import EVERYTHING, Dimension, SessionFilter
from snapshots.domain.facts.fact_kind import FactKind, kinds_in_list
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.freshness import CurrentSince, Freshness, FreshnessPolicy
from snapshots.domain.snapshot.validity import NewestBuild

SESSIONS, ADDRESSES = session_summaries.c, known_addresses.c
THEN_AND_NOW = {
    "asn": (SESSIONS.snapshot_asn, ADDRESSES.current_asn, ADDRESSES.current_asn_at),
    "country": (SESSIONS.snapshot_country, ADDRESSES.current_country, ADDRESSES.current_country_at),
    "ip_type": (SESSIONS.snapshot_ip_type, ADDRESSES.current_ip_type, ADDRESSES.current_ip_type_at),
}
"""The fact in a snapshot, the newest fact, and the date of the newest."""

PAGE = 10_000
"""Rows in memory."""

MOST_EXAMINED = 100_000
"""Observations that are read to find out which kinds of facts sources state."""

KEYS = {"asn": Dimension.ASN, "country": Dimension.COUNTRY, "ip_type": Dimension.IP_TYPE}


def _is_comparable(then: ColumnElement[Any], answered_at: ColumnElement[Any]) -> ColumnElement[bool]:
    """
    Return the condition that the newest fact is newer than the attack and than the tables of the snapshot.

    An inferred snapshot comes from tables newer than the attack and must not be compared with these.
    """
    return and_(then.is_not(None), answered_at > SEEN_AT, answered_at > func.coalesce(SESSIONS.enrichment_at, SEEN_AT))


class SqlInventoryReports:
    """
    Queries over `known_addresses`, `ip_observations` and `fact_sources`.

    Args:
        database: The database.
        freshness: Maximum ages of facts.
    """

    def __init__(self, database: SqlDatabase, freshness: FreshnessPolicy) -> None:
        self._database = database
        self._freshness = freshness

    def status(self, *, now: datetime) -> InventoryStatus:
        """Return the number of addresses by freshness, and the state of sources."""
        with self._database.reading() as connection:
            newest = select(func.max(fact_sources.c.number)).scalar_subquery()
            behind = case((ADDRESSES.looked_up_until < func.coalesce(newest, 0), 1), else_=0)
            totals = select(func.count(), func.coalesce(func.sum(behind), 0)).select_from(known_addresses)
            addresses, lacking = connection.execute(totals).one()
            states: Counter[Freshness] = Counter()
            ages = select(ADDRESSES.newest_at, ADDRESSES.current_ip_type, func.count()).group_by(
                ADDRESSES.newest_at, ADDRESSES.current_ip_type
            )
            for at, word, count in connection.execute(ages):
                age = max(now - at, timedelta(0)) if at is not None else None
                states[self._freshness.freshness_of(age, IpType(word) if word else None)] += count
            sources = self._sources(connection, now)
            return InventoryStatus(addresses=addresses, behind=int(lacking), by_freshness=states, sources=sources)

    def address(self, text: str) -> KnownAddress | None:
        """Return everything known of an address."""
        with self._database.reading() as connection:
            query = (
                select(known_addresses, known_networks.c.organization_name)
                .join(known_networks, known_networks.c.asn_number == ADDRESSES.current_asn, isouter=True)
                .where(ADDRESSES.ip_address == text)
            )
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            observed = (
                select(ip_observations)
                .where(ip_observations.c.ip_address == text)
                .order_by(ip_observations.c.source, ip_observations.c.observed_at)
            )
            first, last, sessions = self._seen(connection, text, row)
            return KnownAddress(
                address=text,
                first_seen=first,
                last_seen=last,
                sessions=sessions,
                asn=row["current_asn"],
                organization=row["organization_name"],
                country=row["current_country"],
                ip_type=row["current_ip_type"],
                history=[observation_in(found) for found in connection.execute(observed)],
                retracted=BuildCalendar.of(SqlFactSources(connection).registered()).retracted,
            )

    @staticmethod
    def _seen(connection: Connection, address: str, row: RowMapping) -> tuple[datetime, datetime, int]:
        """Return the first and last sighting of an address, and its number of sessions."""
        if not versions.is_adopted(connection):
            return row["first_seen"], row["last_seen"], row["session_count"]
        # Another loader also stores sessions, and does not update our count.
        query = select(func.min(SESSIONS.first_event_at), func.max(SESSIONS.last_event_at), func.count()).where(
            SESSIONS.source_ip == address
        )
        first, last, count = connection.execute(query).one()
        return first or row["first_seen"], last or row["last_seen"], count

    def drift(self, *, now: datetime, top: int, session_filter: SessionFilter = EVERYTHING) -> Drift:
        """Compare the facts of snapshots with current ones."""
        answers = CurrentAnswers(CurrentSince.at(now))
        with self._database.reading() as connection:
            joined = session_summaries.outerjoin(known_addresses, ADDRESSES.ip_address == SESSIONS.source_ip)
            newer = {name: _is_comparable(then, at) for name, (then, _, at) in THEN_AND_NOW.items()}
            comparable = {name: and_(newer[name], answers.holds_today(KEYS[name])) for name in newer}
            expired = {name: and_(newer[name], not_(answers.holds_today(KEYS[name]))) for name in newer}
            # The columns of the sessions are in the order of an index, so that their groups need no sorting.
            keys = [SESSIONS.source_ip, *(then for then, _, _ in THEN_AND_NOW.values())]
            columns = [
                *keys,
                *(func.max(current) for _, current, _ in THEN_AND_NOW.values()),  # the same for a whole address
                *(func.count(case((each, 1))) for some in (comparable, expired) for each in some.values()),
                func.count(case((or_(*comparable.values()), 1))),
                func.count(),
            ]
            query = select(*(column.label(f"c{n}") for n, column in enumerate(columns))).select_from(joined)
            query = query.where(is_sealed(), selected(connection, session_filter, now)).group_by(*keys).order_by(*keys)
            totals = DriftTotals(connection.execute(query, execution_options={"yield_per": PAGE}))
            return Drift(
                sealed=totals.sealed,
                newest_tables=_newest_tables(connection),
                sessions=totals.sessions,
                addresses=totals.addresses,
                compared={name: totals.compared[name] for name in THEN_AND_NOW},
                changed={name: totals.moved[name].total() for name in THEN_AND_NOW},
                expired={name: totals.expired[name] for name in THEN_AND_NOW},
                moves={name: totals.moves(name, top) for name in THEN_AND_NOW},
            )

    def newest_builds(self) -> Sequence[NewestBuild]:
        """
        Return the newest build of each source, and which columns and types its observations have.

        Observations are not read of bundled sources and of lists of one type, whose kinds of facts are known, and of
        the others at most MOST_EXAMINED: a source states the same kinds about all addresses.
        """
        with self._database.reading() as connection:
            registered = [each.build for each in SqlFactSources(connection).registered() if not each.is_retracted]
            newest = {build.name: build for build in sorted(registered, key=lambda build: build.built_at)}
            unknown = [name for name, build in newest.items() if build.form and not kinds_in_list(build)]
            stated = _kinds_stated(connection, unknown) if unknown else {}
        return [NewestBuild(build, stated.get(name, ())) for name, build in newest.items()]

    def _sources(self, connection: Connection, now: datetime) -> Sequence[SourceState]:
        begun = select(ip_observations.c.source, ip_observations.c.observed_at, func.count()).group_by(
            ip_observations.c.source, ip_observations.c.observed_at
        )
        counts = {(source, at): count for source, at, count in connection.execute(begun)}
        registered = SqlFactSources(connection).registered()
        by_date = sorted(registered, key=lambda b: b.build.built_at)
        newest = {b.build.name: b.build.built_at for b in by_date if not b.is_retracted}
        return [
            SourceState(
                registered=b,
                observations=counts.get((b.build.name, b.build.built_at), 0),
                is_newest=newest.get(b.build.name) == b.build.built_at,
                freshness=self._freshness.freshness_of(max(now - b.build.built_at, timedelta(0)), None),
            )
            for b in registered
        ]


class DriftTotals:
    """
    Totals over sessions that are grouped by address and facts.

    Args:
        rows: In the order of addresses: the address, the facts of the snapshot, the newest ones, for each fact the
            number of sessions for which it is comparable and for which the newest one expired, the number of those
            with any comparable fact, and the number of all.
    """

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self.sealed = self.sessions = self.addresses = 0
        self.compared: Counter[str] = Counter()
        self.expired: Counter[str] = Counter()
        self.moved: Mapping[str, Counter[tuple[Any, Any]]] = {name: Counter() for name in THEN_AND_NOW}
        self._moved_addresses: Mapping[str, Counter[tuple[Any, Any]]] = {name: Counter() for name in THEN_AND_NOW}
        for address, own in groupby(rows, key=itemgetter(0)):
            before, moves = self.sessions, set[tuple[str, tuple[Any, Any]]]()
            for row in own:
                moves.update(self._add(row))
            if address is not None:
                self.addresses += self.sessions > before
                for name, move in moves:
                    self._moved_addresses[name][move] += 1

    def _add(self, row: Sequence[Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
        """Count the sessions of a row; yield what changed for them."""
        then, now, comparable, expired = row[1:4], row[4:7], row[7:10], row[10:13]
        any_comparable, count = row[13:]
        self.sealed += count
        self.sessions += any_comparable
        for n, name in enumerate(THEN_AND_NOW):
            self.expired[name] += expired[n]
            self.compared[name] += comparable[n]
            if comparable[n] and then[n] != now[n]:
                self.moved[name][then[n], now[n]] += comparable[n]
                yield name, (then[n], now[n])

    def moves(self, name: str, top: int) -> Sequence[Move]:
        """Return the changes of a fact with most sessions."""
        order = sorted(self.moved[name].items(), key=lambda item: (-item[1], *map(_sort_key, item[0])))
        return [
            Move(then=_text(then), now=_text(now), sessions=count, addresses=self._moved_addresses[name][then, now])
            for (then, now), count in order[:top]
        ]


def _sort_key(value: Any) -> tuple[bool, Any]:
    return value is not None, value


def _kinds_stated(connection: Connection, sources: Collection[str]) -> Mapping[str, Collection[FactKind]]:
    row = ip_observations.c
    wanted = (row.source, row.asn, row.country, row.ip_types)
    part = select(*wanted).where(row.source.in_(sources)).limit(MOST_EXAMINED).subquery().c
    has = [
        part.ip_types.contains(kind.ip_type.value)
        if kind.ip_type is not None
        else (part.asn if kind is FactKind.ASN else part.country).is_not(None)
        for kind in FactKind
    ]
    query = select(part.source, *(func.max(case((is_stated, 1), else_=0)) for is_stated in has)).group_by(part.source)
    return {
        source: [kind for kind, count in zip(FactKind, counts, strict=True) if count]
        for source, *counts in connection.execute(query)
    }


def _newest_tables(connection: Connection) -> Sequence[str]:
    by_date = sorted(SqlFactSources(connection).registered(), key=lambda registered: registered.build.built_at)
    newest = {registered.build.name: registered.build.label for registered in by_date if not registered.is_retracted}
    return sorted(newest.values())


def _text(value: object) -> str | None:
    return None if value is None else str(value)
