"""The stored summary of a session, and the merge of two summaries."""

from datetime import datetime
from typing import NamedTuple

from snapshots.domain.address.source_ip import IpAddress, Sighting, SightingKind
from snapshots.domain.errors import InvalidEvent
from snapshots.domain.session.behaviour import Behaviour
from snapshots.domain.session.logins import LoginCounts, add_logins
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

NO_BEHAVIOUR = Behaviour()


class SessionSummary(NamedTuple):
    """
    The stored row of a session: totals of its events, and its snapshot or the reason why there is none.

    A tuple, because one is made for each session read.

    Attributes:
        session_id: The session's name in the store.
        first_event_at: The earliest event's time; aware, in UTC.
        last_event_at: The latest event's time; aware, in UTC.
        event_count: Events, each counted once. Like every count, 0 or more.
        logged_id: The id in the log, where it is not the session's name (Cowrie's ids are reused).
        sighting: The canonical sighting; its address is the session's source IP.
        command_count: `cowrie.command.input` events.
        file_downloads: `cowrie.session.file_download` events.
        login_attempts: `cowrie.login.success` and `cowrie.login.failed` events.
        forward_count: `cowrie.direct-tcpip` events.
        sensor: The honeypot's name.
        sensor_id: The honeypot's UUID.
        fingerprints: Fingerprints of counted events, so that no event is counted twice. Of a long stored session,
            only the requested ones and some others.
        snapshot: The sealed facts about the address; None while the session is open.
        gap: Why the session is open; None when it is sealed, or has no verdict yet.
        has_foreign_snapshot: Whether another loader wrote snapshot values that cannot be parsed. They are kept
            unchanged, and the session counts as sealed.
        counted_until: Time in UTC; events at or before it were counted by another loader. None without one.
        behaviour: Traits by which campaigns are recognized.
        file_uploads: `cowrie.session.file_upload` events; None if they were not counted when the session was stored.
        new_logins: Login attempts by credentials that are not stored yet. Saving the summary adds them to the stored
            ones, so a summary that was read from the store has none.
    """

    session_id: str
    first_event_at: datetime
    last_event_at: datetime
    event_count: int
    logged_id: str | None = None
    sighting: Sighting | None = None
    command_count: int = 0
    file_downloads: int = 0
    login_attempts: int = 0
    forward_count: int = 0
    sensor: str | None = None
    sensor_id: str | None = None
    fingerprints: frozenset[int] = frozenset()
    snapshot: IpSnapshot | None = None
    gap: Gap | None = None
    has_foreign_snapshot: bool = False
    counted_until: datetime | None = None
    behaviour: Behaviour = NO_BEHAVIOUR
    file_uploads: int | None = 0
    new_logins: LoginCounts = ()

    @property
    def is_sealed(self) -> bool:
        """Whether the session has its final snapshot."""
        return self.snapshot is not None or self.has_foreign_snapshot

    @property
    def source_ip(self) -> IpAddress | None:
        """Return the canonical source IP; None if no event has a valid address."""
        return self.sighting.address if self.sighting is not None else None

    @property
    def connect_was_seen(self) -> bool:
        """Whether the address comes from `cowrie.session.connect`, so that no other sighting can replace it."""
        return self.sighting is not None and self.sighting.kind is SightingKind.CONNECT

    @property
    def fingerprint_count(self) -> int:
        """Return the number of fingerprints here."""
        return len(self.fingerprints)

    @property
    def waits_for_connect(self) -> bool:
        """Whether the session is open only because its connect may still be read."""
        return self.gap is Gap.AWAITING_CONNECT

    def judged(self, verdict: IpSnapshot | Gap) -> "SessionSummary":
        """Return the summary with a verdict: sealed with a snapshot, or open with a gap. A sealed one is unchanged."""
        if self.is_sealed:
            return self
        if isinstance(verdict, Gap):
            return self._replace(gap=verdict)
        return self._replace(snapshot=verdict, gap=None)

    def awaiting_connect(self) -> "SessionSummary":
        """Return the summary open as AWAITING_CONNECT if its connect, and so its address, may still change."""
        if self.snapshot is None or self.connect_was_seen:
            return self
        return self._replace(snapshot=None, gap=Gap.AWAITING_CONNECT)

    def merge(self, later: "SessionSummary") -> "SessionSummary":
        """
        Return this stored summary merged with *later*.

        The two count different events. A sealed summary keeps its sighting and its snapshot. An open one takes the
        earlier sighting, with the snapshot or gap computed for it.

        Raises:
            InvalidEvent: *later* belongs to another session.
        """
        if later.session_id != self.session_id:
            raise InvalidEvent(f"session {later.session_id!r} cannot be merged with session {self.session_id!r}")
        first = self if self.is_sealed or not _wins(later, self) else later
        both = SessionSummary(
            session_id=self.session_id,
            logged_id=self.logged_id,
            sighting=first.sighting,
            first_event_at=min(self.first_event_at, later.first_event_at),
            last_event_at=max(self.last_event_at, later.last_event_at),
            event_count=self.event_count + later.event_count,
            command_count=self.command_count + later.command_count,
            file_downloads=self.file_downloads + later.file_downloads,
            login_attempts=self.login_attempts + later.login_attempts,
            forward_count=self.forward_count + later.forward_count,
            sensor=_smaller(self.sensor, later.sensor) if self.counted_until is None else self.sensor or later.sensor,
            sensor_id=_smaller(self.sensor_id, later.sensor_id),
            fingerprints=self.fingerprints | later.fingerprints,
            snapshot=first.snapshot,
            gap=first.gap,
            has_foreign_snapshot=self.has_foreign_snapshot,
            counted_until=self.counted_until,
            behaviour=self.behaviour.merge(later.behaviour),
            file_uploads=_known_sum(self.file_uploads, later.file_uploads),
            new_logins=add_logins(self.new_logins, later.new_logins),
        )
        return both if self.is_sealed else both._without_claimed_address()

    def is_too_late_for(self, held: "SessionSummary") -> bool:
        """Whether this summary has an earlier sighting than the one with which *held* is sealed."""
        if held.snapshot is None or self.sighting is None or self.sighting.kind is SightingKind.FORWARD:
            return False
        if held.snapshot.method is Method.ADOPTED and held.source_ip == self.source_ip:
            return False  # the time at which the other loader saw the address is unknown
        return held.sighting is None or self.sighting.precedes(held.sighting)

    def _without_claimed_address(self) -> "SessionSummary":
        """Drop the address of a forwarded connection unless all events are forwarded connections."""
        is_claimed = self.sighting is not None and self.sighting.kind is SightingKind.FORWARD
        if not is_claimed or self.forward_count == self.event_count:
            return self
        return self._replace(sighting=None, snapshot=None, gap=Gap.NO_SOURCE_IP)


def _wins(later: SessionSummary, held: SessionSummary) -> bool:
    if later.sighting is None:
        return False
    return held.sighting is None or later.sighting.precedes(held.sighting)


def _known_sum(stored: int | None, later: int | None) -> int | None:
    """Return the sum of two counts; one that is unknown stays unknown until something is counted."""
    return stored if not later else (stored or 0) + later


def _smaller(one: str | None, other: str | None) -> str | None:
    return min((text for text in (one, other) if text is not None), default=None)
