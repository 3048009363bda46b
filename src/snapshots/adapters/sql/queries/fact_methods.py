"""The method of each fact of a session: by the rule of `domain.snapshot.fact_methods`, and as conditions in SQL."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, and_, case, func, literal, not_, null, or_

from snapshots.adapters.sql.connection.dialects.expressions import contains_text, is_later_build
from snapshots.adapters.sql.connection.dialects.timestamps import day_of, timestamp_in_utc
from snapshots.adapters.sql.schema.tables import session_summaries, states
from snapshots.domain.facts.network_types import NETWORK_TYPES
from snapshots.domain.snapshot.fact_methods import DAY_LENGTH, FactMethod, methods_by_fact
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
FACTS: Mapping[str, str] = {"asn": "snapshot_asn", "country": "snapshot_country", "ip_type": "snapshot_ip_type"}
SOURCE = func.coalesce(SESSIONS.snapshot_source, "")
IS_BY_NETWORK: ColumnElement[bool] = SOURCE.contains(NETWORK_TYPES)
"""Whether the type of a session, if it has one, is that of its network."""

ADDRESS, NETWORK = "address", "network"
METHODS = {method.value for method in Method}


@lru_cache(maxsize=50_000)
def nearness(
    has: tuple[bool, ...], method: str | None, source: str | None, seen: str | None
) -> Mapping[str, FactMethod]:
    """
    Return how near each fact of a stored session is to the attack.

    Few sessions differ in all of these values, so that results are cached.

    Args:
        has: Whether the session has each of FACTS.
        method: Its method, as stored.
        source: Its provenance, as stored.
        seen: The time of its sighting in UTC, or the day alone; see `seen_for`.
    """
    known = [fact for fact, is_known in zip(FACTS, has, strict=True) if is_known]
    own = Method(method) if method in METHODS else Method.ADOPTED
    return methods_by_fact(known, own, source or "", (seen or "").replace(" ", "T"))


def method_by_fact(near: Mapping[str, FactMethod], has: Sequence[bool], method: str | None) -> Sequence[str | None]:
    """
    Return the method of each of FACTS; None for an unknown fact.

    Args:
        near: How near the facts are to the attack; other facts have the method of the session.
        has: Whether the session has each of FACTS.
        method: The method of the session.
    """
    return [
        (near[fact].method.value if fact in near else method) if is_known else None
        for fact, is_known in zip(FACTS, has, strict=True)
    ]


def type_by(source: str | None) -> str:
    """Return whether the IP type of a session, given its provenance, is that of the address or of its network."""
    return NETWORK if NETWORK_TYPES in (source or "") else ADDRESS


def seen_for(source: str | None, seen: str | None) -> str | None:
    """Return the day of a sighting, or its time if a build is of that day: only then does the time matter."""
    if seen is None or source is None or seen[:DAY_LENGTH] in source:
        return seen
    return seen[:DAY_LENGTH]


def day_or_time(connection: Connection) -> ColumnElement[Any]:
    """Return, in SQL, the day of each session's sighting, or its time if a build is of that day: see `seen_for`."""
    day = day_of(connection, SESSIONS.source_ip_seen_at)
    is_of_day = contains_text(connection, SOURCE, day)
    return case((is_of_day, timestamp_in_utc(connection, SESSIONS.source_ip_seen_at)), else_=day)


def method_of(connection: Connection, fact: str) -> ColumnElement[Any]:
    """Return the method of a fact, as text; NULL if the session has no such fact."""
    is_later = _is_later(connection, fact)
    if fact == "ip_type":
        is_later = or_(is_later, and_(IS_BY_NETWORK, states(FACTS["asn"]), _is_later(connection, "asn")))
    return case(
        (not_(states(FACTS[fact])), null()),
        (SESSIONS.snapshot_method != Method.INFERRED.value, SESSIONS.snapshot_method),
        (SESSIONS.snapshot_method.is_(None), Method.ADOPTED.value),
        (is_later, Method.INFERRED.value),
        else_=Method.ASOF.value,
    )


def _is_later(connection: Connection, fact: str) -> ColumnElement[bool]:
    """Return the condition that the build of a fact is from after the attack."""
    labels = func.length(SOURCE) - func.length(func.replace(SOURCE, " ", "")) + 1
    has_asn, has_type = (case((states(FACTS[name]), 1), else_=0) for name in ("asn", "ip_type"))
    places: Mapping[str, ColumnElement[Any]] = {
        "asn": literal(1),
        "country": case((labels >= has_asn + 1 + has_type, has_asn + 1), else_=1),
        "ip_type": labels,
    }
    place = func.coalesce(places[fact], 1, type_=Integer)
    return is_later_build(connection, SOURCE, place, SESSIONS.source_ip_seen_at)
