"""Overview of sessions for the report page: what is new, networks, places, types, behavior and coverage."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.changes import Changes
from snapshots.app.queries.inventory_reports import Drift, InventoryReports
from snapshots.app.queries.reports import Report, Reports
from snapshots.app.queries.session_queries import Dimension, Group, SessionFilter, SessionQueries, TimeBucket
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

EVERY_GROUP = 100_000
"""More groups than there are, where all of them are compared or added up."""

NETWORKS_LISTED, COMMANDS_LISTED = 3, 3
"""Networks and commands listed per behavior."""

BY_CERTAINTY = (Dimension.IP_TYPE, Dimension.TYPE_BY, Dimension.TYPE_METHOD)
"""The IP type with its precision and its method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """
    The newest period, which is compared with the one of the same length before.

    Attributes:
        before: Start of the period before.
        since: Start of the newest one.
        until: Its exclusive end.
        sessions: Number of sessions in the newest one.
        sessions_before: Number of sessions in the period before.
        changes: What differs, by key.
    """

    before: datetime
    since: datetime
    until: datetime
    sessions: int
    sessions_before: int
    changes: Mapping[Dimension, Changes]


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
        users: Most frequent user names of first logins.
        passwords: Most frequent password hashes of first logins.
        commands: Most frequent commands.
        clients: Client fingerprints (hassh) with their networks.
        campaigns: Command signatures with their networks.
        downloads: Hashes of downloaded files with their networks.
    """

    made_at: datetime
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

    def overview(self, *, top: int) -> Overview:
        """
        Return an overview of all sessions.

        Args:
            top: Maximum number of networks, names, commands and so on, at least 1.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        report = self._reports.report(top=top)
        span = _bucket(report)
        now = self._clock.now()
        times = PlausibleTimes.seen_from(now)
        everything = SessionFilter()
        in_time = SessionFilter(since=times.earliest, until=times.latest)
        return Overview(
            made_at=now,
            report=report,
            span=span,
            timeline=self._groups(in_time, span, *BY_CERTAINTY),
            period=self._period(report),
            spread=self._session_queries.concentration(everything, Dimension.ASN, known_only=True),
            countries=self._countries(everything),
            networks=self._networks(everything, span, top),
            types=self._groups(everything, *BY_CERTAINTY),
            drift=self._inventory.drift(now=now, top=top),
            expired=self._fact_validity.expired(report.last_event_at),
            users=self._groups(everything, Dimension.USER, top=top),
            passwords=self._groups(everything, Dimension.PASSWORD, top=top),
            commands=self._groups(everything, Dimension.COMMAND, top=top),
            clients=self._behaviours(everything, Dimension.HASSH, top),
            campaigns=self._behaviours(everything, Dimension.COMMANDS, top),
            downloads=self._behaviours(everything, Dimension.DOWNLOAD, top),
        )

    def _groups(
        self,
        session_filter: SessionFilter,
        *by: Dimension | TimeBucket,
        top: int = EVERY_GROUP,
        with_addresses: bool = False,
    ) -> Sequence[Group]:
        return self._session_queries.groups(session_filter, by, top=top, with_addresses=with_addresses)

    def _period(self, report: Report) -> Period | None:
        found = _newest_period(report)
        if found is None:
            return None
        since, until = found
        before = since - (until - since)
        newest, previous = SessionFilter(since=since, until=until), SessionFilter(since=before, until=since)
        keys = (Dimension.ASN, Dimension.COUNTRY, Dimension.IP_TYPE, Dimension.COMMANDS)
        groups = {key: (self._groups(previous, key), self._groups(newest, key)) for key in keys}
        totals = [sum(group.sessions for group in each) for each in groups[Dimension.ASN]]
        return Period(
            before=before,
            since=since,
            until=until,
            sessions=totals[1],
            sessions_before=totals[0],
            changes={key: Changes.between(*each) for key, each in groups.items()},
        )

    def _countries(self, session_filter: SessionFilter) -> Sequence[CountryCount]:
        inferred = {
            group.values[0]: group.sessions
            for group in self._groups(session_filter, Dimension.COUNTRY, Dimension.COUNTRY_METHOD)
            if group.values[1] == "inferred"
        }
        return [
            CountryCount(
                code=group.values[0],
                sessions=group.sessions,
                inferred=inferred.get(group.values[0], 0),
                addresses=group.addresses or 0,
            )
            for group in self._groups(session_filter, Dimension.COUNTRY, with_addresses=True)
        ]

    def _networks(self, session_filter: SessionFilter, span: TimeBucket, top: int) -> Sequence[NetworkCount]:
        found = self._groups(session_filter, Dimension.ASN, top=top, with_addresses=True)
        if not found:
            return []
        values = {**session_filter.values, Dimension.ASN: [group.values[0] for group in found]}
        listed = replace(session_filter, values=values)
        types, countries, course = (
            _by_network(self._groups(listed, *by), at)
            for by, at in (
                ((Dimension.ASN, *BY_CERTAINTY), 0),
                ((Dimension.ASN, Dimension.COUNTRY), 0),
                ((span, Dimension.ASN), 1),
            )
        )
        return [
            NetworkCount(
                group=group,
                types=types[group.values[0]],
                countries=[each.values[0] for each in countries[group.values[0]] if each.values[0] is not None],
                course={each.values[0] or "": each.sessions for each in course[group.values[0]]},
            )
            for group in found
        ]

    def _behaviours(self, session_filter: SessionFilter, key: Dimension, top: int) -> Sequence[BehaviourSeen]:
        return [self._behaviour(session_filter, key, group) for group in self._groups(session_filter, key, top=top)]

    def _behaviour(self, session_filter: SessionFilter, key: Dimension, group: Group) -> BehaviourSeen:
        own = replace(session_filter, values={**session_filter.values, key: group.values})
        return BehaviourSeen(
            group=group,
            networks=self._groups(own, Dimension.ASN, top=NETWORKS_LISTED),
            network_count=self._session_queries.concentration(own, Dimension.ASN, known_only=True).groups,
            commands=self._groups(own, Dimension.COMMAND, top=COMMANDS_LISTED),
        )


def _by_network(groups: Sequence[Group], at: int) -> Mapping[str | None, Sequence[Group]]:
    """Return groups by the ASN among their values, without it."""
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


def _bucket(report: Report) -> TimeBucket:
    if report.first_event_at is None or report.last_event_at is None:
        return TimeBucket.DAY
    length = report.last_event_at - report.first_event_at
    return next((bucket for longest, bucket in BUCKETS if length <= longest), TimeBucket.MONTH)
