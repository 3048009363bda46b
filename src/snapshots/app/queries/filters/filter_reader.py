"""Read filters of sessions from texts: the values of options, or of a query string."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.action import Action
from snapshots.app.queries.filters.stored_values import as_stored, check_stored, completed
from snapshots.app.queries.filters.times import time_before
from snapshots.app.queries.session_queries import (
    ANY_TEXT,
    FOUND_BY,
    HASHES,
    METHODS_OF_FACTS,
    Dimension,
    NetworkTime,
    SessionFilter,
    SessionQueries,
)

NONE = "none"
"""The value that selects sessions without a value."""

NOT = "not-"
"""Prefix of the name of a filter that excludes its values."""

KEYS = tuple(key for key in FOUND_BY if key not in METHODS_OF_FACTS.values())
"""Dimensions with a filter of their own; the methods of facts are values of METHOD."""

ACTIONS = tuple(each.value for each in Action)

FILTER_NAMES = (
    *("since", "until", "did", f"{NOT}did"),
    *(f"{prefix}{key.value}" for prefix in ("", NOT) for key in KEYS),
)
"""Names of all filters. Each but `since` and `until` may have several values."""


class FilterReader:
    """
    Makes filters from texts.

    Args:
        session_queries: The stored values, of which a text may be the beginning.
        now: The current time in UTC, for times such as 7d.
    """

    def __init__(self, session_queries: SessionQueries, now: datetime) -> None:
        self._session_queries = session_queries
        self._now = now

    def read(
        self, given: Mapping[str, Sequence[str]], *, network_time: NetworkTime = NetworkTime.THEN
    ) -> SessionFilter:
        """
        Return the filter; the beginning of a hash is replaced by the stored hash that begins like it.

        Args:
            given: Values by the names of `FILTER_NAMES`, any of which may be missing.
            network_time: Time of the networks that are counted or listed.

        Raises:
            InvalidQuery: A value has the wrong form, or no or several stored hashes begin like it.
        """
        return SessionFilter(
            since=self._limit(given.get("since", ())),
            until=self._limit(given.get("until", ())),
            values=self._values(given, prefix=""),
            excluded=self._values(given, prefix=NOT),
            did=_actions(given.get("did", ())),
            did_not=_actions(given.get(f"{NOT}did", ())),
            network_time=network_time,
        )

    def check_values(self, session_filter: SessionFilter) -> None:
        """
        Refuse values that no session has, for filters that select no session.

        Raises:
            InvalidQuery: A value is not stored; the message lists the nearest ones that are.
        """
        for values in (session_filter.values, session_filter.excluded):
            check_stored(self._session_queries, values)

    def _limit(self, texts: Sequence[str]) -> datetime | None:
        if not texts:
            return None
        try:
            return time_before(texts[-1]).at(self._now)
        except OverflowError as exc:
            raise InvalidQuery("--since or --until is too long ago: use a date, or a shorter time") from exc

    def _values(self, given: Mapping[str, Sequence[str]], *, prefix: str) -> Mapping[Dimension, Sequence[str | None]]:
        texts = {key: given.get(f"{prefix}{key.value}", ()) for key in KEYS}
        texts |= _methods_by_fact(texts[Dimension.METHOD])
        return {
            key: [None if text.lower() == NONE else self._stored(key, text) for text in own]
            for key, own in texts.items()
            if own
        }

    def _stored(self, key: Dimension, text: str) -> str:
        """Return the stored value that a printed one, or the beginning of a hash, stands for."""
        if key in HASHES:
            return completed(self._session_queries, key, text)
        return as_stored(self._session_queries, key, text) if key in ANY_TEXT else text


def actions_of(text: str) -> tuple[Action, ...]:
    """
    Return actions whose names are separated by commas.

    Raises:
        InvalidQuery: A name is not that of an action.
    """
    words = text.lower().split(",")
    unknown = [word for word in words if word not in ACTIONS]
    if unknown:
        raise InvalidQuery(f"{unknown[0][:40]!r} is not an action (use one or more of {','.join(ACTIONS)})")
    return tuple(Action(word) for word in words)


def _actions(texts: Sequence[str]) -> tuple[Action, ...]:
    return tuple(dict.fromkeys(action for text in texts for action in actions_of(text)))


def _methods_by_fact(texts: Sequence[str]) -> dict[Dimension, Sequence[str]]:
    """
    Return the values of METHOD by dimension: of the whole snapshot, and of one fact as FACT=METHOD.

    Raises:
        InvalidQuery: There is no such fact.
    """
    found: dict[Dimension, list[str]] = {Dimension.METHOD: []}
    for text in texts:
        fact, mark, method = text.rpartition("=")
        if mark and fact.lower() not in METHODS_OF_FACTS:
            raise InvalidQuery(f"--method {text[:40]!r}: use asn=, country= or type= with a method")
        key = METHODS_OF_FACTS[fact.lower()] if mark else Dimension.METHOD
        found.setdefault(key, []).append(method)
    return dict(found)
