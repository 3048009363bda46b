"""Reports on stored sessions, in SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, distinct, func, not_, or_, select, true

from snapshots.adapters.sql.connection.dialects.timestamps import day_of, seconds_between
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.integrity import PARTS, Findings, inspect
from snapshots.adapters.sql.queries.query_builder import ASOF, INFERRED
from snapshots.adapters.sql.rows.row_decoder import observation_in, summary_in
from snapshots.adapters.sql.schema.guard_trial import try_guard
from snapshots.adapters.sql.schema.tables import (
    FACTS,
    dead_letters,
    fact_sources,
    ip_observations,
    is_sealed,
    known_networks,
    session_summaries,
    states,
)
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.errors import StoreBusy, StoreUnusable
from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.inspection import Inspection, Invariant, Trial
from snapshots.app.queries.reports import (
    CoverageReport,
    DatabaseStatus,
    Explanation,
    KnownSource,
    LagSpread,
    Report,
    ValueCount,
)
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.observation import IpObservation, label_of
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.provenance import sources_of
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
MAX_SOURCES = 20
METHODS, GAPS = ({member.value for member in kind} for kind in (Method, Gap))
LAST_DAYS = 14
"""Days in a report."""


class SqlReports:
    """
    Queries over `session_summaries`, without joining the addresses.

    Args:
        database: The database.
        reader: Reads facts as of a moment.
        choose: Returns a random number below its argument.
        clock: Determines which times are plausible.
    """

    def __init__(
        self, database: SqlDatabase, reader: AsOfReader, *, choose: Callable[[int], int], clock: Clock
    ) -> None:
        self._clock = clock
        self._choose = choose
        self._database = database
        self._reader = reader

    def report(self, *, top: int) -> Report:
        """Return who attacked."""
        times = PlausibleTimes.seen_from(self._clock.now())
        with self._database.reading() as connection:
            totals = connection.execute(
                select(
                    func.coalesce(func.sum(SESSIONS.event_count), 0),
                    func.coalesce(func.sum(SESSIONS.login_attempts), 0),
                    func.coalesce(func.sum(SESSIONS.command_count), 0),
                    func.coalesce(func.sum(SESSIONS.file_downloads), 0),
                    func.min(case((_is_plausible(SESSIONS.first_event_at, times), SESSIONS.first_event_at))),
                    func.max(case((_is_plausible(SESSIONS.last_event_at, times), SESSIONS.last_event_at))),
                    func.count(case((_is_impossible(times), 1))),
                )
            ).one()
            events, logins, commands, downloads, first, last, impossible = totals
            return Report(
                events=int(events),
                logins=int(logins),
                commands=int(commands),
                downloads=int(downloads),
                first_event_at=first,
                last_event_at=last,
                impossible_clocks=impossible,
                coverage=_coverage(connection, times),
                networks=_networks(connection, top),
                countries=_value_counts(connection, case((states("snapshot_country"), SESSIONS.snapshot_country)), top),
                types=_value_counts(connection, SESSIONS.snapshot_ip_type, top),
                days=sorted(
                    _value_counts(connection, day_of(connection, SESSIONS.first_event_at), LAST_DAYS, newest_of=times),
                    key=lambda tally: tally.value or "",
                ),
                dead_letters=_dead_letters(connection),
                sources=_sources(connection),
            )

    def database_status(self) -> DatabaseStatus:
        """Return the counts and dates that metrics report."""
        with self._database.reading() as connection:
            newest = (
                select(fact_sources.c.source, func.max(fact_sources.c.built_at))
                .where(fact_sources.c.retracted_at.is_(None))
                .group_by(fact_sources.c.source)
            )
            times = PlausibleTimes.seen_from(self._clock.now())
            newest_event = select(func.max(SESSIONS.last_event_at)).where(_is_plausible(SESSIONS.last_event_at, times))
            return DatabaseStatus(
                sessions=_cases(connection, _by_session()[0]),
                dead_letters=_dead_letters(connection),
                last_event_at=connection.execute(newest_event).scalar(),
                newest_builds=dict(tuple(row) for row in connection.execute(newest)),
            )

    def coverage(self) -> CoverageReport:
        """Return how many sessions and addresses carry a snapshot."""
        with self._database.reading() as connection:
            return _coverage(connection, PlausibleTimes.seen_from(self._clock.now()))

    def inspect(self, *, show: int, run: str | None = None, full: bool = True) -> Inspection:
        """Check sealed sessions, audit tables and counters in one transaction; test the triggers in another."""
        findings = Findings(show)
        with self._database.reading() as connection:
            found = inspect(connection, findings, run=run, part=None if full else self._choose(PARTS))
        trials, not_checked = self._try_guard() if found is not None else ({}, [])
        accepted = [column for column, trial in trials.items() if trial is Trial.ACCEPTED]
        findings.add_all(Invariant.GUARDED, accepted)
        return replace(
            found or Inspection(sealed=0, of=0, corrections=0, is_impossible=True),
            violations=findings.named,
            counts=findings.counts,
            trials=trials,
            not_checked=not_checked,
        )

    def _try_guard(self) -> tuple[Mapping[str, Trial], Sequence[str]]:
        """Return the results of forbidden changes, and why none could be tried."""
        try:
            with self._database.dry_run_transaction() as connection:
                return try_guard(connection), []
        except (StoreBusy, StoreUnusable) as reason:
            return {}, [f"whether the guard refuses a change: {reason}"]

    def explain(self, session_id: str) -> Explanation | None:
        """Return the data from which a session's snapshot or gap was derived."""
        with self._database.reading() as connection:
            query = (
                select(session_summaries, known_networks.c.organization_name)
                .join(known_networks, known_networks.c.asn_number == SESSIONS.snapshot_asn, isouter=True)
                .where(SESSIONS.session_id == session_id)
            )
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            session = summary_in(row)
            logged_id = session.logged_id or session.session_id
            observed = (
                select(ip_observations)
                .where(ip_observations.c.ip_address == row["source_ip"])
                .order_by(ip_observations.c.source, ip_observations.c.observed_at)
            )
            namesakes = (
                select(SESSIONS.session_id)
                .where(
                    or_(SESSIONS.logged_id == logged_id, SESSIONS.session_id == logged_id),
                    SESSIONS.session_id != session_id,
                )
                .order_by(SESSIONS.session_id)
            )
            history = [observation_in(found) for found in connection.execute(observed)]
            sighting = session.sighting
            considered: list[IpObservation] = []
            known: list[IpObservation] = []
            if sighting is not None:
                calendar = BuildCalendar.of(SqlFactSources(connection).registered())
                considered = calendar.nearest(history, sighting.seen_at)
                known = calendar.nearest(history, sighting.seen_at, known_by_then=True)
            at = sighting.seen_at if sighting is not None else session.first_event_at
            return Explanation(
                session=session,
                organization=row["organization_name"],
                run=row["snapshot_run"],
                history=history,
                considered=considered,
                known_then=self._reader.read(known, at=at).snapshot,
                stated=sources_of(session.snapshot, considered, at) if session.snapshot is not None else {},
                types_left_out=[
                    left_out
                    for left_out in self._reader.types_left_out(considered, at=at)
                    # Other settings may have sealed the session, or another source may state the type.
                    if session.snapshot is None or session.snapshot.ip_type is not left_out.ip_type
                ],
                namesakes=list(connection.execute(namesakes).scalars()),
            )


def _by_session() -> tuple[Select[Any], Sequence[ColumnElement[Any]], ColumnElement[Any], ColumnElement[Any]]:
    """Return the query that counts sessions by available facts, method and gap, and these columns."""
    has = [case((states(fact), 1), else_=0) for fact in FACTS]
    sealed = is_sealed()
    method = case((sealed, func.coalesce(SESSIONS.snapshot_method, Method.ADOPTED.value)))
    gap = case((not_(sealed), SESSIONS.snapshot_gap))
    query: Select[Any] = select(*has, method, gap, func.count()).group_by(*has, method, gap)
    return query, has, method, gap


def _is_plausible(at: ColumnElement[Any], times: PlausibleTimes) -> ColumnElement[bool]:
    return at.between(times.earliest, times.latest)


def _is_impossible(times: PlausibleTimes) -> ColumnElement[bool]:
    """Return the condition that a session began or ended at an implausible time; other loaders may omit times."""
    ends = (SESSIONS.first_event_at, SESSIONS.last_event_at)
    return or_(*(and_(at.is_not(None), not_(_is_plausible(at, times))) for at in ends))


def _coverage(connection: Connection, times: PlausibleTimes) -> CoverageReport:
    by_session, has, method, gap = _by_session()
    each = (
        select(
            func.min(has[0]).label("asn"),
            func.min(has[1]).label("country"),
            func.min(has[2]).label("type"),
            case((func.count(method) == func.count(), func.max(method))).label("method"),
            func.min(gap).label("gap"),
        )
        .where(SESSIONS.source_ip.is_not(None))
        .group_by(SESSIONS.source_ip)
        .subquery()
    )
    by_address = select(*each.c, func.count()).group_by(*each.c)
    return CoverageReport(
        sessions=_cases(connection, by_session),
        addresses=_cases(connection, by_address),
        lag=_lag(connection, times),
        by_source=_by_source(connection),
    )


def _cases(connection: Connection, query: Select[Any]) -> Coverage:
    return Coverage.of(
        CoverageCase(
            count=count,
            has_asn=bool(asn),
            has_country=bool(country),
            has_type=bool(ip_type),
            method=Method(method) if method in METHODS else None,
            gap=Gap(gap) if gap in GAPS else None,
        )
        for asn, country, ip_type, method, gap, count in connection.execute(query)
    )


def _by_source(connection: Connection) -> Mapping[str, int]:
    count = func.count()
    query = (
        select(SESSIONS.snapshot_source, count)
        .where(is_sealed(), SESSIONS.snapshot_source.is_not(None))
        .group_by(SESSIONS.snapshot_source)
        .order_by(count.desc(), SESSIONS.snapshot_source)
        .limit(MAX_SOURCES)
    )
    return dict(tuple(row) for row in connection.execute(query))


def _lag(connection: Connection, times: PlausibleTimes) -> LagSpread | None:
    lag = seconds_between(connection, SESSIONS.source_ip_seen_at, SESSIONS.enrichment_at)
    sealed = select(lag).where(
        is_sealed(), SESSIONS.enrichment_at.is_not(None), _is_plausible(SESSIONS.source_ip_seen_at, times)
    )
    values = sealed.subquery().c[0]
    count, least, greatest = connection.execute(select(func.count(values), func.min(values), func.max(values))).one()
    if not count:
        return None
    median = connection.execute(sealed.order_by(lag).limit(1).offset((count - 1) // 2)).scalar_one()
    return LagSpread(
        least=timedelta(seconds=float(least)),
        median=timedelta(seconds=float(median)),
        greatest=timedelta(seconds=float(greatest)),
    )


def _value_counts(
    connection: Connection, value: ColumnElement[Any], top: int, *, newest_of: PlausibleTimes | None = None
) -> Sequence[ValueCount]:
    """Return the values with most sessions; with *newest_of*, the greatest values of sessions with plausible times."""
    sessions = func.count().label("sessions")
    order = value.desc() if newest_of is not None else sessions.desc()
    query = (
        select(
            value,
            sessions,
            func.count().filter(ASOF),
            func.count().filter(INFERRED),
            func.count(distinct(SESSIONS.source_ip)),
        )
        .where(_is_plausible(SESSIONS.first_event_at, newest_of) if newest_of is not None else true())
        .group_by(value)
        .order_by(order, value)
        .limit(top)
    )
    return [
        ValueCount(
            value=None if found is None else str(found),
            sessions=count,
            asof=asof if found is not None else None,
            inferred=inferred if found is not None else None,
            addresses=addresses,
        )
        for found, count, asof, inferred, addresses in connection.execute(query)
    ]


def _networks(connection: Connection, top: int) -> Sequence[ValueCount]:
    tallies = _value_counts(connection, case((states("snapshot_asn"), SESSIONS.snapshot_asn)), top)
    numbers = [int(tally.value) for tally in tallies if tally.value is not None]
    named = select(known_networks).where(known_networks.c.asn_number.in_(numbers))
    names = {row.asn_number: row.organization_name for row in connection.execute(named)}
    return [replace(tally, name=names.get(int(tally.value)) if tally.value is not None else None) for tally in tallies]


def _dead_letters(connection: Connection) -> Mapping[str, int]:
    query = select(dead_letters.c.reason, func.count()).group_by(dead_letters.c.reason)
    return dict(tuple(row) for row in connection.execute(query))


def _sources(connection: Connection) -> Sequence[KnownSource]:
    query = select(fact_sources).order_by(fact_sources.c.source, fact_sources.c.built_at)
    return [
        KnownSource(
            label=label_of(row.source, row.built_at),
            built_on=row.built_at.date(),
            licence=row.licence,
            origin=row.origin,
        )
        for row in connection.execute(query)
    ]
