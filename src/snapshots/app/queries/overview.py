"""Overview of all sessions for the report page: networks, changes, behavior and coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.inventory_reports import Drift, InventoryReports
from snapshots.app.queries.reports import Report, Reports
from snapshots.app.queries.session_queries import Dimension, Group, SessionFilter, SessionQueries, TimeBucket
from snapshots.app.queries.validity import FactValidity
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.session.concentration import Concentration

LONGEST_PERIOD = timedelta(days=7)
"""Maximum length of the newest period, which is compared with the period before."""

RESOLUTION = timedelta(microseconds=1)

BUCKETS = (
    (timedelta(days=3), TimeBucket.HOUR),
    (timedelta(days=180), TimeBucket.DAY),
    (timedelta(days=3 * 365), TimeBucket.WEEK),
)
"""Time bucket of the timeline by maximum length of all data; longer data is drawn by month."""

LARGEST_TIMELINE = 2_000
"""Maximum number of bars, one per time bucket and type."""

NETWORKS_LISTED, COMMANDS_LISTED = 3, 3
"""Networks and commands listed per behavior."""


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
        timeline: Sessions by time bucket and IP type, the newest first; only at plausible times.
        period: The newest period, which is compared with the one before; None without sessions.
        changed: Networks with the largest growth in the period.
        spread: Concentration of sessions with a known network over networks.
        drift: Snapshots compared with current facts.
        expired: Messages about tables that are too old for the newest attacks.
        users: Most frequent user names of first logins.
        passwords: Most frequent password hashes of first logins.
        commands: Most frequent commands.
        clients: Client fingerprints (hassh) with their networks.
        campaigns: Command signatures with their networks.
    """

    made_at: datetime
    report: Report
    span: TimeBucket
    timeline: Sequence[Group]
    period: tuple[datetime, datetime] | None
    changed: Sequence[Group]
    spread: Concentration
    drift: Drift
    expired: Sequence[str] = ()
    users: Sequence[Group]
    passwords: Sequence[Group]
    commands: Sequence[Group]
    clients: Sequence[BehaviourSeen]
    campaigns: Sequence[BehaviourSeen]


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
            top: Maximum number of networks, countries, names and so on, at least 1.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        report = self._reports.report(top=top)
        period = _period(report)
        span = _bucket(report)
        now = self._clock.now()
        times = PlausibleTimes.seen_from(now)
        ask, everything = self._session_queries.groups, SessionFilter()
        in_time = SessionFilter(since=times.earliest, until=times.latest)
        within = SessionFilter(since=period[0], until=period[1]) if period is not None else None
        return Overview(
            made_at=now,
            report=report,
            span=span,
            timeline=ask(in_time, [span, Dimension.IP_TYPE], top=LARGEST_TIMELINE),
            period=period,
            changed=ask(within, [Dimension.ASN], top=top, with_before=True) if within is not None else (),
            spread=self._session_queries.concentration(everything, Dimension.ASN, known_only=True),
            drift=self._inventory.drift(now=now, top=top),
            expired=self._fact_validity.expired(report.last_event_at),
            users=ask(everything, [Dimension.USER], top=top),
            passwords=ask(everything, [Dimension.PASSWORD], top=top),
            commands=ask(everything, [Dimension.COMMAND], top=top),
            clients=self._behaviours(Dimension.HASSH, top),
            campaigns=self._behaviours(Dimension.COMMANDS, top),
        )

    def _behaviours(self, key: Dimension, top: int) -> Sequence[BehaviourSeen]:
        return [self._behaviour(key, group) for group in self._session_queries.groups(SessionFilter(), [key], top=top)]

    def _behaviour(self, key: Dimension, group: Group) -> BehaviourSeen:
        session_filter = SessionFilter(values={key: group.values})
        return BehaviourSeen(
            group=group,
            networks=self._session_queries.groups(session_filter, [Dimension.ASN], top=NETWORKS_LISTED),
            network_count=self._session_queries.concentration(session_filter, Dimension.ASN, known_only=True).groups,
            commands=self._session_queries.groups(session_filter, [Dimension.COMMAND], top=COMMANDS_LISTED),
        )


def _period(report: Report) -> tuple[datetime, datetime] | None:
    """Return the newest period: a week, or half of all data if that is less than two weeks."""
    if report.first_event_at is None or report.last_event_at is None:
        return None
    end = report.last_event_at + RESOLUTION
    return end - min(LONGEST_PERIOD, (end - report.first_event_at) / 2 + RESOLUTION), end


def _bucket(report: Report) -> TimeBucket:
    if report.first_event_at is None or report.last_event_at is None:
        return TimeBucket.DAY
    length = report.last_event_at - report.first_event_at
    return next((bucket for longest, bucket in BUCKETS if length <= longest), TimeBucket.MONTH)
