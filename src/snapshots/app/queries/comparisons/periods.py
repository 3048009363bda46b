"""Compare the sessions of a period with those of the period of the same length before it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from snapshots.app.queries.comparisons.changes import Changes
from snapshots.app.queries.session_queries import Dimension, SessionFilter, SessionQueries

MOST_GROUPS = 1_000_000
"""Maximum number of groups that are compared or added up; beyond it, the smallest are ignored."""

COMPARED = (Dimension.ASN, Dimension.COUNTRY, Dimension.IP_TYPE, Dimension.COMMANDS)
"""The keys by which periods are compared."""


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
        empty_until: Time of the first session in the period before, if at least a quarter of that period had passed;
            the honeypot or its logs may have begun then.
    """

    before: datetime
    since: datetime
    until: datetime
    sessions: int
    sessions_before: int
    changes: Mapping[Dimension, Changes]
    empty_until: datetime | None = None


def compare_periods(
    session_queries: SessionQueries, session_filter: SessionFilter, since: datetime, until: datetime
) -> Period | None:
    """
    Compare a period with the one before.

    Args:
        session_queries: Count the sessions.
        session_filter: The sessions, at any time; its own times are ignored.
        since: Start of the period.
        until: Its exclusive end.

    Returns:
        The comparison; None if the period is empty, or begins too early for one of the same length before.
    """
    if since >= until:
        return None
    try:
        before = since - (until - since)
    except OverflowError:
        return None
    newest, previous = (
        replace(session_filter, since=begin, until=end) for begin, end in ((since, until), (before, since))
    )
    groups = {
        key: (
            session_queries.groups(previous, [key], top=MOST_GROUPS),
            session_queries.groups(newest, [key], top=MOST_GROUPS),
        )
        for key in COMPARED
    }
    first = min((each.first_seen for each in groups[Dimension.ASN][0] if each.first_seen is not None), default=None)
    is_late = first is not None and first - before >= (since - before) / 4
    totals = [sum(group.sessions for group in each) for each in groups[Dimension.ASN]]
    return Period(
        before=before,
        since=since,
        until=until,
        sessions=totals[1],
        sessions_before=totals[0],
        changes={key: Changes.between(*each) for key, each in groups.items()},
        empty_until=first if is_late else None,
    )
