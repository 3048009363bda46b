"""Decode rows of sessions and observations, and compute seals."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast

import msgspec
from sqlalchemy import RowMapping

from snapshots.adapters.sql.connection.datetimes import timestamp_text
from snapshots.adapters.sql.rows.fingerprints import is_full, unpacked
from snapshots.adapters.sql.schema.tables import SNAPSHOT_COLUMNS
from snapshots.app.errors import StoreUnavailable
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS, IpAddress, Sighting, SightingKind
from snapshots.domain.errors import InvalidAddress, InvalidFact
from snapshots.domain.facts.ip_type import IpType, IpTypePriority
from snapshots.domain.facts.observation import IpFacts, IpObservation
from snapshots.domain.facts.validation import LARGEST_ASN, PSEUDO_COUNTRIES
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.behaviour import TRAITS, Behaviour
from snapshots.domain.session.event_time import time_of
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

_BEHAVIOUR = msgspec.json.Decoder(dict[str, list[tuple[int, str]]])
"""Decoder of what `session_encoder.behaviour_values` wrote: microseconds and texts by trait."""

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""Errors of decoding text that another program wrote: it is read as no behavior, so that a load can continue."""


def behaviour_in(text: str | None) -> Behaviour:
    """Decode the column `behaviour`; empty for text that `session_encoder.behaviour_values` did not write."""
    if not text:
        return Behaviour()
    try:
        found = _BEHAVIOUR.decode(text)
        behaviour = Behaviour(
            {TRAITS[word]: tuple([(time_of(at), shown) for at, shown in pairs]) for word, pairs in found.items()}
        )
        _ = behaviour.password, behaviour.duration_ms  # raises for values that cannot be decoded
    except _UNREADABLE:
        return Behaviour()
    return behaviour


def activity_in(text: str | None, logins: Iterable[StoredLogin]) -> Activity:
    """
    Return what was done in a session, by the column `behaviour` and its login attempts.

    Times, single values and unknown traits are not checked, so that text which `behaviour_in` refuses may be listed.
    """
    try:
        found = _BEHAVIOUR.decode(text) if text else {}
    except _UNREADABLE:
        found = {}
    return Activity.of(lambda trait: tuple([shown for _, shown in found.get(trait.word, ())]), logins)


SEALED = tuple(column for column in ("session_id", *SNAPSHOT_COLUMNS) if column != "snapshot_seal")


def seal_of(row: Mapping[str, Any] | RowMapping) -> str:
    """
    Return a hash over the sealed columns, which reveals changes that bypassed the triggers.

    It has no key: it detects accidents, not an attacker who recomputes it.
    """
    return digest("|".join([_canonical(row[column]) for column in SEALED]))


def digest(text: str) -> str:
    """Return the truncated SHA-256 of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def digest_of_source(row: Mapping[str, Any] | RowMapping) -> str:
    """Return a hash over the immutable columns of a registered build."""
    names = ("source", "built_at", "number", "form", "licence", "sha256", "origin", "registered_at")
    return digest("|".join([_canonical(row[name]) for name in names]))


def record_text(reason: str, run: str, made_at: datetime) -> str:
    """Return the text of a correction that is hashed after its session id."""
    return f"|{reason}|{run}|{sealed_timestamp(made_at)}"


def _canonical(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return sealed_timestamp(value) if isinstance(value, datetime) else str(value)


def sealed_timestamp(at: datetime) -> str:
    """Return the text of a timestamp in seals, the same on every database."""
    return f"{timestamp_text(at)}+00:00"


def summary_in(row: Mapping[str, Any] | RowMapping) -> SessionSummary:
    """
    Return the session in a row.

    A row of another loader may lack times; the nearest existing one is used then. The row of a long session holds only
    some fingerprints; the others are in `fingerprints.SqlFingerprints`.
    """
    first = row["first_event_at"] or row["last_event_at"] or row["created_at"]
    try:
        snapshot, is_sealed = snapshot_in(row), holds_a_fact(row)
        gap = Gap(row["snapshot_gap"]) if row["snapshot_gap"] is not None and not is_sealed else None
    except (InvalidFact, ValueError) as exc:
        raise StoreUnavailable(f"session {row['session_id']} cannot be read: {exc}") from exc
    return SessionSummary(
        session_id=row["session_id"],
        logged_id=row["logged_id"],
        sighting=sighting_in(row),
        first_event_at=first,
        last_event_at=row["last_event_at"] or first,
        event_count=row["event_count"] or 0,
        command_count=row["command_count"] or 0,
        file_downloads=row["file_downloads"] or 0,
        login_attempts=row["login_attempts"] or 0,
        forward_count=row["forward_count"] or 0,
        sensor=row["matcher"],
        sensor_id=row["sensor_id"],
        fingerprints=unpacked(row["event_fingerprints"] or b""),
        snapshot=snapshot,
        gap=gap,
        has_foreign_snapshot=is_sealed and snapshot is None,
        counted_until=_counted_until(row),
        behaviour=behaviour_in(row["behaviour"]),
        file_uploads=row["file_uploads"],
    )


def _counted_until(row: Mapping[str, Any] | RowMapping) -> datetime | None:
    """Return until when another loader counted events: it stores no fingerprints, and counts only past events."""
    known = len(row["event_fingerprints"] or b"") // 8
    counts_all = (row["event_count"] or 0) <= known or is_full(row["event_fingerprints"])
    if row["counted_until"] is not None or counts_all:
        return cast("datetime | None", row["counted_until"])
    return cast(datetime, row["last_event_at"] or row["updated_at"])


def holds_a_fact(row: Mapping[str, Any] | RowMapping) -> bool:
    """Whether a row is sealed; the same condition as `tables.is_sealed`, in Python."""
    return any(facts_held(row["snapshot_asn"], row["snapshot_country"], row["snapshot_ip_type"]))


@lru_cache(maxsize=8192)
def facts_held(asn: int | None, country: str | None, ip_type: str | None) -> tuple[bool, bool, bool]:
    """Whether each column of a row holds a fact; the same conditions as `tables.states`, in Python."""
    return (
        asn is not None and asn != 0,
        country is not None and country.upper() not in {*PSEUDO_COUNTRIES, ""},
        ip_type is not None and ip_type not in {"", "null", "[]", "{}"},
    )


def sighting_in(row: Mapping[str, Any] | RowMapping) -> Sighting | None:
    """Return the sighting; if another loader wrote no time or kind, with the next best time and the kind OTHER."""
    times = (row[column] for column in ("source_ip_seen_at", "first_event_at", "last_event_at", "created_at"))
    seen_at = next((at for at in times if at is not None), None)
    return sighting_of(row["source_ip"], seen_at, row["source_ip_rank"], row["source_port"])


def sighting_of(source_ip: str | None, seen_at: datetime | None, rank: int | None, port: int | None) -> Sighting | None:
    """Return the sighting in columns; OTHER without a kind, None without an address or a time."""
    address = address_of(source_ip)
    if address is None or seen_at is None:
        return None
    kind = SightingKind(rank) if rank is not None else SightingKind.OTHER
    return Sighting(address=address, seen_at=seen_at, kind=kind, port=port)


@lru_cache(maxsize=8192)
def address_of(text: str | None) -> IpAddress | None:
    """Return a canonical address; None for text of other loaders that is not an address."""
    try:
        return IpAddress.parse(text) if text and text != UNKNOWN_ADDRESS else None
    except InvalidAddress:
        return None


def snapshot_in(row: Mapping[str, Any] | RowMapping) -> IpSnapshot | None:
    """
    Return the snapshot in a row; None if the session is open.

    Raises:
        InvalidFact: A fact, type or method that this program wrote is invalid.
    """
    if row["snapshot_method"] is None:
        return _adopted_in(row)
    try:
        ip_type = IpType(row["snapshot_ip_type"]) if row["snapshot_ip_type"] is not None else None
        method = Method(row["snapshot_method"])
    except ValueError as exc:
        raise InvalidFact(str(exc)) from exc
    return IpSnapshot(
        asn=row["snapshot_asn"],
        country=row["snapshot_country"],
        ip_type=ip_type,
        enrichment_at=row["enrichment_at"],
        method=method,
        source=row["snapshot_source"],
    )


def _adopted_in(row: Mapping[str, Any] | RowMapping) -> IpSnapshot | None:
    """Return the snapshot of another loader; pseudo codes and unknown words are ignored."""
    asn, country = row["snapshot_asn"], (row["snapshot_country"] or "").strip().upper()
    is_country = re.fullmatch("[A-Z]{2}", country) and country not in PSEUDO_COUNTRIES
    ip_type = IpTypePriority().highest_ranked(types_in(row["snapshot_ip_type"]))
    asn = asn if asn is not None and 1 <= asn <= LARGEST_ASN else None
    stated_at = row["enrichment_at"] or row["updated_at"] or row["last_event_at"] or row["created_at"]
    if stated_at is None or (asn is None and not is_country and ip_type is None):
        return None
    return IpSnapshot(
        asn=asn,
        country=country if is_country else None,
        ip_type=ip_type,
        enrichment_at=stated_at,
        method=Method.ADOPTED,
        source=Method.ADOPTED.value,
    )


def types_in(text: str | None) -> frozenset[IpType]:
    """Return the IP types in a word, or in the words of a JSON list such as '["RESIDENTIAL", "VPN"]'."""
    named = (IpType.named(word) for word in re.findall(r"[^\[\]\",{}]+", text or ""))
    return frozenset(kind for kind in named if kind is not None)


def observation_in(row: Sequence[Any]) -> IpObservation:
    """Return the observation in a row of `ip_observations`, with all of its columns, the address first."""
    _, source, observed_at, confirmed_until, learned_at, asn, country, ip_types = row
    return IpObservation(
        source=source,
        observed_at=observed_at,
        confirmed_until=confirmed_until,
        facts=facts_in(asn, country, ip_types),
        learned_at=learned_at,
    )


@lru_cache(maxsize=8192)
def facts_in(asn: int | None, country: str | None, ip_types: str) -> IpFacts:
    """Return the facts in the columns of an observation."""
    return IpFacts(asn=asn, country=country, ip_types=frozenset(IpType(word) for word in ip_types.split()))
