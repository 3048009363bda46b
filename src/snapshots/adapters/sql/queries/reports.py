"""Reports on stored sessions, in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, distinct, func, not_, or_, select, true

from snapshots.adapters.sql.connection.dialects.timestamps import day_of, is_from_day_on
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.coverage import coverage_of, is_plausible, session_coverage
from snapshots.adapters.sql.queries.disagreements import disagreements_of
from snapshots.adapters.sql.queries.explanation import explain
from snapshots.adapters.sql.queries.inspection.integrity import Findings, inspect
from snapshots.adapters.sql.queries.query_builder import ASOF, INFERRED, selected
from snapshots.adapters.sql.schema.guard_trial import try_guard
from snapshots.adapters.sql.schema.tables import dead_letters, fact_sources, known_networks, session_summaries
from snapshots.app.errors import StoreBusy, StoreUnusable
from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.inspection import Inspection, Invariant, Trial
from snapshots.app.queries.reports import CoverageReport, DatabaseStatus, Explanation, KnownSource, Report, ValueCount
from snapshots.app.queries.session_queries import EVERYTHING, SessionFilter
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.observation import label_of
from snapshots.domain.snapshot.as_of import AsOfReader

SESSIONS = session_summaries.c
EVERY_TYPE = 100
"""More types than there are: their number needs no limit."""

LAST_DAYS = 14
"""Days in a report."""


class SqlReports:
    """
    Queries over `session_summaries`, without joining the addresses.

    Args:
        database: The database.
        reader: Reads facts as of a moment.
        clock: Determines which times are plausible.
    """

    def __init__(self, database: SqlDatabase, reader: AsOfReader, *, clock: Clock) -> None:
        self._clock = clock
        self._database = database
        self._reader = reader

    def report(self, *, top: int, session_filter: SessionFilter = EVERYTHING) -> Report:
        """Return who attacked."""
        now = self._clock.now()
        times, is_whole = PlausibleTimes.seen_from(now), session_filter == EVERYTHING
        with self._database.reading() as connection:
            which = selected(connection, session_filter, now)
            events, logins, commands, downloads, uploads, first, last, impossible = _totals(connection, times, which)
            coverage, groups = coverage_of(connection, times, which)
            return Report(
                events=int(events),
                logins=int(logins),
                commands=int(commands),
                downloads=int(downloads),
                uploads=int(uploads),
                first_event_at=first,
                last_event_at=last,
                impossible_clocks=impossible,
                coverage=replace(
                    coverage, disagreements=disagreements_of(connection, self._reader) if is_whole else {}
                ),
                networks=_named(connection, groups.asns.most_frequent(top)),
                countries=groups.countries.most_frequent(top),
                types=groups.types.most_frequent(EVERY_TYPE),
                facts=groups.facts,
                days=_days(connection, _from(session_filter.since, times), which),
                dead_letters=_dead_letters(connection) if is_whole else {},
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
            newest_event = select(func.max(SESSIONS.last_event_at)).where(is_plausible(SESSIONS.last_event_at, times))
            return DatabaseStatus(
                sessions=session_coverage(connection),
                dead_letters=_dead_letters(connection),
                last_event_at=connection.execute(newest_event).scalar(),
                newest_builds=dict(tuple(row) for row in connection.execute(newest)),
            )

    def coverage(self) -> CoverageReport:
        """Return how many sessions and addresses carry a snapshot."""
        with self._database.reading() as connection:
            coverage, _ = coverage_of(connection, PlausibleTimes.seen_from(self._clock.now()))
            return replace(coverage, disagreements=disagreements_of(connection, self._reader))

    def inspect(self, *, show: int, run: str | None = None, full: bool = True) -> Inspection:
        """Check sealed sessions, audit tables and counters in one transaction; test the triggers in another."""
        findings = Findings(show)
        with self._database.reading() as connection:
            found = inspect(connection, findings, self._reader.network_types, run=run, full=full)
        trials, not_checked = self._try_guard() if found is not None else ({}, [])
        accepted = [column for column, trial in trials.items() if trial is Trial.ACCEPTED]
        findings.add_all(Invariant.GUARDED, accepted)
        return replace(
            found or Inspection(sealed=0, of=0, corrections=0, is_impossible=True),
            violations=findings.named,
            counts=findings.counts,
            trials=trials,
            guard_was_tried=not not_checked,
            not_checked=[*(found.not_checked if found is not None else ()), *not_checked],
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
            return explain(connection, session_id, self._reader)


def _totals(connection: Connection, times: PlausibleTimes, which: ColumnElement[bool]) -> Sequence[Any]:
    """Return the sums of counters, the first and last plausible time, and the number of sessions with others."""
    counters = ("event_count", "login_attempts", "command_count", "file_downloads", "file_uploads")
    sums = [func.coalesce(func.sum(SESSIONS[name]), 0) for name in counters]
    first, last = SESSIONS.first_event_at, SESSIONS.last_event_at
    ends = func.min(first), func.max(first), func.min(last), func.max(last)
    are_plausible = and_(*(func.coalesce(is_plausible(end, times), true()) for end in ends))
    *found, begin, end, is_complete = connection.execute(
        select(*sums, func.min(first), func.max(last), are_plausible).where(which)
    ).one()
    if is_complete:
        return *found, begin, end, 0
    exceptions = select(
        func.min(case((is_plausible(first, times), first))),
        func.max(case((is_plausible(last, times), last))),
        func.count(case((_is_impossible(times), 1))),
    )
    return *found, *connection.execute(exceptions.where(which)).one()


def _is_impossible(times: PlausibleTimes) -> ColumnElement[bool]:
    """Return the condition that a session began or ended at an implausible time; other loaders may omit times."""
    ends = (SESSIONS.first_event_at, SESSIONS.last_event_at)
    return or_(*(and_(at.is_not(None), not_(is_plausible(at, times))) for at in ends))


def _from(since: datetime | None, times: PlausibleTimes) -> PlausibleTimes:
    """Return the plausible times from a start on: with two lower limits, SQLite may search from the earlier one."""
    return times if since is None else replace(times, earliest=max(times.earliest, since))


def _days(connection: Connection, times: PlausibleTimes, which: ColumnElement[bool]) -> Sequence[ValueCount]:
    """Return the numbers of the newest days with sessions at plausible times, in order."""
    at, day = SESSIONS.first_event_at, day_of(connection, SESSIONS.first_event_at)
    begin: str | None = None
    for _ in range(LAST_DAYS):  # a look-up in the index on the time each
        earlier = not_(is_from_day_on(connection, at, begin)) if begin is not None else true()
        newest_day = select(day).where(is_plausible(at, times), earlier, which).order_by(at.desc()).limit(1)
        newest = connection.execute(newest_day).scalar()
        if newest is None:
            break
        begin = newest
    if begin is None:
        return []
    sessions, methods = func.count(), (func.count().filter(ASOF), func.count().filter(INFERRED))
    query = (
        select(day, sessions, *methods, func.count(distinct(SESSIONS.source_ip)))
        .where(is_plausible(at, times), is_from_day_on(connection, at, begin), which)
        .group_by(day)
        .order_by(day)
    )
    return [
        ValueCount(value=value, sessions=count, asof=asof, inferred=inferred, addresses=addresses)
        for value, count, asof, inferred, addresses in connection.execute(query)
    ]


def _named(connection: Connection, counts: Sequence[ValueCount]) -> Sequence[ValueCount]:
    """Return numbers by ASN with the names of their organizations."""
    numbers = [int(each.value) for each in counts if each.value is not None]
    named = select(known_networks).where(known_networks.c.asn_number.in_(numbers))
    names = {row.asn_number: row.organization_name for row in connection.execute(named)}
    return [replace(each, name=names.get(int(each.value)) if each.value is not None else None) for each in counts]


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
