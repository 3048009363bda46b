"""Coverage of sessions and addresses with snapshots, in SQL."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache, reduce
from heapq import nlargest
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, select, true

from snapshots.adapters.sql.connection.dialects.expressions import contains_text
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.dialects.timestamps import (
    day_of,
    seconds_between,
    stored_timestamp_text,
    timestamp_in_utc,
)
from snapshots.adapters.sql.queries.fact_methods import FACTS, METHODS, nearness, seen_for
from snapshots.adapters.sql.rows.row_decoder import facts_held
from snapshots.adapters.sql.schema.tables import is_sealed, session_summaries, states
from snapshots.app.queries.reports import HEAVIEST, CoverageReport, LagSpread, ValueCount
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.observation import without_times
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.fact_methods import FactMethod
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
ALL: ColumnElement[bool] = true()
"""Selects all sessions."""

MAX_SOURCES = 20
PAGE = 10_000
"""Rows fetched, or addresses queried, at a time."""

Facts = tuple[tuple[str, FactMethod], ...]
"""How near each known fact is to the attack, by its name."""

GAPS = {gap.value for gap in Gap}


def is_plausible(at: ColumnElement[Any], times: PlausibleTimes) -> ColumnElement[bool]:
    """Return the condition that a time is plausible."""
    return at.between(times.earliest, times.latest)


def coverage_of(
    connection: Connection, times: PlausibleTimes, which: ColumnElement[bool] = ALL
) -> tuple[CoverageReport, "AddressGroups"]:
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
        addresses=groups.coverage,
        lag=_lag(connection, times, which),
        by_source=dict(sorted(groups.by_source.items(), key=lambda item: (-item[1], item[0]))[:MAX_SOURCES]),
        heaviest=sum(groups.heaviest),
    )
    return coverage, groups


def session_coverage(connection: Connection) -> Coverage:
    """Return how many sessions have which facts."""
    return _covered(_session_groups(connection, ALL))


Group = tuple[Facts, str | None, str | None]
"""The facts of sessions, their method, and their gap."""


class FactValues:
    """The numbers of sessions and addresses with each value of a fact."""

    def __init__(self) -> None:
        self._sessions: Counter[tuple[Any, str | None]] = Counter()
        self._addresses: Counter[Any] = Counter()

    def add(self, value: Any, method: str | None, sessions: int) -> None:
        """Add sessions with a value and a method."""
        self._sessions[value, method] += sessions

    def add_address(self, values: Iterable[Any]) -> None:
        """Add an address whose sessions have some values, each given once."""
        for value in values:
            self._addresses[value] += 1

    def most_frequent(self, top: int) -> Sequence[ValueCount]:
        """Return the values with most sessions; None is the unknown value."""
        sessions: Counter[Any] = Counter()
        for (value, _), count in self._sessions.items():
            sessions[value] += count
        order = sorted(sessions.items(), key=lambda item: (-item[1], item[0] is not None, item[0]))
        asof, inferred = (method.value for method in (Method.ASOF, Method.INFERRED))
        return [
            ValueCount(
                value=None if value is None else str(value),
                sessions=count,
                asof=self._sessions[value, asof] if value is not None else None,
                inferred=self._sessions[value, inferred] if value is not None else None,
                addresses=self._addresses[value],
            )
            for value, count in order[:top]
        ]


class AddressGroups:
    """
    Counts sessions by address and facts in one scan.

    Of sessions of one address with the same builds, the first and the last are the farthest from these, so that only
    the ends of their times are read. If both are equally near to the builds, so are those between. The other addresses
    are held in memory, and their sessions are counted by a second query per page.

    Attributes:
        sessions: Sessions by group.
        by_source: Sealed sessions by the days of their builds.
        coverage: Coverage of the addresses.
        asns: Numbers by ASN.
        countries: Numbers by country.
        types: Numbers by IP type, as stored.
        heaviest: Sessions of each of the `HEAVIEST` addresses with most sessions.
    """

    def __init__(self, connection: Connection, which: ColumnElement[bool]) -> None:
        self.asns, self.countries, self.types = FactValues(), FactValues(), FactValues()
        self.heaviest: list[int] = []
        self.sessions: Counter[Group] = Counter()
        self.by_source: Counter[str] = Counter()
        self._named_sources: dict[str, str] = {}
        whole: Counter[Group] = Counter()
        uneven: list[str | None] = []
        rows = connection.execute(_by_address(connection, which), execution_options={"yield_per": PAGE})
        for address, own in groupby(rows, key=itemgetter(0)):
            found = list(own)
            groups = [self._group_of(row) for row in found]
            if all(first == last for _, first, last in groups):
                for row, (_, group, _) in zip(found, groups, strict=True):
                    self.sessions[group] += row[-1]
            else:
                uneven.append(address)
            if address is None:
                continue
            self.heaviest = nlargest(HEAVIEST, (*self.heaviest, sum(row[-1] for row in found)))
            ends = {end for _, *both in groups for end in both}
            whole[reduce(_weakest, ends)] += 1
            for n, values in enumerate((self.asns, self.countries, self.types)):
                values.add_address({facts[n] for facts, *_ in groups})
        for condition in _each_page(connection, uneven):
            self.sessions += _session_groups(connection, and_(which, condition))
        self.coverage = _covered(whole)

    def _group_of(self, row: Sequence[Any]) -> tuple[tuple[Any, ...], Group, Group]:
        """Count the sessions of a row; return its values, and the groups of its first and its last session."""
        _, asn, country, ip_type, method, source, gap, first, last, count = row
        has = facts_held(asn, country, ip_type)
        values = (asn if has[0] else None, country if has[1] else None, ip_type)
        for each, value in zip((self.asns, self.countries, self.types), values, strict=True):
            each.add(value, method, count)
        if source is not None and any(has):
            self.by_source[self._days_of(source)] += count
        group_of_first = _group(has, method, gap, source, seen_for(source, first))
        return values, group_of_first, _group(has, method, gap, source, seen_for(source, last))

    def _days_of(self, source: str) -> str:
        """Return a provenance with its builds dated by day, so that an hourly list is one entry per day."""
        if source not in self._named_sources:
            self._named_sources[source] = " ".join(dict.fromkeys(without_times(source).split()))
        return self._named_sources[source]


def _each_page(connection: Connection, addresses: Sequence[str | None]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that together select the sessions of some addresses; None is no address."""
    known = [address for address in addresses if address is not None]
    if len(known) < len(addresses):
        yield SESSIONS.source_ip.is_(None)
    for at in range(0, len(known), PAGE):
        yield SESSIONS.source_ip.in_(select_texts(connection, known[at : at + PAGE]))


def _by_address(connection: Connection, which: ColumnElement[bool]) -> Select[Any]:
    seen = SESSIONS.source_ip_seen_at
    keys = [SESSIONS.source_ip, *(SESSIONS[name] for name in FACTS.values())]
    keys += [SESSIONS.snapshot_method, SESSIONS.snapshot_source, SESSIONS.snapshot_gap]
    ends = [stored_timestamp_text(connection, edge(seen)) for edge in (func.min, func.max)]
    query = select(*keys, *ends, func.count()).where(which)
    return query.group_by(*keys, seen.is_(None)).order_by(SESSIONS.source_ip)


def _session_groups(connection: Connection, which: ColumnElement[bool]) -> Counter[Group]:
    """
    Return the number of sessions in each group.

    Sessions with the same builds and day are counted by the database; the rule that reads the builds is the domain's.
    """
    day = day_of(connection, SESSIONS.source_ip_seen_at)
    # The time within the day matters only next to a build of that day.
    is_of_day = contains_text(connection, func.coalesce(SESSIONS.snapshot_source, ""), day)
    seen = case((is_of_day, timestamp_in_utc(connection, SESSIONS.source_ip_seen_at)), else_=day)
    has = [case((states(fact), 1), else_=0) for fact in FACTS.values()]
    keys = (SESSIONS.snapshot_method, SESSIONS.snapshot_gap, SESSIONS.snapshot_source, seen, *has)
    columns = (key.label(f"c{n}") for n, key in enumerate(keys))
    each = select(*columns).select_from(session_summaries).where(which).subquery()
    groups: Counter[Group] = Counter()
    for row in connection.execute(select(*each.c, func.count()).group_by(*each.c)):
        method, gap, source, seen_at, *flags, count = row
        groups[_group(tuple(map(bool, flags)), method, gap, source, seen_at)] += count
    return groups


@lru_cache(maxsize=50_000)
def _group(has: tuple[bool, ...], method: str | None, gap: str | None, source: str | None, seen: str | None) -> Group:
    """Return the group of sessions with some facts, given what `nearness` needs, and their gap."""
    if not any(has):
        return (), None, gap
    own = Method.ADOPTED.value if method is None else method
    return (_facts(has, method, source, seen) if own in METHODS else ()), own, None


def _facts(has: tuple[bool, ...], method: str | None, source: str | None, seen: str | None) -> Facts:
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
        for (facts, method, gap), count in sorted(groups.items(), key=lambda item: (-item[1], str(item[0])))
    )


def _lag(connection: Connection, times: PlausibleTimes, which: ColumnElement[bool]) -> LagSpread | None:
    """Return how long after the attack the newest facts were made, from one scan of the sessions."""
    lag = seconds_between(connection, SESSIONS.source_ip_seen_at, SESSIONS.enrichment_at)
    lags = (
        select(lag.label("seconds"))
        .where(is_sealed(), SESSIONS.enrichment_at.is_not(None), is_plausible(SESSIONS.source_ip_seen_at, times), which)
        .cte("lags")
        .prefix_with("MATERIALIZED")
    )
    seconds = lags.c.seconds
    middle = select((func.count() - 1) // 2).select_from(lags).scalar_subquery()
    median = select(seconds).order_by(seconds).limit(1).offset(middle).scalar_subquery()
    found = connection.execute(select(func.min(seconds), median, func.max(seconds))).one()
    if found[0] is None:
        return None
    least, median_, greatest = (timedelta(seconds=float(each)) for each in found)
    return LagSpread(least=least, median=median_, greatest=greatest)
