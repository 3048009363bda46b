"""News for an operator: what appeared for the first time, what grew or fell, and which addresses moved."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.comparisons.address_moves import AddressMove
from snapshots.app.queries.comparisons.periods import Period, compare_periods
from snapshots.app.queries.session_queries import Dimension, Group, SessionFilter, SessionQueries

NEWS_KEYS = (
    Dimension.ASN,
    Dimension.COUNTRY,
    Dimension.IP_TYPE,
    Dimension.HASSH,
    Dimension.COMMANDS,
    Dimension.SSH_KEY,
    Dimension.DOWNLOAD,
)
"""The keys whose new values are news."""

EVERY_VALUE = 1_000_000
"""More values of one key than are stored."""

COMMANDS_LISTED = 3
"""Commands listed per new command signature."""

DEFAULT_LENGTH = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """
    What was news before.

    Attributes:
        values: Values by key.
        moves: Addresses that moved, each with the time of the attack from another network, in ISO 8601.
    """

    values: Mapping[Dimension, Collection[str]]
    moves: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValue:
    """
    A value that appeared for the first time.

    Attributes:
        group: The value, and all of its sessions.
        commands: Most frequent commands of its sessions; only for a command signature.
    """

    group: Group
    commands: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeared:
    """
    Values of one key that appeared for the first time.

    Attributes:
        count: Number of values.
        listed: Those with most sessions.
    """

    count: int = 0
    listed: Sequence[NewValue] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """
    What is new since a time.

    Attributes:
        since: The time.
        until: The present time.
        newest: Time of the newest session that the filter selects; None if there is none.
        period: The sessions since then, compared with the period of the same length before; None if the time is now.
        appeared: New values by key, in the order of `NEWS_KEYS`.
        moved: Addresses whose newest attack has another ASN than their previous one, the newest first.
        moved_count: Number of these addresses.
        reported: Everything that is stored now: what the next call need not report.
    """

    since: datetime
    until: datetime
    newest: datetime | None
    period: Period | None
    appeared: Mapping[Dimension, Appeared]
    moved: Sequence[AddressMove]
    moved_count: int
    reported: Reported

    @property
    def is_empty(self) -> bool:
        """Whether nothing appeared and no address moved."""
        return not self.moved_count and not any(each.count for each in self.appeared.values())


class NewsMaker:
    """
    Makes news.

    Args:
        session_queries: Groups of sessions.
        clock: Returns the present time.
    """

    def __init__(self, session_queries: SessionQueries, clock: Clock) -> None:
        self._session_queries = session_queries
        self._clock = clock

    def news(
        self, session_filter: SessionFilter, *, since: datetime | None, top: int, reported: Reported | None = None
    ) -> News:
        """
        Return what is new.

        Args:
            session_filter: The sessions, at any time.
            since: Start of the period; None for a week ago.
            top: Maximum number of values listed per key, at least 1.
            reported: What is not new, although it may be in sessions since then. Everything else is, also in sessions
                before *since*, which were stored later. None: values with a session before *since* are not new, nor
                are moves before it.

        Raises:
            InvalidQuery: A value of the filter is not valid.
            StoreUnavailable: The database did not answer.
        """
        until = self._clock.now()
        since = since if since is not None else until - DEFAULT_LENGTH
        groups = {key: self._session_queries.groups(session_filter, [key], top=EVERY_VALUE) for key in NEWS_KEYS}
        values = {key: {each.values[0] for each in of_key} - {None} for key, of_key in groups.items()}
        moves = self._session_queries.address_moves(session_filter)
        if reported is None:
            new_moves = [move for move in moves if since <= move.at < until]
        else:
            new_moves = [move for move in moves if reported.moves.get(move.address) != move.at.isoformat()]
        return News(
            since=since,
            until=until,
            newest=max((each.last_seen for each in groups[Dimension.ASN] if each.last_seen is not None), default=None),
            period=compare_periods(self._session_queries, session_filter, since, until),
            appeared={
                key: self._appeared(session_filter, key, _new(of_key, key, since, until, reported), top)
                for key, of_key in groups.items()
            },
            moved=new_moves[:top],
            moved_count=len(new_moves),
            reported=Reported(
                values={key: frozenset(map(str, of_key)) for key, of_key in values.items()},
                moves={move.address: move.at.isoformat() for move in moves},
            ),
        )

    def _appeared(self, session_filter: SessionFilter, key: Dimension, new: Sequence[Group], top: int) -> Appeared:
        listed = [NewValue(group=group, commands=self._commands(session_filter, key, group)) for group in new[:top]]
        return Appeared(count=len(new), listed=listed)

    def _commands(self, session_filter: SessionFilter, key: Dimension, group: Group) -> Sequence[str]:
        if key is not Dimension.COMMANDS:
            return ()
        own = replace(session_filter, values={**session_filter.values, key: group.values})
        found = self._session_queries.groups(own, [Dimension.COMMAND], top=COMMANDS_LISTED)
        return [text for each in found if (text := each.values[0]) is not None]


def _new(
    groups: Sequence[Group], key: Dimension, since: datetime, until: datetime, reported: Reported | None
) -> Sequence[Group]:
    known = [group for group in groups if group.values[0] is not None]
    if reported is not None:
        before = frozenset(reported.values.get(key, ()))
        return [group for group in known if group.values[0] not in before]
    return [group for group in known if group.first_seen is not None and since <= group.first_seen < until]
