"""Conditions for current facts: from tables newer than the attack and not expired."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.schema.tables import known_addresses, session_summaries
from snapshots.app.queries.session_queries import Dimension
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.snapshot.freshness import CurrentSince

SESSIONS, ADDRESSES = session_summaries.c, known_addresses.c
SEEN_AT = func.coalesce(SESSIONS.source_ip_seen_at, SESSIONS.first_event_at)

ANSWERS: Mapping[Dimension, tuple[ColumnElement[Any], ColumnElement[Any]]] = {
    Dimension.ASN: (ADDRESSES.current_asn, ADDRESSES.current_asn_at),
    Dimension.COUNTRY: (ADDRESSES.current_country, ADDRESSES.current_country_at),
    Dimension.IP_TYPE: (ADDRESSES.current_ip_type, ADDRESSES.current_ip_type_at),
}
"""The newest value of each fact, and the date of the table that states it."""


class CurrentAnswers:
    """
    The newest facts of addresses that are current.

    Args:
        since: The oldest dates that are not expired.
    """

    def __init__(self, since: CurrentSince) -> None:
        network = literal(since.network, UtcDateTime())
        types = {ip_type.value: literal(at, UtcDateTime()) for ip_type, at in since.types.items()}
        of_type = case(types, value=ADDRESSES.current_ip_type, else_=literal(since.no_type, UtcDateTime()))
        self._since: Mapping[Dimension, ColumnElement[Any]] = {
            Dimension.ASN: network,
            Dimension.COUNTRY: network,
            Dimension.IP_TYPE: of_type,
        }

    def holds_today(self, key: Dimension) -> ColumnElement[bool]:
        """Return the condition that the newest value of a fact is not expired."""
        return ANSWERS[key][1] >= self._since[key]

    def value(self, key: Dimension) -> ColumnElement[Any]:
        """Return the current value of a fact; NULL if it has none."""
        return case((self._is_current(key), ANSWERS[key][0]))

    def are_current(self, by: Collection[Dimension | TimeBucket]) -> ColumnElement[bool]:
        """Return the condition that every fact among the keys is current; without one, that any of the three is."""
        asked = _facts(by)
        return and_(*map(self._is_current, asked)) if asked else or_(*map(self._is_current, ANSWERS))

    def _is_current(self, key: Dimension) -> ColumnElement[bool]:
        return and_(ANSWERS[key][1] > SEEN_AT, self.holds_today(key))


def are_newer(by: Collection[Dimension | TimeBucket]) -> ColumnElement[bool]:
    """Return the condition that a table newer than the attack has each fact; without one, any of the three."""
    asked = _facts(by)
    newer = [ANSWERS[key][1] > SEEN_AT for key in asked or ANSWERS]
    return and_(*newer) if asked else or_(*newer)


def are_from_own_tables(by: Collection[Dimension | TimeBucket]) -> ColumnElement[bool]:
    """Return the condition that the newest value of each fact comes from a table that the snapshot was made from."""
    return and_(*(ANSWERS[key][1] <= SESSIONS.enrichment_at for key in _facts(by) or (Dimension.ASN,)))


def _facts(by: Collection[Dimension | TimeBucket]) -> list[Dimension]:
    return [key for key in by if isinstance(key, Dimension) and key in ANSWERS]
