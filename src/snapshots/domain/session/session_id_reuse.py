"""Which session an event belongs to when Cowrie gave one id to several."""

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
"""How long a qualifier is."""

LATEST_CONNECT = timedelta(hours=1)
"""How long after the last event of a session that was sealed without its connect a connect may still be its own."""


def tell_apart(logged: SessionAggregate, held: Collection[SessionSummary]) -> list[SessionAggregate]:
    """
    Return the sessions that share one logged id, each with its events that were not stored before.

    Cowrie's ids are random and short, and in one version a whole process shared one. Two connects with
    another address, port or time are two sessions, and so are two sensors; the same connect logged by
    two sensors' names is one. An event without a connect of its own belongs to the newest connect at or
    before it, of its sensor and if possible of its address. The first session of an id keeps the id;
    another is named by the id, `~` and a hash of its connect, so that it gets the same name each time.

    Args:
        logged: The events that were read under one logged id, under that id.
        held: What is stored under this id, under every name. What another loader counted of a session stays
            there: events at or before its `counted_until` are that session's, whoever connected.

    Returns:
        Sessions with at least one new event each; stored names for stored sessions.
    """
    if not held and logged.events and _is_one_session(logged.events.values()):
        return [logged]
    known = frozenset[int]().union(*(summary.fingerprints for summary in held))
    new = [event for mark, event in logged.events.items() if mark not in known]
    if not new:
        return []
    incarnations = [_Incarnation.of(summary) for summary in held]
    new = _without_counted(incarnations, new)
    _add_connects(incarnations, [event for event in new if event.kind is EventKind.CONNECT])
    index = _Index(incarnations)
    for event in sorted((e for e in new if e.kind is not EventKind.CONNECT), key=lambda e: (e.at, e.fingerprint)):
        index.owner_of(event).events.append(event)
    named = _by_name(logged.session_id, index.incarnations)
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
class _Incarnation:
    """One of the sessions behind an id, as far as it is known."""

    name: str = ""
    connect: Connect | None
    address: IpAddress | None
    sensor: str | None
    begins_at: datetime
    sealed_until: datetime | None = None
    counted_until: datetime | None = None
    events: list[SessionEvent] = field(default_factory=list)

    @classmethod
    def of(cls, held: SessionSummary) -> "_Incarnation":
        connect = _connect_seen(held.sighting)
        return cls(
            name=held.session_id,
            connect=connect,
            address=held.source_ip,
            # Another loader's word for the honeypot is not the log's, so its session may be of any.
            sensor=held.sensor if held.counted_until is None else None,
            begins_at=connect[0] if connect is not None else held.first_event_at,
            sealed_until=held.last_event_at if held.is_sealed and connect is None else None,
            counted_until=held.counted_until,
        )

    def may_have_begun_with(self, other: "_Incarnation") -> bool:
        """Whether a connect may be the one that this session lacks; sealed, it does not wait for ever."""
        in_time = self.sealed_until is None or other.begins_at - self.sealed_until <= LATEST_CONNECT
        return self.counted_until is None and in_time and other.may_be_of(self.sensor)

    def may_be_of(self, sensor: str | None) -> bool:
        return self.sensor is None or sensor is None or self.sensor == sensor


def _connect_seen(sighting: Sighting | None) -> Connect | None:
    if sighting is None or sighting.kind is not SightingKind.CONNECT:
        return None
    return (sighting.seen_at, sighting.address.text, -1 if sighting.port is None else sighting.port)


def _without_counted(incarnations: list[_Incarnation], events: Sequence[SessionEvent]) -> list[SessionEvent]:
    """Give the sessions of another loader the events that it counted, and return the others."""
    counted = sorted((i for i in incarnations if i.counted_until is not None), key=lambda i: i.begins_at)
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


def _add_connects(incarnations: list[_Incarnation], connects: Iterable[SessionEvent]) -> None:
    """Give each connect its session: the stored one with the same connect, one that lacks it, or a new one."""
    known = {i.connect: i for i in incarnations if i.connect is not None}
    lacking = [i for i in incarnations if i.connect is None]
    fresh: list[_Incarnation] = []
    for event in sorted(connects, key=lambda e: (_connect_of(e), e.fingerprint)):
        connect = _connect_of(event)
        same = known.get(connect)
        if same is None:
            same = _Incarnation(connect=connect, address=event.address, sensor=event.sensor, begins_at=event.at)
            known[connect] = same
            fresh.append(same)
        same.sensor = same.sensor or event.sensor
        same.events.append(event)
    for one in sorted(lacking, key=lambda i: (i.begins_at, i.name)):
        nameless = [i for i in fresh if not i.name and one.may_have_begun_with(i)]
        if nameless:
            own = min(nameless, key=lambda i: _distance(i, one.address, one.begins_at))
            own.name, own.sensor = one.name, own.sensor or one.sensor
            incarnations.remove(one)
    incarnations.extend(fresh)


class _Index:
    """The sessions behind an id, so that an event finds its own without looking at all of them."""

    def __init__(self, incarnations: list[_Incarnation]) -> None:
        self.incarnations = incarnations
        begun = sorted((i for i in incarnations if i.connect is not None), key=lambda i: (i.begins_at, i.connect))
        self._all = _Pool(begun)
        own: dict[IpAddress | None, list[_Incarnation]] = {}
        for incarnation in begun:
            own.setdefault(incarnation.address, []).append(incarnation)
        self._of_address = {address: _Pool(pool) for address, pool in own.items()}

    def owner_of(self, event: SessionEvent) -> _Incarnation:
        """Return the session of an event that is no connect; a new one if its sensor has none."""
        own = self._of_address.get(event.address) if event.address is not None else None
        found = (own and own.nearest(event)) or self._all.nearest(event) or self._without_connect(event)
        if found is None:
            found = _Incarnation(connect=None, address=event.address, sensor=event.sensor, begins_at=event.at)
            self.incarnations.append(found)
        return found

    def _without_connect(self, event: SessionEvent) -> _Incarnation | None:
        candidates = [i for i in self.incarnations if i.connect is None and i.may_be_of(event.sensor)]
        return min(candidates, key=lambda i: _distance(i, event.address, event.at), default=None)


class _Pool:
    """Sessions in the order of their connects."""

    def __init__(self, begun: Sequence[_Incarnation]) -> None:
        self._begun = begun
        self._times = [incarnation.begins_at for incarnation in begun]

    def nearest(self, event: SessionEvent) -> _Incarnation | None:
        """Return the newest session begun by an event's time, else the first after it, that may be its sensor's."""
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
    incarnation: _Incarnation, address: IpAddress | None, at: datetime
) -> tuple[bool, bool, bool, timedelta, Connect | tuple[()]]:
    """Order sessions for what happened at a moment: with a connect, of its address, begun before it, the newest."""
    return (
        incarnation.connect is None,
        address is not None and incarnation.address != address,
        incarnation.begins_at > at,
        abs(at - incarnation.begins_at),
        incarnation.connect or (),
    )


def _by_name(logged_id: str, incarnations: Sequence[_Incarnation]) -> Collection[_Incarnation]:
    """
    Name the sessions without a name, and return each name once.

    A row does not store everything that a name is derived from, such as a connect without an address or one of two
    sensors. So a session that looks new but gets the name of a stored session is that session.
    """
    named = {i.name: i for i in incarnations if i.name}
    unnamed = [i for i in incarnations if not i.name]
    for one in sorted(unnamed, key=lambda i: (i.connect is None, i.begins_at, i.sensor or "", i.connect or ())):
        name = logged_id if logged_id not in named else f"{logged_id}{QUALIFIER}{_qualifier(one)}"
        same = named.setdefault(name, one)
        if same is not one:
            same.events += one.events
        one.name = name
    return named.values()


def _qualifier(incarnation: _Incarnation) -> str:
    if incarnation.connect is None:
        origin = f"{incarnation.sensor}"
    else:
        at, address, port = incarnation.connect
        origin = f"{at.isoformat()} {address} {port}"
    return blake2b(origin.encode(), digest_size=QUALIFIER_DIGITS // 2).hexdigest()
