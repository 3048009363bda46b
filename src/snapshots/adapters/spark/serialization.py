"""Encode sessions between workers, in MessagePack."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from snapshots.app.load.batch import ReadSession
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
KINDS = {kind.value: kind for kind in EventKind}
TRAITS = {trait.word: trait for trait in Trait}

_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder()


def encoded(session: ReadSession) -> bytes:
    """Encode a session without its id."""
    lines = session.lines
    return _encoder.encode(
        [(*_event(event), lines.get(fingerprint)) for fingerprint, event in session.aggregate.events.items()]
    )


def _event(event: SessionEvent) -> tuple[object, ...]:
    at = (event.at - EPOCH) // MICROSECOND
    address = event.address.text if event.address is not None else None
    traits = [(trait.word, text) for trait, text in event.traits]
    return (event.fingerprint, at, event.kind.value, address, event.port, event.sensor, event.sensor_id, traits)


def decoded(logged_id: str, *parts: bytes) -> ReadSession:
    """Decode and merge the parts of a session, in any order."""
    aggregate, lines = SessionAggregate.of(logged_id), dict[int, bytes]()
    for part in parts:
        for fingerprint, at, kind, address, port, sensor, sensor_id, traits, line in _decoder.decode(part):
            found = tuple((TRAITS[word], text) for word, text in traits)
            aggregate.add(
                SessionEvent(
                    fingerprint,
                    EPOCH + timedelta(microseconds=at),
                    KINDS[kind],
                    _address(address),
                    port,
                    sensor,
                    sensor_id,
                    found,
                )
            )
            if line is not None:
                lines[fingerprint] = line
    return ReadSession(aggregate, lines)


@lru_cache(maxsize=65_536)
def _address(text: str | None) -> IpAddress | None:
    return IpAddress(text) if text is not None else None


def packed(value: object) -> bytes:
    """Encode plain values, also datetimes."""
    return _encoder.encode(value)


def unpacked(data: bytes) -> Any:
    """Decode packed values."""
    return _decoder.decode(data)
