"""Coverage of sessions and addresses with snapshots, in SQL."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, true

from snapshots.adapters.sql.connection.dialects.planner import in_stored_order
from snapshots.adapters.sql.connection.dialects.timestamps import seconds_between
from snapshots.adapters.sql.queries.address_groups import AddressGroups
from snapshots.adapters.sql.queries.fact_groups import Group, group_of
from snapshots.adapters.sql.queries.fact_methods import FACTS, METHODS, day_or_time
from snapshots.adapters.sql.schema.tables import is_sealed, session_summaries, states
from snapshots.app.queries.reports import CoverageReport, LagSpread
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
ALL: ColumnElement[bool] = true()
"""Selects all sessions."""

MAX_SOURCES = 20
GAPS = {gap.value for gap in Gap}


def is_plausible(at: ColumnElement[Any], times: PlausibleTimes) -> ColumnElement[bool]:
    """Return the condition that a time is plausible."""
    return at.between(times.earliest, times.latest)


def coverage_of(
    connection: Connection, times: PlausibleTimes, which: ColumnElement[bool] = ALL
) -> tuple[CoverageReport, AddressGroups]:
    """
    Return how many sessions and addresses have which facts, how near these are to the attack, and their values.

    Args:
        connection: The connection.
        times: Which times are plausible.
        which: Selects the sessions.
    """
    groups = AddressGroups(connection, which)
    coverage = CoverageReport(
        sessions=_covered(groups.sessions),
        addresses=_covered(groups.addresses),
        lag=_lag(connection, times, which),
        by_source=dict(sorted(groups.by_source.items(), key=lambda item: (-item[1], item[0]))[:MAX_SOURCES]),
        heaviest=sum(groups.heaviest),
    )
    return coverage, groups


def session_coverage(connection: Connection) -> Coverage:
    """Return how many sessions have which facts."""
    return _covered(_session_groups(connection))


def _session_groups(connection: Connection) -> Counter[Group]:
    """
    Return the number of sessions in each group.

    Sessions with the same builds and day are counted by the database; the rule that reads the builds is the domain's.
    """
    has = [case((states(fact), 1), else_=0) for fact in FACTS.values()]
    keys = (SESSIONS.snapshot_method, SESSIONS.snapshot_gap, SESSIONS.snapshot_source, day_or_time(connection), *has)
    columns = (key.label(f"c{n}") for n, key in enumerate(keys))
    each = select(*columns).select_from(session_summaries).subquery()
    groups: Counter[Group] = Counter()
    for row in connection.execute(select(*each.c, func.count()).group_by(*each.c)):
        method, gap, source, seen_at, *flags, count = row
        groups[group_of(tuple(map(bool, flags)), method, gap, source, seen_at)] += count
    return groups


def _covered(groups: Mapping[Group, int]) -> Coverage:
    return Coverage.of(
        CoverageCase(
            count=count,
            facts=dict(group.facts),
            method=Method(group.method) if group.method in METHODS else None,
            gap=Gap(group.gap) if group.gap in GAPS else None,
        )
        for group, count in sorted(groups.items(), key=lambda item: (-item[1], str(item[0])))
    )


def _lag(connection: Connection, times: PlausibleTimes, which: ColumnElement[bool]) -> LagSpread | None:
    """Return how long after the attack the newest facts were made, from one scan of the sessions."""
    lag = seconds_between(connection, SESSIONS.source_ip_seen_at, SESSIONS.enrichment_at)
    query = select(lag.label("seconds")).where(
        is_sealed(), SESSIONS.enrichment_at.is_not(None), is_plausible(SESSIONS.source_ip_seen_at, times), which
    )
    if which.compare(ALL):
        # Sessions are stored by time, and so their lags are nearly sorted; those of an index by address are not.
        query = in_stored_order(connection, query)
    lags = query.cte("lags").prefix_with("MATERIALIZED")
    seconds = lags.c.seconds
    middle = select((func.count() - 1) // 2).select_from(lags).scalar_subquery()
    median = select(seconds).order_by(seconds).limit(1).offset(middle).scalar_subquery()
    found = connection.execute(select(func.min(seconds), median, func.max(seconds))).one()
    if found[0] is None:
        return None
    least, median_, greatest = (timedelta(seconds=float(each)) for each in found)
    return LagSpread(least=least, median=median_, greatest=greatest)
