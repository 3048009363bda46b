"""News for an operator: what appeared for the first time, what grew or fell, and which addresses moved."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from snapshots.app.ports.runtime import Clock
from snapshots.app.queries.comparisons.address_moves import AddressMove
from snapshots.app.queries.comparisons.periods import MOST_GROUPS, Period, compare_periods
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

COMMANDS_LISTED = 3
"""Commands listed per new command signature."""

DEFAULT_LENGTH = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownValues:
    """
    Values and moves that were stored at an earlier call.

    Attributes:
        values: Values by key.
        moves: Addresses whose network changed, each with the time of the later attack.
    """

    values: Mapping[Dimension, Collection[str]]
    moves: Mapping[str, datetime]


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
        period: The sessions since then, compared with the period of the same length before; None if the period is
            empty, or too long for an equal one before it.
        appeared: New values by key, in the order of `NEWS_KEYS`.
        moved: Latest change of ASN of each address, the newest first.
        moved_count: Number of these addresses.
        stored: Everything that is stored now: what the next call need not report.
    """

    since: datetime
    until: datetime
    newest: datetime | None
    period: Period | None
    appeared: Mapping[Dimension, Appeared]
    moved: Sequence[AddressMove]
    moved_count: int
    stored: KnownValues

    @property
    def is_empty(self) -> bool:
        """Whether nothing appeared and no address moved."""
        return not self.moved_count and not any(each.count for each in self.appeared.values())


class NewsMaker:
    """
    Finds values and moves that were not stored, or had no session, before.

    Args:
        session_queries: Groups of sessions.
        clock: Returns the present time.
    """

    def __init__(self, session_queries: SessionQueries, clock: Clock) -> None:
        self._session_queries = session_queries
        self._clock = clock

    def news(
        self, session_filter: SessionFilter, *, since: datetime | None, top: int, known: KnownValues | None = None
    ) -> News:
        """
        Return what is new.

        Args:
            session_filter: The sessions, at any time.
            since: Start of the period; None for a week ago.
            top: Maximum number of values listed per key, at least 1.
            known: Values and moves that are not new; all others are, also those of sessions before *since*, which were
                stored later. None: new is what has no session before *since*, and moves since then.

        Raises:
            InvalidQuery: A value of the filter is not valid.
            StoreUnavailable: The database did not answer.
        """
        until = self._clock.now()
        since = since if since is not None else until - DEFAULT_LENGTH
        groups = {key: self._session_queries.groups(session_filter, [key], top=MOST_GROUPS) for key in NEWS_KEYS}
        values = {
            key: frozenset(each.values[0] for each in of_key if each.values[0] is not None)
            for key, of_key in groups.items()
        }
        moves = self._session_queries.address_moves(session_filter)
        if known is None:
            new_moves = [move for move in moves if since <= move.at < until]
        else:
            new_moves = [move for move in moves if known.moves.get(move.address) != move.at]
        return News(
            since=since,
            until=until,
            newest=max((each.last_seen for each in groups[Dimension.ASN] if each.last_seen is not None), default=None),
            period=compare_periods(self._session_queries, session_filter, since, until),
            appeared={
                key: self._appeared(session_filter, key, _new(of_key, key, since, until, known), top)
                for key, of_key in groups.items()
            },
            moved=new_moves[:top],
            moved_count=len(new_moves),
            stored=KnownValues(values=values, moves={move.address: move.at for move in moves}),
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
    groups: Sequence[Group], key: Dimension, since: datetime, until: datetime, known: KnownValues | None
) -> Sequence[Group]:
    named = [group for group in groups if group.values[0] is not None]
    if known is not None:
        before = frozenset(known.values.get(key, ()))
        return [group for group in named if group.values[0] not in before]
    return [group for group in named if group.first_seen is not None and since <= group.first_seen < until]
