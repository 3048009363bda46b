"""One look at everything: who attacked, how that changed, what they did, and how much is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.inventory_reports import Drift, InventoryReports
from snapshots.app.queries.reports import Report, Reports
from snapshots.app.queries.session_queries import Dimension, Group, SessionFilter, SessionQueries, TimeBucket
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.session.concentration import Concentration

LONGEST_PERIOD = timedelta(days=7)
"""How long the newest span is at most that is compared with the one before."""

RESOLUTION = timedelta(microseconds=1)

SPANS = (
    (timedelta(days=3), TimeBucket.HOUR),
    (timedelta(days=180), TimeBucket.DAY),
    (timedelta(days=3 * 365), TimeBucket.WEEK),
)
"""How long the whole may be for each span of time to be drawn; longer ones are drawn by months."""

LARGEST_TIMELINE = 2_000
"""How many spans and types are told at most."""

NETWORKS_BEHIND, COMMANDS_TYPED = 3, 3
"""How many are told of each behaviour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourSeen:
    """
    A behaviour, and the networks behind it.

    Attributes:
        group: Its value, and how many sessions showed it.
        networks: The networks with most of them.
        network_count: From how many networks they came.
        commands: What most of these sessions typed.
    """

    group: Group
    networks: Sequence[Group]
    network_count: int
    commands: Sequence[Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """
    Everything on one page.

    Attributes:
        made_at: When it was made.
        report: Who attacked, and how much is known.
        span: By what the timeline is told.
        timeline: Sessions by that span and IP type, the newest first; only of plausible times.
        period: The newest span, and what is compared with the one before; None without sessions.
        changed: The networks that grew most in it.
        spread: How the sessions whose network is known spread over networks.
        drift: What the snapshots say against what is known today.
        users: User names tried first.
        passwords: Hashes of passwords tried first.
        commands: Commands.
        clients: Fingerprints of clients (hassh), with the networks behind them.
        campaigns: Signatures of commands, likewise.
    """

    made_at: datetime
    report: Report
    span: TimeBucket
    timeline: Sequence[Group]
    period: tuple[datetime, datetime] | None
    changed: Sequence[Group]
    spread: Concentration
    drift: Drift
    users: Sequence[Group]
    passwords: Sequence[Group]
    commands: Sequence[Group]
    clients: Sequence[BehaviourSeen]
    campaigns: Sequence[BehaviourSeen]


class OverviewMaker:
    """
    Puts an overview together.

    Args:
        reports: Tells who attacked.
        session_queries: Answers the rest.
        inventory: Tells then against now.
        clock: Tells when it was made.
    """

    def __init__(
        self, reports: Reports, session_queries: SessionQueries, inventory: InventoryReports, clock: Clock
    ) -> None:
        self._reports = reports
        self._questions = session_queries
        self._inventory = inventory
        self._clock = clock

    def overview(self, *, top: int) -> Overview:
        """
        Return an overview of all sessions.

        Args:
            top: How many networks, countries, names and so on are listed, at least 1.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        report = self._reports.report(top=top)
        period = _period(report)
        span = _span(report)
        now = self._clock.now()
        times = PlausibleTimes.seen_from(now)
        ask, everything = self._questions.groups, SessionFilter()
        in_time = SessionFilter(since=times.earliest, until=times.latest)
        within = SessionFilter(since=period[0], until=period[1]) if period is not None else None
        return Overview(
            made_at=now,
            report=report,
            span=span,
            timeline=ask(in_time, [span, Dimension.IP_TYPE], top=LARGEST_TIMELINE),
            period=period,
            changed=ask(within, [Dimension.ASN], top=top, with_before=True) if within is not None else (),
            spread=self._questions.concentration(everything, Dimension.ASN, known_only=True),
            drift=self._inventory.drift(now=now, top=top),
            users=ask(everything, [Dimension.USER], top=top),
            passwords=ask(everything, [Dimension.PASSWORD], top=top),
            commands=ask(everything, [Dimension.COMMAND], top=top),
            clients=self._behaviours(Dimension.HASSH, top),
            campaigns=self._behaviours(Dimension.COMMANDS, top),
        )

    def _behaviours(self, key: Dimension, top: int) -> Sequence[BehaviourSeen]:
        return [self._behind(key, group) for group in self._questions.groups(SessionFilter(), [key], top=top)]

    def _behind(self, key: Dimension, group: Group) -> BehaviourSeen:
        session_filter = SessionFilter(values={key: group.values})
        return BehaviourSeen(
            group=group,
            networks=self._questions.groups(session_filter, [Dimension.ASN], top=NETWORKS_BEHIND),
            network_count=self._questions.concentration(session_filter, Dimension.ASN, known_only=True).groups,
            commands=self._questions.groups(session_filter, [Dimension.COMMAND], top=COMMANDS_TYPED),
        )


def _period(report: Report) -> tuple[datetime, datetime] | None:
    """Return the newest span: a week, or half of what there is if that is less than two."""
    if report.first_event_at is None or report.last_event_at is None:
        return None
    end = report.last_event_at + RESOLUTION
    return end - min(LONGEST_PERIOD, (end - report.first_event_at) / 2 + RESOLUTION), end


def _span(report: Report) -> TimeBucket:
    if report.first_event_at is None or report.last_event_at is None:
        return TimeBucket.DAY
    length = report.last_event_at - report.first_event_at
    return next((span for longest, span in SPANS if length <= longest), TimeBucket.MONTH)
