"""Assign events to sessions when Cowrie reused one session id for several sessions."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

from snapshots.domain.address.source_ip import IpAddress, Sighting, SightingKind
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary

QUALIFIER = "~"
QUALIFIER_DIGITS = 12
"""Hexadecimal digits of a qualifier."""

LATEST_CONNECT = timedelta(hours=1)
"""Maximum time from the last event of a session sealed without a connect to a connect that is assigned to it."""


def tell_apart(logged: SessionAggregate, held: Collection[SessionSummary]) -> list[SessionAggregate]:
    """
    Return the sessions that share one logged id, each with its events that are not stored yet.

    Cowrie's ids are random and short, and in one release all sessions of a process had the same id. Connects that
    differ in address, port or time are different sessions, and so are events of different sensors; an equal connect
    under two sensor names is one session. An event that is not a connect belongs to the newest connect at or before it
    of the same sensor, and if possible of the same address. The first session has the logged id as its name; others are
    named by the id, `~` and a hash of the connect, so that their names are the same in every load.

    Args:
        logged: The events read under one logged id.
        held: All sessions stored under this logged id. Events at or before `counted_until` of a session that another
            loader counted belong to that session, whatever their address.

    Returns:
        The sessions with at least one new event; stored sessions under their stored names.
    """
    if not held and logged.events and _is_one_session(logged.events.values()):
        return [logged]
    known = frozenset[int]().union(*(summary.fingerprints for summary in held))
    new = [event for fingerprint, event in logged.events.items() if fingerprint not in known]
    if not new:
        return []
    candidates = [_Candidate.stored(summary) for summary in held]
    new = _without_counted(candidates, new)
    _add_connects(candidates, [event for event in new if event.kind is EventKind.CONNECT])
    index = _Index(candidates)
    for event in sorted((e for e in new if e.kind is not EventKind.CONNECT), key=lambda e: (e.at, e.fingerprint)):
        index.owner_of(event).events.append(event)
    named = _by_name(logged.session_id, index.candidates)
    return [SessionAggregate.of(i.name, i.events, counted_until=i.counted_until) for i in named if i.events]


def _is_one_session(events: Collection[SessionEvent]) -> bool:
    connects = [event for event in events if event.kind is EventKind.CONNECT]
    if len(connects) > 1 and len({_connect_of(event) for event in connects}) > 1:
        return False
    return len({event.sensor for event in events} - {None}) <= 1


Connect = tuple[datetime, str, int]


def _connect_of(event: SessionEvent) -> Connect:
    return (event.at, event.address.text if event.address else "", -1 if event.port is None else event.port)


@dataclass(slots=True, kw_only=True)
class _Candidate:
    """A session of the logged id, stored or new, with the events assigned to it."""

    name: str = ""
    connect: Connect | None
    address: IpAddress | None
    sensor: str | None
    begins_at: datetime
    sealed_until: datetime | None = None
    counted_until: datetime | None = None
    events: list[SessionEvent] = field(default_factory=list)

    @classmethod
    def stored(cls, held: SessionSummary) -> "_Candidate":
        """Return a stored session, of this program or of another loader."""
        connect = _connect_seen(held.sighting)
        return cls(
            name=held.session_id,
            connect=connect,
            address=held.source_ip,
            # Another loader may have named the honeypot differently, so its session matches every sensor.
            sensor=held.sensor if held.counted_until is None else None,
            begins_at=connect[0] if connect is not None else held.first_event_at,
            sealed_until=held.last_event_at if held.is_sealed and connect is None else None,
            counted_until=held.counted_until,
        )

    @classmethod
    def begun_by(cls, connect: SessionEvent) -> "_Candidate":
        """Return a new session that a connect began."""
        return cls(connect=_connect_of(connect), address=connect.address, sensor=connect.sensor, begins_at=connect.at)

    @classmethod
    def without_connect(cls, event: SessionEvent) -> "_Candidate":
        """Return a new session whose connect was not read."""
        return cls(connect=None, address=event.address, sensor=event.sensor, begins_at=event.at)

    def may_have_begun_with(self, other: "_Candidate") -> bool:
        """Whether the connect of *other* can belong to this session, which has none."""
        in_time = self.sealed_until is None or other.begins_at - self.sealed_until <= LATEST_CONNECT
        return self.counted_until is None and in_time and other.may_be_of(self.sensor)

    def may_be_of(self, sensor: str | None) -> bool:
        return self.sensor is None or sensor is None or self.sensor == sensor


def _connect_seen(sighting: Sighting | None) -> Connect | None:
    if sighting is None or sighting.kind is not SightingKind.CONNECT:
        return None
    return (sighting.seen_at, sighting.address.text, -1 if sighting.port is None else sighting.port)


def _without_counted(candidates: list[_Candidate], events: Sequence[SessionEvent]) -> list[SessionEvent]:
    """Assign the events that another loader counted to its sessions, and return the other events."""
    counted = sorted((i for i in candidates if i.counted_until is not None), key=lambda i: i.begins_at)
    others = []
    for event in events:
        own = next((i for i in counted if i.counted_until is not None and event.at <= i.counted_until), None)
        if own is None:
            others.append(event)
            continue
        own.events.append(event)
        if event.kind is EventKind.CONNECT and (own.connect is None or _connect_of(event) < own.connect):
            own.connect, own.address, own.begins_at = _connect_of(event), event.address, event.at
    return others


def _add_connects(candidates: list[_Candidate], connects: Iterable[SessionEvent]) -> None:
    """Assign each connect to a session: the one with the same connect, one without a connect, or a new one."""
    known = {i.connect: i for i in candidates if i.connect is not None}
    lacking = [i for i in candidates if i.connect is None]
    fresh: list[_Candidate] = []
    for event in sorted(connects, key=lambda e: (_connect_of(e), e.fingerprint)):
        connect = _connect_of(event)
        same = known.get(connect)
        if same is None:
            same = _Candidate.begun_by(event)
            known[connect] = same
            fresh.append(same)
        same.sensor = same.sensor or event.sensor
        same.events.append(event)
    for one in sorted(lacking, key=lambda i: (i.begins_at, i.name)):
        nameless = [i for i in fresh if not i.name and one.may_have_begun_with(i)]
        if nameless:
            own = min(nameless, key=lambda i: _distance(i, one.address, one.begins_at))
            own.name, own.sensor = one.name, own.sensor or one.sensor
            candidates.remove(one)
    candidates.extend(fresh)


class _Index:
    """The sessions of a logged id, indexed by time and address."""

    def __init__(self, candidates: list[_Candidate]) -> None:
        self.candidates = candidates
        begun = sorted((i for i in candidates if i.connect is not None), key=lambda i: (i.begins_at, i.connect))
        self._all = _Pool(begun)
        own: dict[IpAddress | None, list[_Candidate]] = {}
        for candidate in begun:
            own.setdefault(candidate.address, []).append(candidate)
        self._of_address = {address: _Pool(pool) for address, pool in own.items()}

    def owner_of(self, event: SessionEvent) -> _Candidate:
        """Return the session of an event that is not a connect; a new one if its sensor has none."""
        own = self._of_address.get(event.address) if event.address is not None else None
        found = (own and own.nearest(event)) or self._all.nearest(event) or self._without_connect(event)
        if found is None:
            found = _Candidate.without_connect(event)
            self.candidates.append(found)
        return found

    def _without_connect(self, event: SessionEvent) -> _Candidate | None:
        candidates = [i for i in self.candidates if i.connect is None and i.may_be_of(event.sensor)]
        return min(candidates, key=lambda i: _distance(i, event.address, event.at), default=None)


class _Pool:
    """Sessions ordered by the time of their connects."""

    def __init__(self, begun: Sequence[_Candidate]) -> None:
        self._begun = begun
        self._times = [candidate.begins_at for candidate in begun]

    def nearest(self, event: SessionEvent) -> _Candidate | None:
        """Return the newest session of the sensor at or before an event, else the first one after it."""
        after = bisect_right(self._times, event.at)
        before = (self._begun[at] for at in range(after - 1, -1, -1))
        later = (self._begun[at] for at in range(after, len(self._begun)))
        found = next((i for i in before if i.may_be_of(event.sensor)), None)
        if found is None:
            return next((i for i in later if i.may_be_of(event.sensor)), None)
        first = bisect_left(self._times, found.begins_at)
        ties = (self._begun[at] for at in range(first, after))
        return next(i for i in ties if i.may_be_of(event.sensor))


def _distance(
    candidate: _Candidate, address: IpAddress | None, at: datetime
) -> tuple[bool, bool, bool, timedelta, Connect | tuple[()]]:
    """Return a sort key: sessions with a connect, with the address, begun before the time, and nearest come first."""
    return (
        candidate.connect is None,
        address is not None and candidate.address != address,
        candidate.begins_at > at,
        abs(at - candidate.begins_at),
        candidate.connect or (),
    )


def _by_name(logged_id: str, candidates: Sequence[_Candidate]) -> Collection[_Candidate]:
    """
    Name the unnamed sessions, and return the sessions with distinct names.

    A row does not store everything that a name is derived from, such as a connect without an address or the second of
    two sensors. So a session that seems new but gets the name of a stored session is that session.
    """
    named = {i.name: i for i in candidates if i.name}
    unnamed = [i for i in candidates if not i.name]
    for one in sorted(unnamed, key=lambda i: (i.connect is None, i.begins_at, i.sensor or "", i.connect or ())):
        name = logged_id if logged_id not in named else f"{logged_id}{QUALIFIER}{_qualifier(one)}"
        same = named.setdefault(name, one)
        if same is not one:
            same.events += one.events
        one.name = name
    return named.values()


def _qualifier(candidate: _Candidate) -> str:
    if candidate.connect is None:
        origin = f"{candidate.sensor}"
    else:
        at, address, port = candidate.connect
        origin = f"{at.isoformat()} {address} {port}"
    return blake2b(origin.encode(), digest_size=QUALIFIER_DIGITS // 2).hexdigest()
