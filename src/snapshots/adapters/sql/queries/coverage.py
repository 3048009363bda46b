"""Coverage of sessions and addresses with snapshots, in SQL."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, not_, select

from snapshots.adapters.sql.connection.dialects.timestamps import day_of, seconds_between, timestamp_in_utc
from snapshots.adapters.sql.queries.fact_methods import FACTS, METHODS, nearness
from snapshots.adapters.sql.schema.tables import is_sealed, session_summaries, states
from snapshots.app.queries.reports import CoverageReport, LagSpread
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.observation import without_times
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.fact_methods import FactMethod
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
MAX_SOURCES = 20
PAGE = 10_000
"""Rows in memory."""

Facts = tuple[tuple[str, FactMethod], ...]
"""How near each known fact is to the attack, by its name."""

GAPS = {gap.value for gap in Gap}


def is_plausible(at: ColumnElement[Any], times: PlausibleTimes) -> ColumnElement[bool]:
    """Return the condition that a time is plausible."""
    return at.between(times.earliest, times.latest)


def coverage_of(connection: Connection, times: PlausibleTimes) -> CoverageReport:
    """Return how many sessions and addresses have which facts, and how near these are to the attack."""
    sessions, addresses = _coverage(connection)
    return CoverageReport(
        sessions=sessions,
        addresses=addresses,
        lag=_lag(connection, times),
        by_source=_by_source(connection),
    )


def session_coverage(connection: Connection) -> Coverage:
    """Return how many sessions have which facts."""
    return _coverage(connection)[0]


Group = tuple[Facts, str | None, str | None]
"""The facts of sessions, their method, and their gap."""


def _coverage(connection: Connection) -> tuple[Coverage, Coverage]:
    """
    Return the coverage of sessions and of addresses.

    Sessions with the same address, builds and day are counted by the database; the rule that reads the builds is the
    domain's. Rows come in the order of addresses, so that only one address is in memory.
    """
    sessions: Counter[Group] = Counter()
    addresses: Counter[Group] = Counter()
    rows = connection.execute(_grouped(connection), execution_options={"yield_per": PAGE})
    for address, own in groupby(rows, key=itemgetter(0)):
        whole: Group | None = None
        for _, source, of_row, seen, *has, method, gap, count in own:
            facts = _facts(tuple(has), of_row, source, seen) if method in METHODS else ()
            group = (facts, method, gap)
            sessions[group] += count
            whole = group if whole is None else _weakest(whole, group)
        if address is not None and whole is not None:
            addresses[whole] += 1
    return _covered(sessions), _covered(addresses)


def _grouped(connection: Connection) -> Select[Any]:
    sealed = is_sealed()
    method = case((sealed, func.coalesce(SESSIONS.snapshot_method, Method.ADOPTED.value)))
    gap = case((not_(sealed), SESSIONS.snapshot_gap))
    day = day_of(connection, SESSIONS.source_ip_seen_at)
    # The time within the day matters only next to a build of that day.
    is_of_day = func.coalesce(SESSIONS.snapshot_source, "").contains(day)
    seen = case((is_of_day, timestamp_in_utc(connection, SESSIONS.source_ip_seen_at)), else_=day)
    has = [case((states(fact), 1), else_=0) for fact in FACTS.values()]
    columns = [
        column.label(f"c{n}")
        for n, column in enumerate(
            (SESSIONS.source_ip, SESSIONS.snapshot_source, SESSIONS.snapshot_method, seen, *has, method, gap)
        )
    ]
    each = select(*columns).select_from(session_summaries).subquery()
    return select(*each.c, func.count()).group_by(*each.c).order_by(each.c.c0)


@lru_cache(maxsize=50_000)
def _facts(has: tuple[int, ...], method: str | None, source: str | None, seen: str | None) -> Facts:
    """Return how near each fact is to the attack; its label is left out, so that equal facts are one group."""
    found = nearness(has, method, source, seen)
    return tuple((fact, near._replace(label=None)) for fact, near in found.items())


@lru_cache(maxsize=50_000)
def _weakest(one: Group, other: Group) -> Group:
    """Return the facts that both groups have, each with the weaker method and the greater distance."""
    held = dict(one[0])
    both = tuple((fact, _weaker(held[fact], near)) for fact, near in other[0] if fact in held)
    method = max(one[1], other[1]) if one[1] is not None and other[1] is not None else None
    gap = min((gap for gap in (one[2], other[2]) if gap is not None), default=None)
    return both, method, gap


def _weaker(one: FactMethod, other: FactMethod) -> FactMethod:
    distances = [near.distance for near in (one, other) if near.distance is not None]
    return FactMethod(
        max(one.method, other.method, key=lambda method: method.value),
        distance=max(distances, default=None),
        is_by_network=one.is_by_network or other.is_by_network,
    )


def _covered(groups: Mapping[Group, int]) -> Coverage:
    return Coverage.of(
        CoverageCase(
            count=count,
            facts=dict(facts),
            method=Method(method) if method in METHODS else None,
            gap=Gap(gap) if gap in GAPS else None,
        )
        for (facts, method, gap), count in groups.items()
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
        counts[" ".join(dict.fromkeys(without_times(source).split()))] += count
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
