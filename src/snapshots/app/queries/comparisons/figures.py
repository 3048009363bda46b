"""Count what the sessions of an overview did, and compare with the period before."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from snapshots.app.queries.action import Action
from snapshots.app.queries.comparisons.periods import MOST_GROUPS, Period
from snapshots.app.queries.overview import Overview
from snapshots.app.queries.session_queries import Dimension, Group, SessionFilter, SessionQueries

COUNTED = (Action.LOGIN, Action.COMMAND, Action.DOWNLOAD)
"""What is counted by itself."""

ACTIVE = tuple(Action)
"""A session that did one of these is active."""


class Compared(NamedTuple):
    """A number, and the same of the period before; None if nothing is compared."""

    total: int
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    Figures of an overview.

    Attributes:
        sessions: The sessions.
        addresses: Their addresses.
        networks: Their known networks.
        did: Sessions by what they did; without what the filter excludes or does not ask for.
        active: Active sessions by ASN; None for an unknown one.
        sensors: The sessions by honeypot, the most first.
        changes: Growth by dimension and value, if the sessions are compared with the period before; values that are
            absent did not change.
    """

    sessions: Compared
    addresses: Compared
    networks: Compared
    did: Mapping[Action, Compared]
    active: Mapping[str | None, int]
    sensors: Sequence[Group]
    changes: Mapping[Dimension, Mapping[str | None, int]]


def figures_of(session_queries: SessionQueries, overview: Overview) -> Figures:
    """
    Count what the sessions of an overview did.

    Args:
        session_queries: Count the sessions.
        overview: It is compared if its filter has a start.

    Raises:
        InvalidQuery: A value of the filter is not valid.
        StoreUnavailable: The database did not answer.
    """
    asked = overview.session_filter
    period = overview.period if asked.since is not None else None
    before = replace(asked, since=period.before, until=period.since) if period is not None else None
    networks = overview.spread.groups
    changes = _changes(period) if period is not None else {}
    by_network = period.changes[Dimension.ASN] if period is not None else None
    active = _counted(session_queries, asked, [each for each in ACTIVE if not asked.did or each in asked.did])
    return Figures(
        sessions=Compared(overview.report.coverage.sessions.total, period.sessions_before if period else None),
        addresses=Compared(
            overview.report.coverage.addresses.total,
            session_queries.concentration(before, Dimension.ADDRESS, known_only=True).groups
            if before is not None
            else None,
        ),
        networks=Compared(
            networks,
            networks - len(by_network.appeared) + len(by_network.disappeared) if by_network is not None else None,
        ),
        did={
            action: Compared(
                _total(_counted(session_queries, asked, [action])),
                _total(_counted(session_queries, before, [action])) if before is not None else None,
            )
            for action in COUNTED
            if not asked.did or action in asked.did
        },
        active={group.values[0]: group.sessions for group in active},
        sensors=session_queries.groups(asked, [Dimension.SENSOR], top=MOST_GROUPS),
        changes=changes,
    )


def _counted(
    session_queries: SessionQueries, session_filter: SessionFilter, did: Collection[Action]
) -> Sequence[Group]:
    return session_queries.groups(replace(session_filter, did=did), [Dimension.ASN], top=MOST_GROUPS)


def _total(groups: Sequence[Group]) -> int:
    return sum(group.sessions for group in groups)


def _changes(period: Period) -> Mapping[Dimension, Mapping[str | None, int]]:
    return {
        key: {
            each.value: each.by
            for kind in (changes.appeared, changes.disappeared, changes.grown, changes.fallen)
            for each in kind
        }
        for key, changes in period.changes.items()
    }
