"""Add up the events of a session in one pass over their records."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from snapshots.domain.address.source_ip import IpAddress, Sighting, SightingKind
from snapshots.domain.session.behaviour import TRAITS, Behaviour, earliest
from snapshots.domain.session.event_record import FINGERPRINT_BYTES, EventRecord, RecordedTraits, microseconds_in
from snapshots.domain.session.event_time import time_of
from snapshots.domain.session.logins import LoginCounts, count_logins
from snapshots.domain.session.session import EventKind
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot

CONNECT, COMMAND, LOGIN = EventKind.CONNECT.value, EventKind.COMMAND.value, EventKind.LOGIN.value
DOWNLOAD, UPLOAD, FORWARD = EventKind.DOWNLOAD.value, EventKind.UPLOAD.value, EventKind.FORWARD.value

RecordedSighting = tuple[str, str, int | None, int]
"""Time, address, port and `SightingKind` of a sighting, as in records."""

TraitTimes = Mapping[str, Sequence[tuple[int, str]]]
"""The values of `Behaviour` by the name of their kind, each with its time in microseconds since 1970."""


class SessionTotals(NamedTuple):
    """
    The totals of a session's events, of which none is stored yet, in primitive values.

    `summary` returns them as the domain's own rules do.

    Attributes:
        session_id: The session's name in the store and in the log.
        first_event_at: The earliest event's time, as in records; so are the other times.
        last_event_at: The latest event's time.
        event_count: Events, each counted once.
        command_count: As in `SessionSummary`; so are the other counts.
        sensor: The honeypot's name.
        sensor_id: The honeypot's UUID.
        sighting: The canonical sighting.
        fingerprints: The fingerprints of the events, ascending, without separators.
        behaviour: The traits by which campaigns are recognized.
        new_logins: The login attempts by credentials.
    """

    session_id: str
    first_event_at: str
    last_event_at: str
    event_count: int
    command_count: int
    file_downloads: int
    file_uploads: int
    login_attempts: int
    forward_count: int
    sensor: str | None
    sensor_id: str | None
    sighting: RecordedSighting | None
    fingerprints: bytes
    behaviour: TraitTimes
    new_logins: LoginCounts

    def summary(self) -> SessionSummary:
        """Return the totals as a summary."""
        values = {
            TRAITS[word]: tuple([(time_of(at), text) for at, text in pairs]) for word, pairs in self.behaviour.items()
        }
        return SessionSummary(
            session_id=self.session_id,
            first_event_at=datetime.fromisoformat(self.first_event_at),
            last_event_at=datetime.fromisoformat(self.last_event_at),
            event_count=self.event_count,
            sighting=sighting_of(self.sighting),
            command_count=self.command_count,
            file_downloads=self.file_downloads,
            file_uploads=self.file_uploads,
            login_attempts=self.login_attempts,
            forward_count=self.forward_count,
            sensor=self.sensor,
            sensor_id=self.sensor_id,
            fingerprints=unpacked_fingerprints(self.fingerprints),
            behaviour=Behaviour(values),
            new_logins=self.new_logins,
        )


class NewSession(NamedTuple):
    """
    A session that is stored for the first time; as much of `SessionSummary` as a new row needs.

    Attributes:
        totals: The totals of its events.
        sighting: Their canonical sighting.
        snapshot: As in `SessionSummary`; so are the gap and the properties.
        gap: Why there is no snapshot.
    """

    totals: SessionTotals
    sighting: Sighting | None
    snapshot: IpSnapshot | None = None
    gap: Gap | None = None

    @classmethod
    def of(cls, totals: SessionTotals) -> "NewSession":
        """Return a session without a verdict."""
        return cls(totals, sighting_of(totals.sighting))

    def judged(self, verdict: IpSnapshot | Gap) -> "NewSession":
        """Return the session with a verdict."""
        if isinstance(verdict, Gap):
            return NewSession(self.totals, self.sighting, None, verdict)
        return NewSession(self.totals, self.sighting, verdict)

    def awaiting_connect(self) -> "NewSession":
        """Return the session open as AWAITING_CONNECT if its connect, and so its address, may still change."""
        if self.snapshot is None or (self.sighting is not None and self.sighting.kind is SightingKind.CONNECT):
            return self
        return self.judged(Gap.AWAITING_CONNECT)

    def summary(self) -> SessionSummary:
        """Return the session as a summary."""
        return self.totals.summary()._replace(snapshot=self.snapshot, gap=self.gap)

    @property
    def session_id(self) -> str:
        """Return the session's name in the store, which is that in the log."""
        return self.totals.session_id

    @property
    def logged_id(self) -> None:
        """Return None: the id in the log is the session's name."""

    @property
    def first_event_at(self) -> datetime:
        """Return the earliest event's time, in UTC."""
        return datetime.fromisoformat(self.totals.first_event_at)

    @property
    def last_event_at(self) -> datetime:
        """Return the latest event's time, in UTC."""
        return datetime.fromisoformat(self.totals.last_event_at)

    @property
    def event_count(self) -> int:
        """Return the number of events, each counted once."""
        return self.totals.event_count

    @property
    def new_logins(self) -> LoginCounts:
        """Return the login attempts by credentials."""
        return self.totals.new_logins

    @property
    def fingerprint_count(self) -> int:
        """Return the number of fingerprints, without unpacking them."""
        return self.totals.event_count

    @property
    def fingerprints(self) -> frozenset[int]:
        """Return the fingerprints of the events."""
        return unpacked_fingerprints(self.totals.fingerprints)

    @property
    def source_ip(self) -> IpAddress | None:
        """Return the canonical source IP."""
        return self.sighting.address if self.sighting is not None else None

    @property
    def is_sealed(self) -> bool:
        """Whether the session has its final snapshot."""
        return self.snapshot is not None

    @property
    def waits_for_connect(self) -> bool:
        """Whether the session is open only because its connect may still be read."""
        return self.gap is Gap.AWAITING_CONNECT


def totals_of(session_id: str, records: Sequence[EventRecord]) -> SessionTotals | None:
    """
    Return the totals of the events that were read under one logged id, if none of them is stored yet.

    Args:
        session_id: The logged id.
        records: The events in any order, with repetitions; at least one.

    Returns:
        None if the events may be of several sessions, which `tell_apart` decides.
    """
    marks, times, kinds, addresses, ports, sensors, sensor_ids, traits = zip(*records, strict=True)
    if len(set(marks)) < len(marks):
        first_of_each = {record[0]: record for record in reversed(records)}
        return totals_of(session_id, list(first_of_each.values()))
    names = set(sensors) - {None}
    has_connect = CONNECT in kinds
    if len(names) > 1 or (has_connect and kinds.count(CONNECT) > 1 and _connect_count(records) > 1):
        return None
    ids = set(sensor_ids) - {None}
    forwards, logins = kinds.count(FORWARD), kinds.count(LOGIN)
    return SessionTotals(
        session_id,
        min(times),
        max(times),
        len(marks),
        kinds.count(COMMAND),
        kinds.count(DOWNLOAD),
        kinds.count(UPLOAD),
        logins,
        forwards,
        names.pop() if names else None,
        min(ids) if ids else None,
        _sighting(kinds, times, addresses, ports, only_forwards=forwards == len(marks)),
        b"".join(sorted(marks)),
        _behaviour(zip(times, traits, strict=True)),
        count_logins([shown for kind, shown in zip(kinds, traits, strict=True) if kind == LOGIN]) if logins else (),
    )


def _connect_count(records: Sequence[EventRecord]) -> int:
    return len({(at, address, port) for _, at, kind, address, port, *_ in records if kind == CONNECT})


_RANKS = {kind.value: int(kind.sighting_kind) for kind in EventKind}


def _sighting(
    kinds: Sequence[str],
    times: Sequence[str],
    addresses: Sequence[str | None],
    ports: Sequence[int | None],
    *,
    only_forwards: bool,
) -> RecordedSighting | None:
    """Return the sighting that `CanonicalIpSelector` chooses."""
    if kinds.count(CONNECT) == 1 and (address := addresses[at := kinds.index(CONNECT)]) is not None:
        return (times[at], address, ports[at], _RANKS[CONNECT])  # no other kind precedes it
    best: tuple[int, str, str, int] | None = None
    for kind, time, address, port in zip(kinds, times, addresses, ports, strict=True):
        if address is None or (kind == FORWARD and not only_forwards):
            continue
        rank = (_RANKS[kind], time, address, -1 if port is None else port)
        if best is None or rank < best:
            best = rank
    if best is None:
        return None
    precedence, time, address, number = best
    return (time, address, None if number < 0 else number, precedence)


def _behaviour(shown: Iterable[tuple[str, RecordedTraits]]) -> TraitTimes:
    """Return the values that `Behaviour.of` keeps."""
    found: dict[str, list[tuple[int, str]]] = {}
    for time, traits in shown:
        if traits:
            at = microseconds_in(time)
            for word, text in traits:
                if word in found:
                    found[word].append((at, text))
                else:
                    found[word] = [(at, text)]
    for word, pairs in found.items():
        if len(pairs) > 1:
            found[word] = list(earliest(TRAITS[word], pairs))
    return found


def unpacked_fingerprints(packed: bytes) -> frozenset[int]:
    """Return fingerprints that were packed one after the other."""
    marks = range(0, len(packed), FINGERPRINT_BYTES)
    return frozenset([int.from_bytes(packed[at : at + FINGERPRINT_BYTES], "big") for at in marks])


def sighting_of(recorded: RecordedSighting | None) -> Sighting | None:
    """Return a recorded sighting."""
    if recorded is None:
        return None
    at, address, port, kind = recorded
    return Sighting(_address(address), datetime.fromisoformat(at), _KINDS[kind], port)


_KINDS = tuple(SightingKind)


@lru_cache(maxsize=4096)
def _address(text: str) -> IpAddress:
    return IpAddress(text)
