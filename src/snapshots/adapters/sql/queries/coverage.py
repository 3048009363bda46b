"""Coverage of sessions and addresses with snapshots, in SQL."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, not_, select

from snapshots.adapters.sql.connection.dialects.timestamps import seconds_between
from snapshots.adapters.sql.schema.tables import FACTS, is_sealed, session_summaries, states
from snapshots.app.queries.reports import CoverageReport, LagSpread
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.observation import without_times
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
MAX_SOURCES = 20
METHODS, GAPS = ({member.value for member in kind} for kind in (Method, Gap))


def is_plausible(at: ColumnElement[Any], times: PlausibleTimes) -> ColumnElement[bool]:
    """Return the condition that a time is plausible."""
    return at.between(times.earliest, times.latest)


def coverage_of(connection: Connection, times: PlausibleTimes) -> CoverageReport:
    """Return how many sessions and addresses have which facts, and how near these are to the attack."""
    by_session, has, method, gap = _count_by_facts()
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


def session_coverage(connection: Connection) -> Coverage:
    """Return how many sessions have which facts."""
    return _cases(connection, _count_by_facts()[0])


def _count_by_facts() -> tuple[Select[Any], Sequence[ColumnElement[Any]], ColumnElement[Any], ColumnElement[Any]]:
    """Return the query that counts sessions by available facts, method and gap, and these columns."""
    has = [case((states(fact), 1), else_=0) for fact in FACTS]
    sealed = is_sealed()
    method = case((sealed, func.coalesce(SESSIONS.snapshot_method, Method.ADOPTED.value)))
    gap = case((not_(sealed), SESSIONS.snapshot_gap))
    query: Select[Any] = select(*has, method, gap, func.count()).group_by(*has, method, gap)
    return query, has, method, gap


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
    """Count sessions by the days of their builds: hourly lists and documents would make a group each."""
    query = (
        select(SESSIONS.snapshot_source, func.count())
        .where(is_sealed(), SESSIONS.snapshot_source.is_not(None))
        .group_by(SESSIONS.snapshot_source)
    )
    counts: Counter[str] = Counter()
    for source, count in connection.execute(query):
        counts[without_times(source)] += count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_SOURCES])


def _lag(connection: Connection, times: PlausibleTimes) -> LagSpread | None:
    lag = seconds_between(connection, SESSIONS.source_ip_seen_at, SESSIONS.enrichment_at)
    sealed = select(lag).where(
        is_sealed(), SESSIONS.enrichment_at.is_not(None), is_plausible(SESSIONS.source_ip_seen_at, times)
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
