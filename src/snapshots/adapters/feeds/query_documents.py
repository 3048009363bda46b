"""Counts and lists of sessions as JSON documents: the same for `query` and for the HTTP API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from snapshots.adapters.feeds.rows import Row, session_columns
from snapshots.app.queries.session_queries import (
    Dimension,
    Group,
    NetworkTime,
    SessionFilter,
    SessionPage,
    SessionQueries,
)
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.session.concentration import Concentration

Key = Dimension | TimeBucket

LOGIN = "login"
"""Short for user and password."""

GROUP_KEYS = (*(each.value for each in (*Dimension, *TimeBucket)), LOGIN)
"""Names of what sessions are counted by."""

NETWORK_TIMES = {"attack": NetworkTime.THEN, "today": NetworkTime.NOW}
"""Times of networks, by their names."""


def keys_of(word: str) -> Sequence[Key]:
    """Return the keys that a name of `GROUP_KEYS` stands for."""
    if word == LOGIN:
        return Dimension.USER, Dimension.PASSWORD
    if word in {span.value for span in TimeBucket}:
        return (TimeBucket(word),)
    return (Dimension.ASN if word == Dimension.NETWORK.value else Dimension(word),)


class NotCurrentCounts(NamedTuple):
    """
    Sessions without current facts.

    Attributes:
        without_newer: Without a table newer than the attack.
        expired: Whose newest table is too old today.
        circular: Whose current facts come from the tables of their own snapshots.
    """

    without_newer: int
    expired: int
    circular: int

    @property
    def row(self) -> Row:
        """Return the counts by the names that documents use."""
        return {
            "without_newer_table": self.without_newer,
            "expired": self.expired,
            "same_table": self.circular,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedSessions:
    """
    Sessions counted by keys.

    Attributes:
        keys: What they are counted by.
        groups: The groups.
        spread: How concentrated the sessions are; None for times and for repeated keys.
        not_current: Sessions without current facts; None unless today's networks are asked for.
        attempts_without_credentials: Login attempts that are missing; None unless user or password is a key.
        has_addresses: Whether addresses were counted.
        has_change: Whether the period before was counted.
        is_split: Whether as-of and inferred sessions are counted separately.
    """

    keys: Sequence[Key]
    groups: Sequence[Group]
    spread: Concentration | None
    not_current: NotCurrentCounts | None
    attempts_without_credentials: int | None
    has_addresses: bool
    has_change: bool
    is_split: bool

    @property
    def rows(self) -> Sequence[Row]:
        """Return a row for each group."""
        return [self._row(group) for group in self.groups]

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of a row's values, also without a group."""
        like = Group(
            values=(None,) * len(self.keys),
            sessions=0,
            attempts=0 if _is_of_logins(self.keys) and not _has_texts(self.keys) else None,
            before=0 if self.has_change else None,
            addresses=0 if self.has_addresses else None,
        )
        return list(self._row(like))

    @property
    def about(self) -> Row:
        """Return the values about all rows."""
        missing = self.attempts_without_credentials
        return (
            _spread_row(self.spread)
            | dict(self.about_now)
            | ({"attempts_without_credentials": missing} if missing is not None else {})
        )

    @property
    def about_now(self) -> Row:
        """Return the numbers of sessions without current facts, if today's networks are asked for."""
        return self.not_current.row if self.not_current is not None else {}

    def _row(self, group: Group) -> dict[str, Any]:
        row: dict[str, Any] = dict(zip((key.value.replace("-", "_") for key in self.keys), group.values, strict=True))
        if Dimension.ASN in self.keys:
            row |= {"asn": int(row["asn"]) if row["asn"] is not None else None, "organization": group.name}
        if Dimension.PASSWORD in self.keys:
            row |= {"text": group.password}
        row |= {"sessions": group.sessions}
        if group.attempts is not None:
            row |= {"attempts": group.attempts}
        if self.is_split:
            row |= {"asof": group.asof, "inferred": group.inferred}
        if group.before is not None:
            row |= {"before": group.before, "change": group.sessions - group.before}
        elif self.spread is not None and self.spread.total:
            row |= {"share": group.sessions / self.spread.total}
        if group.addresses is not None:
            row |= {"addresses": group.addresses}
        return row | {"first_seen": group.first_seen, "last_seen": group.last_seen}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSessions:
    """
    A page of sessions.

    Attributes:
        page: The sessions, and the cursor of the next page.
        not_current: Sessions without current facts; None unless today's networks are asked for.
    """

    page: SessionPage
    not_current: NotCurrentCounts | None

    @property
    def rows(self) -> Sequence[Row]:
        """Return a row for each session."""
        return [session_columns(line) for line in self.page.lines]

    @property
    def about(self) -> Row:
        """Return the values about all rows."""
        return {"next": self.page.last, **(self.not_current.row if self.not_current is not None else {})}


def document_of(found: GroupedSessions | ListedSessions) -> Mapping[str, Any]:
    """Return counts or a page of sessions as a document."""
    return {**found.about, "rows": list(found.rows)}


def grouped_sessions(
    session_queries: SessionQueries,
    session_filter: SessionFilter,
    keys: Sequence[Key],
    *,
    top: int,
    addresses: bool,
    change: bool,
) -> GroupedSessions:
    """
    Count sessions by keys: see `SessionQueries.groups`.

    Raises:
        InvalidQuery: The combination is not supported.
    """
    groups = session_queries.groups(session_filter, keys, top=top, with_addresses=addresses, with_before=change)
    return GroupedSessions(
        keys=keys,
        groups=groups,
        spread=_spread(session_queries, session_filter, keys),
        not_current=_not_current(session_queries, session_filter, keys),
        attempts_without_credentials=session_queries.attempts_without_credentials(
            session_filter, with_password=Dimension.PASSWORD in keys
        )
        if _is_of_logins(keys)
        else None,
        has_addresses=addresses,
        has_change=change,
        is_split=session_filter.splits_by_method(keys),
    )


def listed_sessions(
    session_queries: SessionQueries, session_filter: SessionFilter, *, limit: int, after: str
) -> ListedSessions:
    """
    Return a page of sessions: see `SessionQueries.lines`.

    Raises:
        InvalidQuery: The cursor is invalid.
    """
    page = session_queries.lines(session_filter, limit=limit, after=after)
    return ListedSessions(page=page, not_current=_not_current(session_queries, session_filter, ()))


def _not_current(
    session_queries: SessionQueries, session_filter: SessionFilter, keys: Sequence[Key]
) -> NotCurrentCounts | None:
    if session_filter.network_time is not NetworkTime.NOW:
        return None
    count = session_queries.count_not_current(session_filter, keys)
    return NotCurrentCounts(count.without_newer, count.expired, session_queries.count_circular(session_filter, keys))


def _is_of_logins(keys: Sequence[Key]) -> bool:
    return not {Dimension.USER, Dimension.PASSWORD}.isdisjoint(keys)


def _has_texts(keys: Sequence[Key]) -> bool:
    return any(isinstance(key, Dimension) and key.has_texts for key in keys)


def _spread(
    session_queries: SessionQueries, session_filter: SessionFilter, keys: Sequence[Key]
) -> Concentration | None:
    (first, *more) = keys
    if more or isinstance(first, TimeBucket) or first.is_repeated:
        return None
    return session_queries.concentration(session_filter, first)


def _spread_row(found: Concentration | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "sessions": found.total,
        "groups": found.groups,
        "share_of_the_first": found.first_share,
        "entropy_bits": found.entropy,
    }
