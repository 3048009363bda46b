"""Count sessions and addresses by address and facts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from heapq import nlargest
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.dialects.timestamps import stored_timestamp_text
from snapshots.adapters.sql.queries.fact_groups import Group, group_of, weakest
from snapshots.adapters.sql.queries.fact_methods import FACTS, day_or_time, method_by_fact, seen_for, type_by
from snapshots.adapters.sql.rows.row_decoder import facts_held
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.app.queries.reports import HEAVIEST, FactCounts, ValueCount
from snapshots.app.queries.session_queries import Dimension
from snapshots.domain.facts.observation import without_times
from snapshots.domain.snapshot.fact_methods import DAY_LENGTH
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
PAGE = 10_000
"""Rows fetched, or addresses queried, at a time."""

VERDICT = [SESSIONS[name] for name in (*FACTS.values(), "snapshot_method", "snapshot_source", "snapshot_gap")]
"""The facts, the method, the builds and the gap of a session."""


class FactValues:
    """The numbers of sessions and addresses with each value of a fact."""

    def __init__(self) -> None:
        self._sessions: Counter[tuple[Any, str | None]] = Counter()
        self._addresses: Counter[Any] = Counter()

    def add(self, value: Any, method: str | None, sessions: int) -> None:
        """Add sessions with a value and a method."""
        self._sessions[value, method] += sessions

    def add_addresses(self, values: Iterable[Any], count: int = 1) -> None:
        """Add addresses whose sessions have some values, each given once."""
        for value in values:
            self._addresses[value] += count

    @property
    def addresses(self) -> Mapping[str | None, int]:
        """Return the number of addresses by value, as text."""
        return {None if value is None else str(value): count for value, count in self._addresses.items()}

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
    Counts sessions by address and facts: one scan, and a query per page of addresses that need their days.

    Of sessions of one address with the same builds, the first and the last are the farthest from these, so that only
    the ends of their times are read. If both are equally near to the builds, so are those between. The other addresses
    are held in memory, and their sessions are counted by a second query per page. Sessions whose time is unknown count
    like those of their address whose time is known.

    Attributes:
        sessions: Sessions by group.
        facts: Sessions by `COUNTED_FACTS`, and addresses by ASN and by country.
        by_source: Sealed sessions by the days of their builds.
        addresses: Addresses by the group of the facts that all their sessions have.
        asns: Numbers by ASN.
        countries: Numbers by country.
        types: Numbers by IP type, as stored.
        heaviest: Sessions of each of the `HEAVIEST` addresses with most sessions.
    """

    def __init__(self, connection: Connection, which: ColumnElement[bool]) -> None:
        self.asns, self.countries, self.types = self._values = FactValues(), FactValues(), FactValues()
        self._sessions: Counter[tuple[VerdictCount, Group]] = Counter()
        self._verdicts: dict[tuple[Any, ...], VerdictCount] = {}
        self.addresses: Counter[Group] = Counter()
        sizes, uneven = list[int](), list[str | None]()
        rows = connection.execute(_by_address(connection, which), execution_options={"yield_per": PAGE})
        for address, own in groupby(rows, key=itemgetter(0)):
            found = [self._read(row) for row in own]
            is_even = True
            for _, ends, _ in found:
                is_even = is_even and len(ends) == 1
            if is_even:
                for verdict, (group,), count in found:
                    self._sessions[verdict, group] += count
            else:
                uneven.append(address)
            if address is not None:
                sizes.append(self._add_address(found))
        self.heaviest = nlargest(HEAVIEST, sizes)
        self.by_source = self._add_up()
        for condition in _each_page(connection, uneven):
            for *key, seen, count in connection.execute(_by_day(connection, and_(which, condition))):
                verdict = self._verdict(tuple(key))
                self._sessions[verdict, verdict.group_at(seen)] += count
        self.sessions: Counter[Group] = Counter()
        facts: Counter[tuple[Any, ...]] = Counter()
        for (verdict, group), count in self._sessions.items():
            self.sessions[group] += count
            facts[verdict.stated(group)] += count
        self.facts = FactCounts(
            sessions=facts,
            addresses={Dimension.ASN: self.asns.addresses, Dimension.COUNTRY: self.countries.addresses},
        )

    def _verdict(self, key: tuple[Any, ...]) -> "VerdictCount":
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = VerdictCount(key)
        return verdict

    def _read(self, row: Sequence[Any]) -> "SessionsOfAddress":
        """Return the verdict of a row, the groups of its first and last sessions, and the number of sessions."""
        verdict, (first, last, count) = self._verdict(tuple(row[1:7])), row[7:]
        verdict.sessions += count
        group, end = verdict.group_at(first), verdict.group_at(last)
        return verdict, (group,) if group is end else (group, end), count

    def _add_address(self, found: Sequence["SessionsOfAddress"]) -> int:
        """Count an address; return its number of sessions."""
        if len(found) == 1:
            [(verdict, ends, count)] = found
            verdict.only_addresses += 1
            self.addresses[ends[0] if len(ends) == 1 else reduce(weakest, ends)] += 1
            return count
        self.addresses[reduce(weakest, {group for _, ends, _ in found for group in ends})] += 1
        several = zip(*[verdict.values for verdict, _, _ in found], strict=True)
        for each, values in zip(self._values, several, strict=True):
            each.add_addresses({*values})
        return sum([count for _, _, count in found])

    def _add_up(self) -> Counter[str]:
        """Add the counts of the verdicts to those of their values; return the sealed sessions by builds."""
        by_source: Counter[str] = Counter()
        for verdict in self._verdicts.values():
            for each, value in zip(self._values, verdict.values, strict=True):
                each.add(value, verdict.method, verdict.sessions)
                each.add_addresses([value], verdict.only_addresses)
            if verdict.source is not None and any(verdict.has):
                # Builds are dated by day, so that an hourly list is one entry per day.
                days = " ".join(dict.fromkeys(without_times(verdict.source).split()))
                by_source[days] += verdict.sessions
        return by_source


class VerdictCount:
    """
    Counts the sessions with the same facts, method, builds and gap.

    Attributes:
        has: Whether they have each of FACTS.
        method: Their method.
        source: Their provenance.
        values: The values to count them by: an ASN or a country that is no fact is unknown, a type is as stored.
        sessions: Their number.
        only_addresses: Number of addresses that have no other sessions.
    """

    __slots__ = ("_by_day", "gap", "has", "method", "only_addresses", "sessions", "source", "values")

    def __init__(self, row: Sequence[Any]) -> None:
        asn, country, ip_type, self.method, self.source, self.gap = row
        self.has = facts_held(asn, country, ip_type)
        self.values = (asn if self.has[0] else None, country if self.has[1] else None, ip_type)
        self.sessions = self.only_addresses = 0
        self._by_day: dict[str | None, Group] = {}

    def stated(self, group: Group) -> tuple[Any, ...]:
        """Return the values of `COUNTED_FACTS` of the sessions in a group; None if unknown."""
        asn, country, ip_type = self.values
        _, country_method, type_method = method_by_fact(dict(group.facts), self.has, group.method)
        *_, has_type = self.has
        known_type = (ip_type, type_by(self.source), type_method) if has_type else (None, None, None)
        return (asn, country, country_method, *known_type)

    def group_at(self, seen: str | None) -> Group:
        """Return the group of the sessions that were seen at a time."""
        day = seen[:DAY_LENGTH] if seen is not None else None
        found = self._by_day.get(day)
        if found is None:
            found = group_of(self.has, self.method, self.gap, self.source, at := seen_for(self.source, seen))
            if at == day:
                self._by_day[day] = found
        return found


SessionsOfAddress = tuple[VerdictCount, tuple[Group, ...], int]
"""A verdict about an address, how near it is to the sessions that have it, and their number."""


def _each_page(connection: Connection, addresses: Sequence[str | None]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that together select the sessions of some addresses; None is no address."""
    known = [address for address in addresses if address is not None]
    if len(known) < len(addresses):
        yield SESSIONS.source_ip.is_(None)
    for at in range(0, len(known), PAGE):
        yield SESSIONS.source_ip.in_(select_texts(connection, known[at : at + PAGE]))


def _by_address(connection: Connection, which: ColumnElement[bool]) -> Select[Any]:
    """Return the query for sessions by address and facts, in the order of an index."""
    seen, keys = SESSIONS.source_ip_seen_at, [SESSIONS.source_ip, *VERDICT]
    ends = [stored_timestamp_text(connection, edge(seen)) for edge in (func.min, func.max)]
    return select(*keys, *ends, func.count()).where(which).group_by(*keys).order_by(*keys)


def _by_day(connection: Connection, which: ColumnElement[bool]) -> Select[Any]:
    """Return the query for sessions by facts and by day of sighting."""
    each = select(*VERDICT, day_or_time(connection).label("seen")).where(which).subquery()
    return select(*each.c, func.count()).group_by(*each.c)
