"""What the events of a session add up to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple, NewType, Self

from snapshots.domain.address.source_ip import CanonicalIpSelector, IpAddress, Sighting, SightingKind
from snapshots.domain.errors import InvalidAddress, InvalidEvent
from snapshots.domain.session.behaviour import Behaviour, Traits
from snapshots.domain.session.summary import SessionSummary

LARGEST_PORT = 65_535

SessionId = NewType("SessionId", str)
"""A session's name in the store: the id that Cowrie logged, or that id with `~` and a qualifier."""


class EventKind(Enum):
    """What an event counts as."""

    CONNECT = "connect"
    COMMAND = "command"
    LOGIN = "login"
    DOWNLOAD = "download"
    FORWARD = "forward"
    OTHER = "other"

    __hash__ = object.__hash__  # there is one of each, and an Enum's own hash is slow

    @property
    def sighting_kind(self) -> SightingKind:
        """Return how far the event is trusted about the address."""
        return _SIGHTING_KINDS.get(self, SightingKind.OTHER)


_SIGHTING_KINDS = {EventKind.CONNECT: SightingKind.CONNECT, EventKind.FORWARD: SightingKind.FORWARD}


class SessionEvent(NamedTuple):
    """
    One thing that happened in a session. A tuple, because there is one for each line of a log.

    Attributes:
        fingerprint: 64 bits that tell this event from every other of its session, the same wherever
            the event is read again.
        at: When it happened, in UTC.
        kind: What it counts as.
        address: The address it names as the session's source, if it names a valid one.
        port: The attacker's port, 0 to 65535; only on a connect.
        sensor: The honeypot that logged it.
        sensor_id: The honeypot's UUID, where the log has one.
        traits: What it says of the session's behaviour.
    """

    fingerprint: int
    at: datetime
    kind: EventKind
    address: IpAddress | None = None
    port: int | None = None
    sensor: str | None = None
    sensor_id: str | None = None
    traits: Traits = ()

    @property
    def sighting(self) -> Sighting | None:
        """Return what the event says of the session's address; None if it names none."""
        if self.address is None:
            return None
        return Sighting(self.address, self.at, self.kind.sighting_kind, self.port)


@dataclass(frozen=True, slots=True)
class SessionAggregate:
    """
    The events of one session that were read so far, each once.

    It is a set of events: adding one again changes nothing, and `merge` is associative, commutative and
    idempotent, so neither order nor batches nor copies of a log change what it adds up to.

    Attributes:
        session_id: The session's name.
        events: The events by their fingerprints.
        counted_until: Events at or before it were counted by another loader, and only tell the address;
            None if there was none.
    """

    session_id: SessionId
    events: dict[int, SessionEvent]
    counted_until: datetime | None = None

    @classmethod
    def of(cls, session_id: str, events: Iterable[SessionEvent] = (), *, counted_until: datetime | None = None) -> Self:
        """Return the aggregate of *events*.

        Raises:
            InvalidEvent: *session_id* is empty, or not a text.
        """
        if not session_id or not isinstance(session_id, str):
            raise InvalidEvent(f"session_id must be a non-empty string, not {session_id!r:.80}")
        aggregate = cls(SessionId(session_id), {}, counted_until)
        for event in events:
            aggregate.add(event)
        return aggregate

    @classmethod
    def sighted(cls, session_id: str, source_ip: str | None, at: datetime) -> Self:
        """
        Return the aggregate of a session of which only the source IP is known.

        Args:
            session_id: The session's name.
            source_ip: The address that connected, in any form; None if unknown.
            at: When it connected; aware, in any zone.

        Raises:
            InvalidAddress: *source_ip* is not an IP address.
            InvalidEvent: *session_id* is empty or not a text, or *at* is not a datetime, has no zone, or falls out of
                the calendar in UTC.
        """
        address = IpAddress.parse(source_ip) if source_ip is not None else None
        seen_at = in_utc(at)
        mark = blake2b(f"{address and address.text} {seen_at.isoformat()}".encode(), digest_size=8).digest()
        return cls.of(session_id, [SessionEvent(int.from_bytes(mark, "big"), seen_at, EventKind.CONNECT, address)])

    def validate(self) -> None:
        """
        Check an aggregate that another program built; log lines are checked when they are read.

        Raises:
            InvalidEvent: An event is not a SessionEvent, or its time, kind, address or port is invalid.
            InvalidAddress: An address is not in its canonical form.
        """
        for event in self.events.values():
            if not isinstance(event, SessionEvent) or not isinstance(event.kind, EventKind):
                raise InvalidEvent(f"{event!r:.80} is not a SessionEvent")
            in_utc(event.at)
            port, address = event.port, event.address
            if port is not None and not (isinstance(port, int) and 0 <= port <= LARGEST_PORT):
                raise InvalidEvent(f"{port!r:.80} is not a port")
            if address is None:
                continue
            if not isinstance(address, IpAddress):
                raise InvalidEvent(f"{address!r:.80} is not an IpAddress: use IpAddress.parse")
            if IpAddress.parse(address.text) != address:
                raise InvalidAddress(f"{address.text!r:.80} is not a canonical address: use IpAddress.parse")

    def add(self, event: SessionEvent) -> None:
        """Count *event*, unless it was counted before."""
        self.events.setdefault(event.fingerprint, event)

    def merge(self, other: "SessionAggregate") -> "SessionAggregate":
        """
        Return what both read.

        Raises:
            InvalidEvent: *other* is of another session.
        """
        if other.session_id != self.session_id:
            raise InvalidEvent(f"{other.session_id!r} is another session than {self.session_id!r}")
        return SessionAggregate(self.session_id, other.events | self.events, self.counted_until)

    def summary(self, logged_id: str | None = None) -> SessionSummary:
        """
        Return what the events add up to, still without a snapshot.

        Args:
            logged_id: The id in the log, where it is not the session's name.

        Raises:
            InvalidEvent: There are no events.
        """
        if not self.events:
            raise InvalidEvent(f"session {self.session_id!r} has no events")
        until = self.counted_until
        _, times, all_kinds, _, _, sensors, sensor_ids, traits = zip(*self.events.values(), strict=True)
        kinds = all_kinds if until is None else [kind for kind, at in zip(all_kinds, times, strict=True) if at > until]
        return SessionSummary(
            session_id=self.session_id,
            logged_id=logged_id if logged_id != self.session_id else None,
            sighting=CanonicalIpSelector().choose(
                _first_sightings(self.events.values(), all_kinds),
                only_forwards=all_kinds.count(EventKind.FORWARD) == len(all_kinds),
            ),
            first_event_at=min(times),
            last_event_at=max(times),
            event_count=len(kinds),
            command_count=kinds.count(EventKind.COMMAND),
            file_downloads=kinds.count(EventKind.DOWNLOAD),
            login_attempts=kinds.count(EventKind.LOGIN),
            forward_count=kinds.count(EventKind.FORWARD),
            sensor=_smallest(sensors),
            sensor_id=_smallest(sensor_ids),
            fingerprints=frozenset(self.events),
            behaviour=Behaviour.of(zip(times, traits, strict=True)),
        )


def _first_sightings(events: Iterable[SessionEvent], kinds: Sequence[EventKind]) -> Iterable[Sighting]:
    """Return the sightings among which the first is: those of connects, or all if there is no connect."""
    connects = (
        [event.sighting for event in events if event.kind is EventKind.CONNECT and event.address is not None]
        if EventKind.CONNECT in kinds
        else []
    )
    found = connects or [event.sighting for event in events]
    return [sighting for sighting in found if sighting is not None]


def _smallest(names: Iterable[str | None]) -> str | None:
    return min((name for name in set(names) if name is not None), default=None)  # most often there is one


def in_utc(moment: datetime) -> datetime:
    """
    Return *moment* in UTC.

    Raises:
        InvalidEvent: It is not a datetime, has no zone, or falls out of the calendar in UTC.
    """
    if not isinstance(moment, datetime):
        raise InvalidEvent(f"{moment!r:.80} is not a datetime")
    if moment.tzinfo is None:
        raise InvalidEvent(f"{moment!r} has no zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise InvalidEvent(f"{moment!r} falls out of the calendar in UTC") from exc
