"""Build SQL from a filter over sessions and the keys to group by."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Function,
    Row,
    Select,
    and_,
    case,
    cast,
    distinct,
    false,
    func,
    not_,
    null,
    or_,
    select,
    true,
    union,
)

from snapshots.adapters.sql.connection.dialects.expressions import compared_by_bytes, trait_texts
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.dialects.storage import short_key
from snapshots.adapters.sql.connection.dialects.timestamps import (
    bucket_key,
    bucket_start,
    is_before_cursor,
    is_timestamp,
    stored_timestamp_text,
)
from snapshots.adapters.sql.queries.current_answers import CurrentAnswers, are_from_own_tables, are_newer
from snapshots.adapters.sql.queries.cursor import SessionCursor
from snapshots.adapters.sql.queries.fact_methods import ADDRESS, IS_BY_NETWORK, NETWORK, method_of
from snapshots.adapters.sql.queries.filters.conditions import did_any_of, is_among_addresses, is_in_networks_named
from snapshots.adapters.sql.queries.filters.logins import (
    ATTEMPTS,
    TRIED,
    attempts_without_credentials,
    has_tried,
    has_tried_none,
    with_logins,
)
from snapshots.adapters.sql.queries.filters.values import stored_value
from snapshots.adapters.sql.schema import versions
from snapshots.adapters.sql.schema.tables import is_sealed, known_addresses, session_summaries, states
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.session_queries import Dimension, NetworkTime, SessionFilter
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.snapshot.freshness import CurrentSince
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c

FACTS: Mapping[Dimension, str] = {
    Dimension.ASN: "snapshot_asn",
    Dimension.COUNTRY: "snapshot_country",
    Dimension.IP_TYPE: "snapshot_ip_type",
}
METHOD = case((is_sealed(), func.coalesce(SESSIONS.snapshot_method, Method.ADOPTED.value)))
COLUMNS: Mapping[Dimension, ColumnElement[Any]] = {
    Dimension.ADDRESS: SESSIONS.source_ip,
    Dimension.SENSOR: SESSIONS.matcher,
    Dimension.PROTOCOL: SESSIONS.protocol,
    Dimension.CLIENT: SESSIONS.client_version,
    Dimension.HASSH: SESSIONS.hassh,
    **TRIED,
    Dimension.COMMANDS: SESSIONS.command_signature,
    Dimension.SSH_KEY: SESSIONS.ssh_key_fingerprint,
    Dimension.DOWNLOAD: SESSIONS.download_hash,
    Dimension.GAP: SESSIONS.snapshot_gap,
}
DERIVED: Mapping[Dimension, ColumnElement[Any]] = {
    Dimension.METHOD: METHOD,
    Dimension.TYPE_BY: case((not_(states(FACTS[Dimension.IP_TYPE])), null()), (IS_BY_NETWORK, NETWORK), else_=ADDRESS),
}
"""Dimensions that are derived from several columns."""
METHOD_OF: Mapping[Dimension, str] = {
    Dimension.ASN_METHOD: "asn",
    Dimension.COUNTRY_METHOD: "country",
    Dimension.TYPE_METHOD: "ip_type",
}
"""Dimensions that are the method of one fact, by the name of the fact."""
TEXTS: Mapping[Dimension, str] = {
    Dimension.COMMAND: Trait.COMMAND.word,
    Dimension.URL: Trait.URL.word,
    Dimension.DOWNLOAD: Trait.DOWNLOAD.word,
    Dimension.SSH_KEY: Trait.KEY.word,
}
"""Dimensions with several texts per session, by their names in the behavior; COLUMNS has the first one of some."""

ASOF, INFERRED = (SESSIONS.snapshot_method == method.value for method in (Method.ASOF, Method.INFERRED))

LINE: Mapping[str, ColumnElement[Any]] = {
    "session_id": SESSIONS.session_id,
    "sensor": SESSIONS.matcher,
    "first_event_at": SESSIONS.first_event_at,
    "last_event_at": SESSIONS.last_event_at,
    "source_ip": SESSIONS.source_ip,
    "source_port": SESSIONS.source_port,
    "asn": SESSIONS.snapshot_asn,
    "country": SESSIONS.snapshot_country,
    "ip_type": SESSIONS.snapshot_ip_type,
    "enrichment_at": SESSIONS.enrichment_at,
    "method": METHOD,
    "source": SESSIONS.snapshot_source,
    "run": SESSIONS.snapshot_run,
    "gap": SESSIONS.snapshot_gap,
    "events": SESSIONS.event_count,
    "logins": SESSIONS.login_attempts,
    "commands": SESSIONS.command_count,
    "downloads": SESSIONS.file_downloads,
    "protocol": SESSIONS.protocol,
    "client": SESSIONS.client_version,
    "hassh": SESSIONS.hassh,
    "user": SESSIONS.username,
    "password_hash": SESSIONS.password_hash,
    "login_succeeded": SESSIONS.login_succeeded,
    "command_signature": SESSIONS.command_signature,
    "ssh_key": SESSIONS.ssh_key_fingerprint,
    "download_hash": SESSIONS.download_hash,
    "duration_ms": SESSIONS.duration_ms,
}

NEWEST_FIRST = (SESSIONS.first_event_at.desc(), SESSIONS.session_id.desc())


class SessionQuery:
    """Build SQL from a filter over sessions and the keys to group by."""

    def __init__(
        self,
        connection: Connection,
        session_filter: SessionFilter,
        current: CurrentAnswers,
        *,
        with_behaviour: bool = False,
    ) -> None:
        self._lists_behaviour = with_behaviour
        self._current = current
        self._connection = connection
        self._which = session_filter
        # Another loader writes pseudo codes, so its columns cannot be grouped by as they are.
        self._has_codes = versions.is_adopted(connection)
        self.rows: FromClause = session_summaries
        if session_filter.network_time is NetworkTime.NOW:
            self.rows = session_summaries.outerjoin(known_addresses, known_addresses.c.ip_address == SESSIONS.source_ip)

    def part(self, key: Dimension | TimeBucket) -> ColumnElement[Any]:
        """Return the value of a key."""
        if isinstance(key, TimeBucket):
            return bucket_start(self._connection, key.value, SESSIONS.first_event_at)
        if key in FACTS and self._which.network_time is NetworkTime.NOW:
            return self._current.value(key)
        if key in FACTS:
            column = SESSIONS[FACTS[key]]
            return case((states(FACTS[key]), column)) if self._has_codes else column
        if key in METHOD_OF:
            return method_of(self._connection, METHOD_OF[key])
        return DERIVED[key] if key in DERIVED else COLUMNS[key]

    @property
    def is_of_everything(self) -> bool:
        """Whether no session is filtered out and columns can be read directly from indexes."""
        session_filter = self._which
        return not self._has_codes and session_filter == SessionFilter()

    def grouped(
        self,
        by: Sequence[Dimension | TimeBucket],
        *,
        with_addresses: bool,
        with_times: bool = True,
        before: datetime | None = None,
    ) -> Select[Any]:
        """Return the ordered query for groups; *before* is the end of the period to compare with."""
        rows, columns = self.rows, dict[str, ColumnElement[Any]]()
        traits = [key for key in by if isinstance(key, Dimension) and key in TEXTS]
        texts: dict[Dimension, ColumnElement[Any]] = {}
        for key in traits:
            rows, texts[key] = with_texts(self._connection, rows, key)
        parts = [texts[key] if isinstance(key, Dimension) and key in texts else self.part(key) for key in by]
        is_tried = not TRIED.keys().isdisjoint(by)
        session = distinct(short_key(self._connection, session_summaries))
        count: Function[int] = func.count(session) if traits or is_tried else func.count()
        if is_tried:
            rows = with_logins(rows)
            if not traits:  # the join repeats each login row for every text, so a sum would be too large
                columns["attempts"] = ATTEMPTS
        columns["sessions"] = count
        at: ColumnElement[Any] = SESSIONS.first_event_at
        address: ColumnElement[Any] = SESSIONS.source_ip
        order, since = columns.get("attempts", columns["sessions"]), None
        is_now: ColumnElement[bool] = true()
        if before is not None and self._which.until is not None:
            since = before - (self._which.until - before)
            is_now = SESSIONS.first_event_at >= before
            columns |= {"sessions": count.filter(is_now), "before": count.filter(not_(is_now))}
            if "attempts" in columns:
                columns["attempts"] = func.coalesce(ATTEMPTS.filter(is_now), 0)
            order, at = func.abs(columns["sessions"] - columns["before"]), case((is_now, SESSIONS.first_event_at))
            address = case((is_now, SESSIONS.source_ip))
        if self._which.splits_by_method(by):
            columns |= {"asof": count.filter(is_now, ASOF), "inferred": count.filter(is_now, INFERRED)}
        if with_times:
            columns |= {"first_seen": func.min(at), "last_seen": func.max(at)}
        if with_addresses:
            columns["addresses"] = func.count(distinct(address))
        groups = [
            self._grouping(each) if isinstance(each, TimeBucket) else part for part, each in zip(parts, by, strict=True)
        ]
        newest = [groups[0].desc()] if isinstance(by[0], TimeBucket) else []
        ties = [
            self.in_order(part, each) if isinstance(each, Dimension) else group.desc()
            for part, group, each in zip(parts, groups, by, strict=True)
        ]
        named = [part.label(f"part{n}") for n, part in enumerate(parts)]
        query = select(*named, *(column.label(name) for name, column in columns.items())).select_from(rows)
        query = query.where(*self.conditions(parts=by, since=since)).group_by(*groups)
        return query.order_by(*newest, order.desc(), *ties)

    def times_of(self, fact: str, values: Collection[Any]) -> Mapping[Any, tuple[datetime | None, datetime | None]]:
        """Return the first and last time of sessions with each value of a fact, by two index lookups each."""
        column, at = SESSIONS[fact], SESSIONS.first_event_at
        found: dict[Any, tuple[datetime | None, datetime | None]] = {}
        if None in values:
            query = select(func.min(at), func.max(at)).where(column.is_(None))
            since, until = self._connection.execute(query).one()
            found[None] = since, until
        each = select_texts(self._connection, [str(value) for value in values if value is not None]).subquery(
            "each_value"
        )
        wanted = cast(each.c.value, column.type)
        own = session_summaries.alias("own")
        first, last = (
            select(edge(own.c.first_event_at)).where(own.c[fact] == wanted).scalar_subquery()
            for edge in (func.min, func.max)
        )
        for value, since, until in self._connection.execute(select(wanted, first, last)):
            found[value] = since, until
        return found

    def attempts_without_credentials(self, *, with_password: bool) -> Select[int]:
        """Return the query that counts the attempts whose credentials are not stored."""
        return attempts_without_credentials(self.conditions(), self.rows, with_password=with_password)

    def _grouping(self, span: TimeBucket) -> ColumnElement[Any]:
        return bucket_key(self._connection, span.value, SESSIONS.first_event_at)

    def in_order(self, part: ColumnElement[Any], key: Dimension) -> ColumnElement[Any]:
        """Return the sort key for groups of equal size, with the same order on both databases."""
        return (part if key is Dimension.ASN else compared_by_bytes(self._connection, part)).nulls_last()

    def conditions(
        self, *, parts: Collection[Dimension | TimeBucket] = (), since: datetime | None = None
    ) -> Sequence[ColumnElement[bool]]:
        """Return the conditions; sessions without a value for a key that is not a fact are excluded."""
        found = self._filters(since)
        for key in parts:
            if isinstance(key, TimeBucket):
                found.append(is_timestamp(self._connection, SESSIONS.first_event_at))
            elif key in COLUMNS:
                found.append(COLUMNS[key].is_not(None))
        if self._which.network_time is NetworkTime.NOW:
            found.append(self._current.are_current(parts))
        return found

    def _filters(self, since: datetime | None = None) -> list[ColumnElement[bool]]:
        """Return the conditions of the filter; *since* replaces its start."""
        session_filter = self._which
        found = [self._is_one_of(key, values) for key, values in session_filter.values.items()]
        for key, values in session_filter.excluded.items():
            found.append(not_(func.coalesce(self._is_one_of(key, values), false())))
        if session_filter.did:
            found.append(did_any_of(session_filter.did))
        if session_filter.did_not:
            found.append(not_(did_any_of(session_filter.did_not)))
        begin = since or session_filter.since
        if begin is not None:
            found.append(SESSIONS.first_event_at >= begin)
        if session_filter.until is not None:
            found.append(SESSIONS.first_event_at < session_filter.until)
        return found

    def not_current(self, by: Collection[Dimension | TimeBucket]) -> Select[int, int]:
        """Return the query that counts sessions without a table newer than the attack, and with an expired one."""
        is_newer = func.coalesce(are_newer(by), false())
        is_current = func.coalesce(self._current.are_current(by), false())
        counts = func.count().filter(not_(is_newer)), func.count().filter(is_newer, not_(is_current))
        return select(*counts).select_from(self.rows).where(*self._filters())

    def circular(self, by: Collection[Dimension | TimeBucket]) -> Select[int]:
        """Return the query that counts sessions whose current facts come from the tables of their own snapshots."""
        is_current = func.coalesce(self._current.are_current(by), false())
        conditions = (*self._filters(), is_current, are_from_own_tables(by))
        return select(func.count()).select_from(self.rows).where(*conditions)

    def dated(self, behind: SessionCursor | None, limit: int) -> Sequence[Row[Any]]:
        """Return sessions with a time, after a cursor."""
        query = self._listed().where(SESSIONS.first_event_at.is_not(None))
        if behind is not None and behind.at is not None:
            try:
                before = is_before_cursor(
                    self._connection, SESSIONS.first_event_at, SESSIONS.session_id, behind.at, behind.name
                )
            except ValueError as exc:
                raise InvalidQuery(
                    f"{str(behind)[:80]!r} is not a cursor: use the value of `next` in the previous page"
                ) from exc
            query = query.where(before)
        return self._connection.execute(query.order_by(*NEWEST_FIRST).limit(limit)).all()

    def undated(self, behind: SessionCursor | None, limit: int) -> Sequence[Row[Any]]:
        """Return sessions without a time, after a cursor."""
        query = self._listed().where(SESSIONS.first_event_at.is_(None))
        if behind is not None and behind.at is None:
            query = query.where(SESSIONS.session_id < behind.name)
        return self._connection.execute(query.order_by(SESSIONS.session_id.desc()).limit(limit)).all()

    def _listed(self) -> Select[Any]:
        """Return the columns of LINE, the stored time, that of the sighting, and the behavior on request."""
        facts = {
            name: self.part(key)
            for name, key in (("asn", Dimension.ASN), ("country", Dimension.COUNTRY), ("ip_type", Dimension.IP_TYPE))
        }
        if self._which.network_time is NetworkTime.NOW:  # current facts do not come from a snapshot
            facts |= dict.fromkeys(("enrichment_at", "method", "source", "run"), null())
        columns = [column.label(name) for name, column in {**LINE, **facts}.items()]
        times = {"stored_at": SESSIONS.first_event_at, "stored_seen_at": SESSIONS.source_ip_seen_at}
        columns += [stored_timestamp_text(self._connection, at).label(name) for name, at in times.items()]
        columns += [SESSIONS.behaviour.label("behaviour")] if self._lists_behaviour else []
        return select(*columns).select_from(self.rows).where(*self.conditions())

    def _is_one_of(self, key: Dimension, values: Collection[str | None]) -> ColumnElement[bool]:
        """Return the condition that a session has one of some values; facts are compared as of the attack."""
        stated = [stored_value(key, value) for value in values if value is not None]
        known = [self._states_one_of(key, stated)] if stated else []
        unknown = [self._is_unknown(key)] if None in values else []
        return or_(*known, *unknown)

    def _states_one_of(self, key: Dimension, stated: Sequence[str | int]) -> ColumnElement[bool]:
        if key is Dimension.NETWORK:
            return is_in_networks_named(self._connection, [str(part) for part in stated])
        if key is Dimension.ADDRESS and any("/" in str(text) for text in stated):
            return is_among_addresses(self._connection, [str(text) for text in stated])
        if key in TRIED:
            return has_tried(key, stated)
        if key in TEXTS:
            return self._has_text(key, [str(text) for text in stated])
        column = SESSIONS[FACTS[key]] if key in FACTS else self.part(key)
        is_stated = column == stated[0] if len(stated) == 1 else column.in_(stated)
        return and_(states(FACTS[key]), is_stated) if key in FACTS and self._has_codes else is_stated

    def _has_text(self, key: Dimension, stated: Sequence[str]) -> ColumnElement[bool]:
        """Return the condition that a text of a session is one of some: the first, by its index, or another."""
        first = session_summaries.alias("first_text")
        other = session_summaries.alias("other_text")
        column = COLUMNS[key].name
        each, text = trait_texts(self._connection, other.c.behaviour, TEXTS[key])
        with_others = select(other.c.session_id).select_from(other.join(each, true()))
        found = union(
            select(first.c.session_id).where(first.c[column].in_(stated)),
            with_others.where(other.c[column].is_not(None), text.in_(stated)),
        )
        return SESSIONS.session_id.in_(found)

    def _is_unknown(self, key: Dimension) -> ColumnElement[bool]:
        if key is Dimension.NETWORK:
            return not_(states(FACTS[Dimension.ASN]))
        if key in TRIED:
            return has_tried_none(key)
        return not_(states(FACTS[key])) if key in FACTS else self.part(key).is_(None)


def with_texts(connection: Connection, rows: FromClause, key: Dimension) -> tuple[FromClause, ColumnElement[Any]]:
    """Return sessions, each as often as it has texts of a dimension in TEXTS, and the text."""
    each, text = trait_texts(connection, SESSIONS.behaviour, TEXTS[key])
    if key not in COLUMNS:
        return rows.join(each, true()), text
    return rows.outerjoin(each, true()), func.coalesce(text, COLUMNS[key])  # another loader fills only the column


def selected(connection: Connection, session_filter: SessionFilter, now: datetime) -> ColumnElement[bool]:
    """Return the condition that a filter selects a session, for queries over `session_summaries` alone."""
    conditions = SessionQuery(connection, session_filter, CurrentAnswers(CurrentSince.at(now))).conditions()
    return and_(*conditions) if conditions else true()
