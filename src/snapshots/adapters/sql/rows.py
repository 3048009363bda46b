"""How sessions and observations are written as rows, and read back."""

import re
from array import array
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from sys import byteorder
from typing import Any, cast

import msgspec
from sqlalchemy import RowMapping

from snapshots.adapters.sql.moments import moment_text
from snapshots.adapters.sql.tables import SNAPSHOT_COLUMNS
from snapshots.domain.behaviour import Behaviour, Trait
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.gap import Gap
from snapshots.domain.ip_type import IpType, IpTypePriority
from snapshots.domain.observation import IpFacts, IpObservation
from snapshots.domain.snapshot import LARGEST_ASN, PSEUDO_COUNTRIES, IpSnapshot, Method
from snapshots.domain.source_ip import UNKNOWN_ADDRESS, IpAddress, Sighting, SightingKind
from snapshots.domain.summary import LARGEST_FINGERPRINT_SET, SessionSummary

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
TRAITS = {trait.word: trait for trait in Trait}
TRAITS_IN_ORDER = sorted(Trait, key=lambda trait: trait.word)
_JSON = msgspec.json.Encoder()


def row_of(summary: SessionSummary, *, run: str, saved_at: datetime) -> dict[str, Any]:
    """Return the row of a session, as it would be inserted."""
    sighting, snapshot = summary.sighting, summary.snapshot
    row = {
        "session_id": summary.session_id,
        "logged_id": summary.logged_id,
        "first_event_at": summary.first_event_at,
        "last_event_at": summary.last_event_at,
        "event_count": summary.event_count,
        "command_count": summary.command_count,
        "file_downloads": summary.file_downloads,
        "login_attempts": summary.login_attempts,
        "forward_count": summary.forward_count,
        "matcher": summary.sensor,
        "sensor_id": summary.sensor_id,
        **snapshot_columns(sighting, snapshot, run),
        "snapshot_gap": summary.gap.value if summary.gap else None,
        "gap_checked_at": saved_at if summary.gap else None,
        "gap_run": run if summary.gap else None,
        "counted_until": summary.counted_until,
        **behaviour_columns(summary.behaviour),
        "created_at": saved_at,
        "updated_at": saved_at,
        "event_fingerprints": packed(summary.fingerprints),
    }
    return row | {"snapshot_seal": seal_of(row) if snapshot else None}


def behaviour_columns(behaviour: Behaviour) -> dict[str, Any]:
    """Return what is asked for most of a session's behaviour, and all of it as a JSON text; NULLs if it is none."""
    said = {
        trait.word: [(_microseconds(at), text) for at, text in behaviour.said[trait]]
        for trait in TRAITS_IN_ORDER
        if trait in behaviour.said
    }
    return {
        "protocol": behaviour.first(Trait.PROTOCOL),
        "client_version": behaviour.first(Trait.CLIENT_VERSION),
        "hassh": behaviour.first(Trait.HASSH),
        "username": behaviour.username,
        "password_hash": behaviour.password_hash,
        "login_succeeded": behaviour.login_succeeded,
        "command_signature": behaviour.command_signature,
        "ssh_key_fingerprint": behaviour.first(Trait.KEY),
        "download_hash": behaviour.first(Trait.DOWNLOAD),
        "duration_ms": behaviour.duration_ms,
        "behaviour": _JSON.encode(said).decode() if said else None,
    }


BEHAVIOUR_COLUMNS = tuple(behaviour_columns(Behaviour()))
"""What campaigns are found by: what was said once is not unsaid."""


def _microseconds(at: datetime) -> int:
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def behaviour_in(text: str | None) -> Behaviour:
    """Return the behaviour that `behaviour_columns` wrote; none where something else stands there: it stops no load."""
    if not text:
        return Behaviour()
    try:
        found = msgspec.json.decode(text)
        behaviour = Behaviour(
            {
                TRAITS[word]: tuple((EPOCH + at * MICROSECOND, str(said)) for at, said in pairs)
                for word, pairs in found.items()
            }
        )
        _ = behaviour.password, behaviour.duration_ms  # what cannot be read is told now
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return Behaviour()
    return behaviour


def snapshot_columns(sighting: Sighting | None, snapshot: IpSnapshot | None, run: str) -> dict[str, Any]:
    """Return the columns that a sealed row keeps for good, but for the seal over them."""
    return {
        "source_ip": sighting.address.text if sighting else None,
        "source_port": sighting.port if sighting else None,
        "source_ip_rank": int(sighting.kind) if sighting else None,
        "source_ip_seen_at": sighting.seen_at if sighting else None,
        "snapshot_asn": snapshot.asn if snapshot else None,
        "snapshot_country": snapshot.country if snapshot else None,
        "snapshot_ip_type": snapshot.ip_type.value if snapshot and snapshot.ip_type else None,
        "enrichment_at": snapshot.enrichment_at if snapshot else None,
        "snapshot_method": snapshot.method.value if snapshot else None,
        "snapshot_source": snapshot.source if snapshot else None,
        "snapshot_run": run if snapshot else None,
    }


SEALED = tuple(column for column in ("session_id", *SNAPSHOT_COLUMNS) if column != "snapshot_seal")


def seal_of(row: Mapping[str, Any] | RowMapping) -> str:
    """
    Return a hash over what a sealed row keeps, by which a change behind the guard's back is seen.

    It has no key: it is evidence of accidents and of careless hands, not against one who computes it again.
    """
    return digest("|".join([_canonical(row[column]) for column in SEALED]))


def digest(text: str) -> str:
    """Return the hash of a text that is sealed."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _canonical(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return _moment(value) if isinstance(value, datetime) else str(value)


def _moment(at: datetime) -> str:
    return f"{moment_text(at)}+00:00"


class Seals:
    """
    The columns of many snapshots and the seals over them, as `snapshot_columns` and `seal_of` make them of one row.

    Args:
        run: The run that writes.
        stored: Returns how the database keeps a moment.
    """

    def __init__(self, run: str, stored: Callable[[datetime], datetime | str]) -> None:
        self._run = run
        self._stored = stored
        self._parts: dict[int, tuple[IpSnapshot, tuple[object, ...], str]] = {}

    def columns(self, session_id: str, sighting: Sighting, snapshot: IpSnapshot) -> tuple[object, ...]:
        """Return ASN, country, type, enrichment_at, method, source and seal."""
        columns, text = self.part(snapshot)
        port = "" if sighting.port is None else sighting.port
        seen = f"{sighting.address.text}|{port}|{int(sighting.kind)}|{_moment(sighting.seen_at)}"
        return (*columns, digest(f"{session_id}|{seen}|{text}|{self._run}"))

    def part(self, snapshot: IpSnapshot) -> tuple[tuple[object, ...], str]:
        """Return the columns but the seal, and the text that is sealed between what was seen and the run."""
        _, columns, text = self._parts.get(id(snapshot)) or self._part(snapshot)
        return columns, text

    def _part(self, snapshot: IpSnapshot) -> tuple[IpSnapshot, tuple[object, ...], str]:
        asn, country, at = snapshot.asn, snapshot.country, snapshot.enrichment_at
        ip_type = snapshot.ip_type.value if snapshot.ip_type is not None else None
        method, source = snapshot.method.value, snapshot.source
        facts = f"{'' if asn is None else asn}|{country or ''}|{ip_type or ''}"
        text = f"{facts}|{_moment(at)}|{method}|{source}"
        # The snapshot is kept with its part, so that no other can get its id.
        part = (snapshot, (asn, country, ip_type, self._stored(at), method, source), text)
        self._parts[id(snapshot)] = part
        return part


def summary_in(row: RowMapping) -> SessionSummary:
    """
    Return the session in a row.

    A row of another loader may lack its times; the nearest that it has stands for them then.
    """
    first = row["first_event_at"] or row["last_event_at"] or row["created_at"]
    snapshot, is_sealed = snapshot_in(row), holds_a_fact(row)
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
        gap=Gap(row["snapshot_gap"]) if row["snapshot_gap"] is not None and not is_sealed else None,
        is_unreadable=is_sealed and snapshot is None,
        counted_until=_counted_until(row),
        behaviour=behaviour_in(row["behaviour"]),
    )


def _counted_until(row: RowMapping) -> datetime | None:
    """Return until when another loader counted: it knows no fingerprints, and writes nothing before it happens."""
    known = len(row["event_fingerprints"] or b"") // 8
    counts_all = (row["event_count"] or 0) <= known or known == LARGEST_FINGERPRINT_SET
    if row["counted_until"] is not None or counts_all:
        return cast("datetime | None", row["counted_until"])
    return cast(datetime, row["last_event_at"] or row["updated_at"])


def holds_a_fact(row: Mapping[str, Any] | RowMapping) -> bool:
    """Whether a row is sealed: what `tables.is_sealed` says in SQL, for a row that was read."""
    asn, country, ip_type = (row[f"snapshot_{name}"] for name in ("asn", "country", "ip_type"))
    return (
        (asn is not None and asn != 0)
        or (country is not None and country.upper() not in {*PSEUDO_COUNTRIES, ""})
        or (ip_type is not None and ip_type not in {"", "null", "[]", "{}"})
    )


def sighting_in(row: RowMapping) -> Sighting | None:
    """Return the sighting; where another loader did not write its time or kind, the least that can be said."""
    times = (row[column] for column in ("source_ip_seen_at", "first_event_at", "last_event_at", "created_at"))
    seen_at = next((at for at in times if at is not None), None)
    return sighting_of(row["source_ip"], seen_at, row["source_ip_rank"], row["source_port"])


def sighting_of(source_ip: str | None, seen_at: datetime | None, rank: int | None, port: int | None) -> Sighting | None:
    """Return the sighting that columns make; without a known kind it is of any event, without a time it is none."""
    address = address_of(source_ip)
    if address is None or seen_at is None:
        return None
    kind = SightingKind(rank) if rank is not None else SightingKind.OTHER
    return Sighting(address=address, seen_at=seen_at, kind=kind, port=port)


@lru_cache(maxsize=65_536)
def address_of(text: str | None) -> IpAddress | None:
    """Return an address of a row in its one form: other loaders write it in others, or write none."""
    try:
        return IpAddress.parse(text) if text and text != UNKNOWN_ADDRESS else None
    except InvalidAddress:
        return None


def snapshot_in(row: Mapping[str, Any] | RowMapping) -> IpSnapshot | None:
    """
    Return the snapshot in a row; None if the session is open.

    Raises:
        InvalidFact: A fact that this program wrote is out of range.
        ValueError: A type or method that it wrote has no meaning.
    """
    if row["snapshot_method"] is None:
        return _adopted_in(row)
    return IpSnapshot(
        asn=row["snapshot_asn"],
        country=row["snapshot_country"],
        ip_type=IpType(row["snapshot_ip_type"]) if row["snapshot_ip_type"] is not None else None,
        enrichment_at=row["enrichment_at"],
        method=Method(row["snapshot_method"]),
        source=row["snapshot_source"],
    )


def _adopted_in(row: Mapping[str, Any] | RowMapping) -> IpSnapshot | None:
    """Return what another loader wrote, as far as it can be read; pseudo codes and unknown words are no facts."""
    asn, country = row["snapshot_asn"], (row["snapshot_country"] or "").strip().upper()
    is_country = re.fullmatch("[A-Z]{2}", country) and country not in PSEUDO_COUNTRIES
    ip_type = IpTypePriority().most_telling(types_in(row["snapshot_ip_type"]))
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
    """Return the types that a word names, or the words of a JSON list such as '["RESIDENTIAL", "VPN"]'."""
    named = (IpType.named(word) for word in re.findall(r"[^\[\]\",{}]+", text or ""))
    return frozenset(kind for kind in named if kind is not None)


def observation_in(row: RowMapping) -> IpObservation:
    """Return the observation in a row."""
    return IpObservation(
        address=IpAddress(row["ip_address"]),
        source=row["source"],
        observed_at=row["observed_at"],
        confirmed_until=row["confirmed_until"],
        facts=_facts(row["asn"], row["country"], row["ip_types"]),
        learned_at=row["learned_at"],
    )


@lru_cache(maxsize=65_536)
def _facts(asn: int | None, country: str | None, ip_types: str) -> IpFacts:
    return IpFacts(asn=asn, country=country, ip_types=frozenset(IpType(word) for word in ip_types.split()))


def packed(fingerprints: frozenset[int]) -> bytes:
    """Return fingerprints as 8 bytes each, ascending, the most significant byte first."""
    numbers = array("Q", sorted(fingerprints))
    if byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()


def unpacked(data: bytes) -> frozenset[int]:
    """Return the fingerprints that `packed` wrote."""
    numbers = array("Q", data)
    if byteorder == "little":
        numbers.byteswap()
    return frozenset(numbers)
