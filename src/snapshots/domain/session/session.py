"""Events of a session, and their totals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple, NewType, Self

from snapshots.domain.address.source_ip import CanonicalIpSelector, IpAddress, Sighting, SightingKind
from snapshots.domain.errors import InvalidAddress, InvalidEvent
from snapshots.domain.session.behaviour import Behaviour, Traits
from snapshots.domain.session.logins import LoginCounts, count_logins
from snapshots.domain.session.summary import SessionSummary

LARGEST_PORT = 65_535

SessionId = NewType("SessionId", str)
"""The id of a session in the store, which is the logged id, or the logged id with `~` and a qualifier."""


class EventKind(Enum):
    """The kind of an event, by which it is counted."""

    CONNECT = "connect"
    """`cowrie.session.connect`. Its address takes precedence over that of every other kind."""
    COMMAND = "command"
    """`cowrie.command.input`."""
    LOGIN = "login"
    """`cowrie.login.success` and `cowrie.login.failed`."""
    DOWNLOAD = "download"
    """`cowrie.session.file_download`."""
    UPLOAD = "upload"
    """`cowrie.session.file_upload`."""
    FORWARD = "forward"
    """`cowrie.direct-tcpip`. Its address counts only in a session that has no other kind of event."""
    OTHER = "other"
    """Every other event; it is counted in `SessionSummary.event_count` alone."""

    __hash__ = object.__hash__  # members are singletons, and the hash of Enum is slow

    @property
    def sighting_kind(self) -> SightingKind:
        """Return the precedence of the event for the canonical source IP."""
        return _SIGHTING_KINDS.get(self, SightingKind.OTHER)


_SIGHTING_KINDS = {EventKind.CONNECT: SightingKind.CONNECT, EventKind.FORWARD: SightingKind.FORWARD}


class SessionEvent(NamedTuple):
    """
    An event of a session. A tuple, because one is made for each line of a log.

    Attributes:
        fingerprint: Hash that identifies the event within its session in every copy of the log, 0 to 2**64 - 1.
        at: The time of the event; aware, in UTC.
        kind: The kind by which it is counted.
        address: The source address in the event; None if it has no valid one.
        port: The attacker's port, 0 to 65535; only of a connect.
        sensor: The name of the honeypot.
        sensor_id: The UUID of the honeypot; None if the log has none.
        traits: The behavior that it shows.
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
        """Return the sighting of the source address; None if the event has no address."""
        if self.address is None:
            return None
        return Sighting(self.address, self.at, self.kind.sighting_kind, self.port)


@dataclass(frozen=True, slots=True)
class SessionAggregate:
    """
    The events of one session that were read so far, each once.

    Adding an event again has no effect, and `merge` is associative, commutative and idempotent, so the result does not
    depend on the order, batches or copies of the logs.

    Attributes:
        session_id: The id of the session in the store.
        events: The events by fingerprint, in any order. At least one is needed for a summary.
        counted_until: Time in UTC; events at or before it were counted by another loader and only provide the address.
            None without one.
    """

    session_id: SessionId
    events: dict[int, SessionEvent]
    counted_until: datetime | None = None

    @classmethod
    def of(cls, session_id: str, events: Iterable[SessionEvent] = (), *, counted_until: datetime | None = None) -> Self:
        """
        Return the aggregate of *events*.

        Args:
            session_id: The id of the session in the store; not empty.
            events: Events of this session in any order; one with the fingerprint of an earlier one is dropped. Their
                values are not checked here, but by `validate`.
            counted_until: See the attribute.

        Raises:
            InvalidEvent: *session_id* is empty or not a string.
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
        Return the aggregate of a session with one connect event.

        Args:
            session_id: The id of the session in the store.
            source_ip: The source address in any form; None if unknown.
            at: The time of the connect; aware, in any time zone.

        Raises:
            InvalidAddress: *source_ip* is not an IP address.
            InvalidEvent: *session_id* is empty or not a string, or *at* is not a datetime, has no time zone, or is out
                of range in UTC.
        """
        address = IpAddress.parse(source_ip) if source_ip is not None else None
        seen_at = in_utc(at)
        digest = blake2b(f"{address and address.text} {seen_at.isoformat()}".encode(), digest_size=8).digest()
        return cls.of(session_id, [SessionEvent(int.from_bytes(digest, "big"), seen_at, EventKind.CONNECT, address)])

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
        """Add *event* to this aggregate, unless an event with its fingerprint is there. Its values are not checked."""
        self.events.setdefault(event.fingerprint, event)

    def merge(self, other: "SessionAggregate") -> "SessionAggregate":
        """
        Return a new aggregate with the union of the events; of two with one fingerprint, the one of this aggregate.

        Raises:
            InvalidEvent: *other* belongs to another session.
        """
        if other.session_id != self.session_id:
            raise InvalidEvent(f"session {other.session_id!r} cannot be merged with session {self.session_id!r}")
        return SessionAggregate(self.session_id, other.events | self.events, self.counted_until)

    def summary(self, logged_id: str | None = None) -> SessionSummary:
        """
        Return the totals of the events, without a snapshot.

        Args:
            logged_id: The id in the log, if it differs from the id in the store.

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
            file_uploads=all_kinds.count(EventKind.UPLOAD),  # no other loader counts uploads or logins by credentials
            login_attempts=kinds.count(EventKind.LOGIN),
            forward_count=kinds.count(EventKind.FORWARD),
            sensor=_smallest(sensors),
            sensor_id=_smallest(sensor_ids),
            fingerprints=frozenset(self.events),
            behaviour=Behaviour.of(zip(times, traits, strict=True)),
            new_logins=_logins(all_kinds, traits) if EventKind.LOGIN in all_kinds else (),
        )


def _first_sightings(events: Iterable[SessionEvent], kinds: Sequence[EventKind]) -> Iterable[Sighting]:
    """Return the candidates for the canonical sighting: those of connects, or all if no connect has an address."""
    connects = (
        [event.sighting for event in events if event.kind is EventKind.CONNECT and event.address is not None]
        if EventKind.CONNECT in kinds
        else []
    )
    found = connects or [event.sighting for event in events]
    return [sighting for sighting in found if sighting is not None]


def _logins(kinds: Sequence[EventKind], traits: Sequence[Traits]) -> LoginCounts:
    shown = [each for kind, each in zip(kinds, traits, strict=True) if kind is EventKind.LOGIN]
    return count_logins([tuple([(trait.word, text) for trait, text in each]) for each in shown])


def _smallest(names: Iterable[str | None]) -> str | None:
    return min((name for name in set(names) if name is not None), default=None)  # usually there is one


def in_utc(moment: datetime) -> datetime:
    """
    Return *moment* in UTC.

    Raises:
        InvalidEvent: It is not a datetime, has no time zone, or is out of range in UTC.
    """
    if not isinstance(moment, datetime):
        raise InvalidEvent(f"{moment!r:.80} is not a datetime")
    if moment.tzinfo is None:
        raise InvalidEvent(f"{moment!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise InvalidEvent(f"{moment!r} is outside the range of dates in UTC") from exc
