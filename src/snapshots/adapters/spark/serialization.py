"""Encode sessions between workers, in MessagePack."""

from functools import lru_cache
from typing import Any

import msgspec

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.session.behaviour import TRAITS
from snapshots.domain.session.event_time import microseconds_of, time_of
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent

KINDS = {kind.value: kind for kind in EventKind}

_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder()


def encoded(session: SessionAggregate) -> bytes:
    """Encode the events of a session, without its id."""
    return _encoder.encode([_event(event) for event in session.events.values()])


def _event(event: SessionEvent) -> tuple[object, ...]:
    at = microseconds_of(event.at)
    address = event.address.text if event.address is not None else None
    traits = [(trait.word, text) for trait, text in event.traits]
    return (event.fingerprint, at, event.kind.value, address, event.port, event.sensor, event.sensor_id, traits)


def decoded(logged_id: str, *parts: bytes) -> SessionAggregate:
    """Decode and merge the parts of a session, in any order."""
    aggregate = SessionAggregate.of(logged_id)
    for part in parts:
        for fingerprint, at, kind, address, port, sensor, sensor_id, traits in _decoder.decode(part):
            found = tuple((TRAITS[word], text) for word, text in traits)
            aggregate.add(
                SessionEvent(
                    fingerprint,
                    time_of(at),
                    KINDS[kind],
                    _address(address),
                    port,
                    sensor,
                    sensor_id,
                    found,
                )
            )
    return aggregate


@lru_cache(maxsize=65_536)
def _address(text: str | None) -> IpAddress | None:
    return IpAddress(text) if text is not None else None


def packed(value: object) -> bytes:
    """Encode plain values, also datetimes."""
    return _encoder.encode(value)


def unpacked(data: bytes) -> Any:
    """Decode packed values."""
    return _decoder.decode(data)
