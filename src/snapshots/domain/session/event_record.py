"""Events as tuples of primitive values: as they are decoded, sent between processes and added up."""

from datetime import datetime
from functools import lru_cache

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.session.behaviour import TRAITS, Traits
from snapshots.domain.session.event_time import EPOCH, microseconds_of
from snapshots.domain.session.session import EventKind, SessionEvent

RecordedTraits = tuple[tuple[str, str], ...]
"""The traits of an event, each with the name of its kind in stored documents."""

EventRecord = tuple[bytes, str, str, str | None, int | None, str | None, str | None, RecordedTraits]
"""
A `SessionEvent`, value by value, in its order: cheap to make, to compare and to send to another process.

The fingerprint has 8 bytes, the most significant first. The time is `YYYY-MM-DDTHH:MM:SS.ffffffZ`, so that records sort
chronologically. The kind is the value of an `EventKind`, the address is canonical.
"""

KINDS = {kind.value: kind for kind in EventKind}

FINGERPRINT_BYTES = 8


def record_of(event: SessionEvent) -> EventRecord:
    """Return the record of an event; `event_of` reverses it."""
    fingerprint, at, kind, address, port, sensor, sensor_id, traits = event
    text = address.text if address is not None else None
    mark = fingerprint.to_bytes(FINGERPRINT_BYTES, "big")
    return (mark, text_of_time(at), kind.value, text, port, sensor, sensor_id, recorded_traits(traits))


def event_of(record: EventRecord) -> SessionEvent:
    """Return the event of a record."""
    fingerprint, at, kind, text, port, sensor, sensor_id, traits = record
    address = IpAddress(text) if text is not None else None
    shown = tuple([(TRAITS[word], value) for word, value in traits])
    mark = int.from_bytes(fingerprint, "big")
    return SessionEvent(mark, datetime.fromisoformat(at), KINDS[kind], address, port, sensor, sensor_id, shown)


@lru_cache(maxsize=4096)  # attackers do the same everywhere
def recorded_traits(traits: Traits) -> RecordedTraits:
    """Return traits as they are recorded."""
    return tuple([(trait.word, value) for trait, value in traits])


def text_of_time(at: datetime) -> str:
    """Return the text of a time in UTC in a record."""
    return f"{at.replace(tzinfo=None).isoformat('T', 'microseconds')}Z"


def microseconds_in(text: str) -> int:
    """Return `microseconds_of` the time in a record."""
    return _minute(text[:16]) + int(text[17:19] + text[20:26])


@lru_cache(maxsize=8192)  # events of a log are near each other
def _minute(text: str) -> int:
    return microseconds_of(datetime.fromisoformat(text).replace(tzinfo=EPOCH.tzinfo))
