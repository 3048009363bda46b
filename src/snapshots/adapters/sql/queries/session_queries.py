"""Filter, group and list sessions, in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, FromClause, RowMapping, Select, cast, func, select, true

from snapshots.adapters.sql.connection.dialects.expressions import compared_by_bytes
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.address_moves import moves_of
from snapshots.adapters.sql.queries.current_answers import CurrentAnswers
from snapshots.adapters.sql.queries.cursor import SessionCursor
from snapshots.adapters.sql.queries.fact_methods import METHODS, method_by_fact, nearness, seen_for, type_by
from snapshots.adapters.sql.queries.filters.conditions import begins_with
from snapshots.adapters.sql.queries.filters.logins import hidden_passwords, password_texts
from snapshots.adapters.sql.queries.query_builder import (
    ASOF,
    COLUMNS,
    FACTS,
    INFERRED,
    LINE,
    TEXTS,
    SessionQuery,
    with_texts,
)
from snapshots.adapters.sql.rows.row_decoder import activity_in, address_of
from snapshots.adapters.sql.rows.session_logins import SqlSessionLogins
from snapshots.adapters.sql.schema.tables import known_networks, session_summaries
from snapshots.app.errors import InvalidQuery
from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.comparisons.address_moves import AddressMove
from snapshots.app.queries.pages import AddressPage, NotCurrent
from snapshots.app.queries.session_queries import (
    SNAPSHOT_FACTS,
    Dimension,
    Group,
    SessionFilter,
    SessionPage,
    SessionRow,
)
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.session.concentration import Concentration
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.snapshot.freshness import CurrentSince

SESSIONS = session_summaries.c

ALONE: Mapping[Dimension | TimeBucket, str] = {key: FACTS[key] for key in (Dimension.ASN, Dimension.COUNTRY)}
"""Facts that are counted over all sessions by a narrow index; times are looked up separately."""

NO_METHODS = (None,) * 4

SEEN_AT = len(LINE) + 1
"""Place of the time of the sighting in a row of `SessionQuery.dated`."""

MOST_SOUGHT = 1_000
"""Up to this many groups, first and last time are looked up one by one."""


class SqlSessionQueries:
    """
    Queries over the columns of `session_summaries`.

    Args:
        database: The database.
        clock: Determines which facts are current.
    """

    def __init__(self, database: SqlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def _asked(
        self, connection: Connection, session_filter: SessionFilter, *, with_behaviour: bool = False
    ) -> SessionQuery:
        current = CurrentAnswers(CurrentSince.at(self._clock.now()))
        return SessionQuery(connection, session_filter, current, with_behaviour=with_behaviour)

    def groups(
        self,
        session_filter: SessionFilter,
        by: Sequence[Dimension | TimeBucket],
        *,
        top: int,
        with_times: bool = True,
        with_addresses: bool = False,
        with_before: bool = False,
    ) -> Sequence[Group]:
        """Return the groups with most sessions, or the newest spans."""
        _check(session_filter, by, with_before=with_before)
        with self._database.reading() as connection:
            asked = self._asked(connection, session_filter)
            counts_alone = asked.is_of_everything and len(by) == 1 and top <= MOST_SOUGHT
            are_apart = counts_alone and with_times and not with_addresses and not with_before
            apart = ALONE.get(by[0]) if are_apart else None
            if with_addresses and not with_before and FACTS.keys() >= {*by}:
                facts = [key for key in by if isinstance(key, Dimension)]
                query = _by_facts(asked, session_filter, facts, with_times=with_times)
            else:
                before = session_filter.since if with_before else None
                query = asked.grouped(
                    by, with_addresses=with_addresses, with_times=with_times and apart is None, before=before
                )
            found = connection.execute(query.limit(top)).mappings().all()
            numbers = {row[f"part{by.index(Dimension.ASN)}"] for row in found} if Dimension.ASN in by else set()
            organizations = _organizations(connection, numbers)
            times = asked.times_of(apart, [row["part0"] for row in found]) if apart is not None else {}
            hashes = (
                {row[f"part{by.index(Dimension.PASSWORD)}"] for row in found} if Dimension.PASSWORD in by else set()
            )
            passwords = password_texts(connection, hashes)
            return [_group(row, by, organizations, times, passwords) for row in found]

    def count_groups(
        self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket], *, with_before: bool = False
    ) -> int:
        """Count the groups."""
        _check(session_filter, by, with_before=with_before)
        with self._database.reading() as connection:
            before = session_filter.since if with_before else None
            groups = self._asked(connection, session_filter).grouped(
                by, with_addresses=False, with_times=False, before=before
            )
            return connection.execute(select(func.count()).select_from(groups.order_by(None).subquery())).scalar_one()

    def concentration(self, session_filter: SessionFilter, by: Dimension, *, known_only: bool = False) -> Concentration:
        """Return how sessions are distributed over the values of a key."""
        _check(session_filter, [by], with_before=False)
        if by.is_repeated:
            raise InvalidQuery(f"sessions cannot be distributed over values of {by.value}: a session has several")
        with self._database.reading() as connection:
            asked = self._asked(connection, session_filter)
            sizes = (
                select(func.count().label("size"))
                .select_from(asked.rows)
                .where(*asked.conditions(parts=[by]), asked.part(by).is_not(None) if known_only else true())
                .group_by(asked.part(by))
                .subquery()
            )
            query = select(sizes.c.size, func.count()).group_by(sizes.c.size)
            return Concentration.of({row[0]: row[1] for row in connection.execute(query)})

    def count_not_current(self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket]) -> NotCurrent:
        """Count the sessions that are excluded because their facts are not current."""
        with self._database.reading() as connection:
            without_newer, expired = connection.execute(self._asked(connection, session_filter).not_current(by)).one()
            return NotCurrent(without_newer, expired)

    def count_circular(self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket]) -> int:
        """Count the sessions whose current facts come from the tables of their own snapshots."""
        with self._database.reading() as connection:
            return connection.execute(self._asked(connection, session_filter).circular(by)).scalar_one()

    def lines(
        self, session_filter: SessionFilter, *, limit: int, after: str = "", with_activity: bool = False
    ) -> SessionPage:
        """Return a page of sessions, newest first; sessions without a time come last."""
        _check(session_filter, [Dimension.ASN], with_before=False)
        behind = SessionCursor.parse(after) if after else None
        with self._database.reading() as connection:
            asked = self._asked(connection, session_filter, with_behaviour=with_activity)
            found = asked.dated(behind, limit) if behind is None or behind.at is not None else []
            if len(found) < limit and session_filter.since is None and session_filter.until is None:
                found = [*found, *asked.undated(behind, limit - len(found))]
            names = _organizations(connection, {row.asn for row in found})
            tried = SqlSessionLogins(connection).of([row.session_id for row in found]) if with_activity else None
            lines = [_line(row, names, tried) for row in found]
        last = "" if len(found) < limit else str(SessionCursor(found[-1].stored_at, found[-1].session_id))
        return SessionPage(lines, last)

    def address_moves(self, session_filter: SessionFilter) -> Sequence[AddressMove]:
        """Return the addresses whose network changed between two attacks, the newest first."""
        _check(session_filter, [Dimension.ASN], with_before=False)
        with self._database.reading() as connection:
            moves = connection.execute(moves_of(self._asked(connection, session_filter), connection)).all()
            latest = {row.address: row for row in reversed(moves)}
            names = _organizations(connection, {asn for row in latest.values() for asn in (row.before, row.asn)})
            return [
                AddressMove(
                    address=row.address,
                    before=row.before,
                    before_name=names.get(row.before),
                    before_method=row.before_method,
                    before_at=row.before_at,
                    asn=row.asn,
                    name=names.get(row.asn),
                    method=row.method,
                    at=row.at,
                )
                for row in sorted(latest.values(), key=lambda row: (row.at, row.address), reverse=True)
            ]

    def attempts_without_credentials(self, session_filter: SessionFilter, *, with_password: bool = False) -> int:
        """Count the login attempts whose credentials are not stored."""
        _check(session_filter, [Dimension.ASN], with_before=False)
        with self._database.reading() as connection:
            query = self._asked(connection, session_filter).attempts_without_credentials(with_password=with_password)
            return int(connection.execute(query).scalar_one())

    def hidden_passwords(self) -> int:
        """Count the tried passwords whose text is not stored."""
        with self._database.reading() as connection:
            return connection.execute(hidden_passwords()).scalar_one()

    def logins(self, session_ids: Collection[str]) -> Mapping[str, Sequence[StoredLogin]]:
        """Return the login attempts of sessions, the most frequent credentials first."""
        with self._database.reading() as connection:
            return SqlSessionLogins(connection).of(session_ids)

    def stored_values(self, key: Dimension, *, beginning: str = "", limit: int) -> Sequence[str]:
        """Return stored values that begin with a text, in order."""
        with self._database.reading() as connection:
            if key is Dimension.NETWORK:
                return _distinct(connection, known_networks, known_networks.c.organization_name, beginning, limit)
            if key in TEXTS:
                rows, text = with_texts(connection, session_summaries, key)
                return _distinct(connection, rows, text, beginning, limit, among=COLUMNS[key].is_not(None))
            return _distinct(connection, COLUMNS[key].table, COLUMNS[key], beginning, limit)

    def session_ids(self, beginning: str, *, limit: int) -> Sequence[str]:
        """Return keys of sessions that begin with a text, in order."""
        with self._database.reading() as connection:
            return _distinct(connection, session_summaries, SESSIONS.session_id, beginning, limit)

    def addresses(self, session_filter: SessionFilter, *, at_least: int, limit: int, after: str = "") -> AddressPage:
        """Return a page of source addresses; texts of another loader that are not addresses are skipped."""
        _check(session_filter, [Dimension.ADDRESS], with_before=False)
        with self._database.reading() as connection:
            asked = self._asked(connection, session_filter)
            text = compared_by_bytes(connection, SESSIONS.source_ip)
            query = (
                select(SESSIONS.source_ip).select_from(asked.rows).where(*asked.conditions(parts=[Dimension.ADDRESS]))
            )
            query = query.where(text > after).group_by(SESSIONS.source_ip).having(func.count() >= at_least)
            found = connection.execute(query.order_by(text).limit(limit)).scalars().all()
        addresses = [address for text in found if (address := address_of(text)) is not None]
        return AddressPage(addresses, found[-1] if len(found) == limit else "")


def _line(
    row: Sequence[Any], organizations: Mapping[int, str], tried: Mapping[str, Sequence[StoredLogin]] | None
) -> SessionRow:
    """Return a session from the columns of `SessionQuery.dated` and `undated`, which are in the order of its fields."""
    asn, country, ip_type, _, method, source = row[6:12]
    has = (asn is not None, country is not None, ip_type is not None)
    methods = _methods(has, method, source, seen_for(source, row[SEEN_AT])) if method is not None else NO_METHODS
    activity = activity_in(row[-1], tried.get(row[0], ())) if tried is not None else None
    return SessionRow._make((*row[:7], organizations.get(asn), *row[7:11], *methods, *row[11 : len(LINE)], activity))


@lru_cache(maxsize=50_000)
def _methods(has: tuple[bool, ...], method: str, source: str | None, seen: str | None) -> tuple[str | None, ...]:
    """Return the method of each fact of a session, and whether its type is that of the address or of its network."""
    near = nearness(has, method, source, seen) if method in METHODS else {}
    return (*method_by_fact(near, has, method), type_by(source) if has[-1] else None)


def _distinct(
    connection: Connection,
    rows: FromClause,
    column: ColumnElement[str],
    beginning: str,
    limit: int,
    *,
    among: ColumnElement[bool] | None = None,
) -> Sequence[str]:
    query = select(column).select_from(rows).where(begins_with(connection, column, beginning)).group_by(column)
    query = query.where(among) if among is not None else query
    return connection.execute(query.order_by(compared_by_bytes(connection, column)).limit(limit)).scalars().all()


def _check(session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket], *, with_before: bool) -> None:
    if not by or len(set(by)) < len(by):
        raise InvalidQuery("give at least one --by, and each key once")
    if sum(isinstance(each, TimeBucket) for each in by) > 1:
        raise InvalidQuery("give only one of hour, day, week and month")
    if any(isinstance(each, Dimension) and each.only_filters for each in by):
        raise InvalidQuery("sessions cannot be grouped by a part of a name; group by asn")
    if repeated := [key.value for key in (*session_filter.values, *session_filter.excluded) if key.is_trait]:
        raise InvalidQuery(f"sessions cannot be filtered by {repeated[0]}")
    since, until = session_filter.since, session_filter.until
    if since is not None and until is not None and since >= until:
        raise InvalidQuery(f"--since ({since:%Y-%m-%d %H:%M:%S}) is not before --until ({until:%Y-%m-%d %H:%M:%S})")
    if with_before:
        _check_before(since, until, by)


def _check_before(since: datetime | None, until: datetime | None, by: Sequence[Dimension | TimeBucket]) -> None:
    """Check that there is a period before, and that its groups can be compared."""
    if since is None or until is None:
        raise InvalidQuery("--change needs --since: it compares with the period of the same length before")
    try:
        _ = since - (until - since)
    except OverflowError as exc:
        raise InvalidQuery("--since is too early for --change: no period of the same length lies before it") from exc
    if any(isinstance(each, TimeBucket) for each in by):
        raise InvalidQuery("--change cannot be combined with --by hour, day, week or month")


def _organizations(connection: Connection, numbers: Collection[int | None]) -> Mapping[int, str]:
    query = select(known_networks.c.asn_number, known_networks.c.organization_name)
    found = connection.execute(query.where(known_networks.c.asn_number.in_({*numbers} - {None})))
    return {number: name for number, name in found if name}


def _by_facts(
    asked: SessionQuery, session_filter: SessionFilter, by: Sequence[Dimension], *, with_times: bool
) -> Select[Any]:
    """
    Return the ordered query for groups by facts, with the number of their addresses.

    Sessions are first grouped by address, in the order of an index, so that few rows are left to sort.
    """
    parts, at = [asked.part(key) for key in by], SESSIONS.first_event_at
    counts: dict[str, ColumnElement[int]] = {"sessions": func.count()}
    if session_filter.splits_by_method(by):
        counts |= {"asof": func.count().filter(ASOF), "inferred": func.count().filter(INFERRED)}
    columns = [column.label(name) for name, column in counts.items()]
    columns += [func.min(at).label("first_seen"), func.max(at).label("last_seen")] if with_times else []
    columns += [SESSIONS.source_ip.label("address")]
    named = [part.label(f"part{n}") for n, part in enumerate(parts)]
    each = select(*named, *columns).select_from(asked.rows).where(*asked.conditions(parts=by))
    own = each.group_by(SESSIONS.source_ip, *parts).subquery("by_address").c
    values = [own[part.name] for part in named]
    sums: list[ColumnElement[Any]] = [cast(func.sum(own[name]), BigInteger).label(name) for name in counts]
    if with_times:
        sums += [func.min(own.first_seen).label("first_seen"), func.max(own.last_seen).label("last_seen")]
    query = select(*values, *sums, func.count(own.address).label("addresses")).group_by(*values)
    ties = (asked.in_order(value, key) for value, key in zip(values, by, strict=True))
    return query.order_by(sums[0].desc(), *ties)


def _group(
    row: RowMapping,
    by: Sequence[Dimension | TimeBucket],
    organizations: Mapping[int, str],
    times: Mapping[Any, tuple[Any, Any]],
    passwords: Mapping[str, str],
) -> Group:
    values = [row[f"part{n}"] for n in range(len(by))]
    first, last = times[values[0]] if times else (row.get("first_seen"), row.get("last_seen"))
    is_known = any(value is not None for key, value in zip(by, values, strict=True) if key in SNAPSHOT_FACTS)
    return Group(
        values=tuple(None if value is None else str(value) for value in values),
        name=organizations.get(values[by.index(Dimension.ASN)]) if Dimension.ASN in by else None,
        password=passwords.get(values[by.index(Dimension.PASSWORD)]) if Dimension.PASSWORD in by else None,
        sessions=row["sessions"],
        attempts=row.get("attempts"),
        asof=row.get("asof") if is_known else None,
        inferred=row.get("inferred") if is_known else None,
        first_seen=first,
        last_seen=last,
        addresses=row.get("addresses"),
        before=row.get("before"),
    )
