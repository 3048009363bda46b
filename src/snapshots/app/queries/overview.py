"""Overview of sessions for the report page: what is new, networks, places, types, behavior and coverage."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.comparisons.periods import MOST_GROUPS, Period, compare_periods
from snapshots.app.queries.inventory_reports import Drift, InventoryReports
from snapshots.app.queries.reports import FactCounts, Report, Reports
from snapshots.app.queries.session_queries import EVERYTHING, Dimension, Group, SessionFilter, SessionQueries
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.app.queries.validity import FactValidity
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.session.concentration import Concentration

LONGEST_PERIOD = timedelta(days=7)
"""Maximum length of the newest period of all sessions, which is compared with the period before."""

SHORTEST_PERIOD = timedelta(hours=1)
"""Shorter periods are not compared."""

RESOLUTION = timedelta(microseconds=1)

BUCKETS = (
    (timedelta(days=3), TimeBucket.HOUR),
    (timedelta(days=120), TimeBucket.DAY),
    (timedelta(days=2 * 365), TimeBucket.WEEK),
)
"""Time bucket of the timeline by maximum length of all data; longer data is drawn by month."""

NETWORKS_LISTED, COMMANDS_LISTED = 3, 3
"""Networks and commands listed per behavior."""

BY_CERTAINTY = (Dimension.IP_TYPE, Dimension.TYPE_BY, Dimension.TYPE_METHOD)
"""The IP type with its precision and its method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryCount:
    """
    Sessions from one country.

    Attributes:
        code: The country; None if unknown.
        sessions: Its sessions.
        inferred: Sessions whose country was stated only after the attack.
        addresses: Number of their addresses.
    """

    code: str | None
    sessions: int
    inferred: int
    addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCount:
    """
    Sessions from one network.

    Attributes:
        group: ASN, name, sessions and addresses.
        types: Its sessions by `BY_CERTAINTY`.
        countries: Its countries, the most sessions first.
        course: Sessions per bucket of the timeline, by the start of the bucket.
    """

    group: Group
    types: Sequence[Group]
    countries: Sequence[str]
    course: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourSeen:
    """
    A behavior with the networks that show it.

    Attributes:
        group: Value of the behavior, and its sessions.
        networks: Networks with most of these sessions.
        network_count: Number of networks.
        commands: Most frequent commands of these sessions.
    """

    group: Group
    networks: Sequence[Group]
    network_count: int
    commands: Sequence[Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """
    The data of the report page.

    Attributes:
        made_at: Time of the report.
        session_filter: The sessions.
        report: Summary of the attacks.
        span: Time bucket of the timeline.
        timeline: Sessions by time bucket and `BY_CERTAINTY`, the newest first; only at plausible times.
        period: The newest period, compared with the one before; None if there is too little time.
        spread: Concentration of sessions with a known network over networks.
        countries: All countries, the most sessions first.
        networks: The networks with most sessions.
        types: Sessions by `BY_CERTAINTY`.
        drift: Snapshots compared with current facts.
        expired: Messages about tables that are too old for the newest attacks.
        users: Most frequent user names, by the sessions that tried them.
        passwords: Most frequent password hashes, by the sessions that tried them.
        commands: Most frequent commands.
        clients: Client fingerprints (hassh) with their networks.
        campaigns: Command signatures with their networks.
        downloads: Hashes of downloaded files with their networks.
    """

    made_at: datetime
    session_filter: SessionFilter
    report: Report
    span: TimeBucket
    timeline: Sequence[Group]
    period: Period | None
    spread: Concentration
    countries: Sequence[CountryCount]
    networks: Sequence[NetworkCount]
    types: Sequence[Group]
    drift: Drift
    expired: Sequence[str] = ()
    users: Sequence[Group]
    passwords: Sequence[Group]
    commands: Sequence[Group]
    clients: Sequence[BehaviourSeen]
    campaigns: Sequence[BehaviourSeen]
    downloads: Sequence[BehaviourSeen]


class OverviewMaker:
    """
    Makes overviews.

    Args:
        reports: Summary of the attacks.
        session_queries: Groups of sessions.
        inventory: Drift of facts.
        fact_validity: Tables that are too old for the newest attacks.
        clock: Dates the overview.
    """

    def __init__(
        self,
        reports: Reports,
        session_queries: SessionQueries,
        inventory: InventoryReports,
        fact_validity: FactValidity,
        clock: Clock,
    ) -> None:
        self._reports = reports
        self._session_queries = session_queries
        self._inventory = inventory
        self._fact_validity = fact_validity
        self._clock = clock

    def overview(self, *, top: int, session_filter: SessionFilter = EVERYTHING) -> Overview:
        """
        Return an overview of sessions.

        Args:
            top: Maximum number of networks, names, commands and so on, at least 1.
            session_filter: The sessions. With a start, they are compared with the period of the same length before it,
                else the newest period is compared with the one before.

        Raises:
            InvalidQuery: A value of the filter is not valid.
            StoreUnavailable: The database did not answer.
        """
        now = self._clock.now()
        report = self._reports.report(top=top, session_filter=session_filter)
        period = self._period(report, session_filter, now)
        is_compared = period is not None and session_filter.since is not None
        begin = period.before if period is not None and is_compared else session_filter.since
        drawn = _plausible(replace(session_filter, since=begin), now)
        span = _bucket(report, drawn.since if is_compared else None)
        return Overview(
            made_at=now,
            session_filter=session_filter,
            report=report,
            span=span,
            timeline=self._groups(drawn, span, *BY_CERTAINTY) if _has_length(drawn) else (),
            period=period,
            spread=self._session_queries.concentration(session_filter, Dimension.ASN, known_only=True),
            countries=_countries(report.facts),
            networks=self._networks(session_filter, span, top, report.facts),
            types=report.facts.groups(*BY_CERTAINTY),
            drift=self._inventory.drift(now=now, top=top, session_filter=session_filter),
            expired=self._fact_validity.expired(report.last_event_at),
            users=self._groups(session_filter, Dimension.USER, top=top),
            passwords=self._groups(session_filter, Dimension.PASSWORD, top=top),
            commands=self._groups(session_filter, Dimension.COMMAND, top=top),
            clients=self._behaviours(session_filter, Dimension.HASSH, top),
            campaigns=self._behaviours(session_filter, Dimension.COMMANDS, top),
            downloads=self._behaviours(session_filter, Dimension.DOWNLOAD, top),
        )

    def _groups(
        self, session_filter: SessionFilter, *by: Dimension | TimeBucket, top: int = MOST_GROUPS
    ) -> Sequence[Group]:
        return self._session_queries.groups(session_filter, by, top=top, with_times=False)

    def _period(self, report: Report, session_filter: SessionFilter, now: datetime) -> Period | None:
        if session_filter.since is not None:
            found: tuple[datetime, datetime] | None = session_filter.since, session_filter.until or now
        else:
            found = _newest_period(report)
        return compare_periods(self._session_queries, session_filter, *found) if found is not None else None

    def _networks(
        self, session_filter: SessionFilter, span: TimeBucket, top: int, facts: FactCounts
    ) -> Sequence[NetworkCount]:
        found = self._groups(session_filter, Dimension.ASN, top=top)
        if not found:
            return []
        values = {**session_filter.values, Dimension.ASN: [group.values[0] for group in found]}
        course = _by_value(self._groups(replace(session_filter, values=values), span, Dimension.ASN), 1)
        types = _by_value(facts.groups(Dimension.ASN, *BY_CERTAINTY), 0)
        countries = _by_value(facts.groups(Dimension.ASN, Dimension.COUNTRY), 0)
        return [
            NetworkCount(
                # 0 also for a network that appeared after the addresses were counted.
                group=replace(group, addresses=facts.addresses[Dimension.ASN].get(group.values[0], 0)),
                types=types[group.values[0]],
                countries=[each.values[0] for each in countries[group.values[0]] if each.values[0] is not None],
                course={each.values[0] or "": each.sessions for each in course[group.values[0]]},
            )
            for group in found
        ]

    def _behaviours(self, session_filter: SessionFilter, key: Dimension, top: int) -> Sequence[BehaviourSeen]:
        found = self._groups(session_filter, key, top=top)
        if not found:
            return []
        listed = replace(session_filter, values={**session_filter.values, key: [group.values[0] for group in found]})
        networks = _by_value(self._groups(listed, key, Dimension.ASN), 0)
        return [
            BehaviourSeen(
                group=group,
                networks=networks[group.values[0]][:NETWORKS_LISTED],
                network_count=sum(each.values[0] is not None for each in networks[group.values[0]]),
                commands=self._groups(
                    replace(session_filter, values={**session_filter.values, key: group.values}),
                    Dimension.COMMAND,
                    top=COMMANDS_LISTED,
                ),
            )
            for group in found
        ]


def _countries(facts: FactCounts) -> Sequence[CountryCount]:
    inferred = {
        group.values[0]: group.sessions
        for group in facts.groups(Dimension.COUNTRY, Dimension.COUNTRY_METHOD)
        if group.values[1] == "inferred"
    }
    return [
        CountryCount(
            code=group.values[0],
            sessions=group.sessions,
            inferred=inferred.get(group.values[0], 0),
            addresses=facts.addresses[Dimension.COUNTRY][group.values[0]],
        )
        for group in facts.groups(Dimension.COUNTRY)
    ]


def _by_value(groups: Sequence[Group], at: int) -> Mapping[str | None, Sequence[Group]]:
    """Return groups by one of their values, without it."""
    found: defaultdict[str | None, list[Group]] = defaultdict(list)
    for group in groups:
        found[group.values[at]].append(replace(group, values=(*group.values[:at], *group.values[at + 1 :])))
    return found


def _newest_period(report: Report) -> tuple[datetime, datetime] | None:
    """Return the newest period: a week, or half of all data if that is less than two weeks; None if it is too short."""
    if report.first_event_at is None or report.last_event_at is None:
        return None
    end = report.last_event_at + RESOLUTION
    length = min(LONGEST_PERIOD, (end - report.first_event_at) / 2 + RESOLUTION)
    return (end - length, end) if length >= SHORTEST_PERIOD else None


def _plausible(session_filter: SessionFilter, now: datetime) -> SessionFilter:
    """Return the filter without sessions at implausible times."""
    times = PlausibleTimes.seen_from(now)
    since, until = session_filter.since or times.earliest, session_filter.until or times.latest
    return replace(session_filter, since=max(since, times.earliest), until=min(until, times.latest))


def _has_length(session_filter: SessionFilter) -> bool:
    """Whether the start is before the end, if there are both: a filter may ask for implausible times only."""
    since, until = session_filter.since, session_filter.until
    return since is None or until is None or since < until


def _bucket(report: Report, since: datetime | None) -> TimeBucket:
    """Return the bucket that fits the time from the first session, or from *since*, to the last one."""
    begin = since or report.first_event_at
    if begin is None or report.last_event_at is None:
        return TimeBucket.DAY
    length = report.last_event_at - begin
    return next((bucket for longest, bucket in BUCKETS if length <= longest), TimeBucket.MONTH)
