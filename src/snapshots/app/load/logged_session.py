"""The events that a batch holds under one logged id, and the sessions that they are stored as."""

import marshal
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from snapshots.domain.session.event_record import EventRecord, event_of
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.session_id_reuse import tell_apart
from snapshots.domain.session.session_totals import NewSession, SessionTotals, totals_of
from snapshots.domain.session.summary import SessionSummary


@dataclass(slots=True)
class LoggedSession:
    """
    The events that were read under one logged id.

    Attributes:
        logged_id: The id.
        records: The events in the order of reading, with repetitions.
    """

    logged_id: str
    records: list[EventRecord] = field(default_factory=list)

    def sessions(self, held: Sequence[SessionSummary]) -> Sequence[SessionSummary | NewSession]:
        """
        Return the sessions of the events, each with its events that are not stored yet.

        A new session under an id of its own takes one pass over its records. A session that is stored, or that shares
        its id, goes by the rules of the domain; on a new session they agree with that pass.

        Args:
            held: All sessions that are stored under the id.
        """
        totals = totals_of(self.logged_id, self.records) if not held else None
        if totals is not None:
            return [NewSession.of(totals)]
        logged = SessionAggregate.of(self.logged_id, map(event_of, self.records))
        return [session.summary(self.logged_id) for session in tell_apart(logged, held)]

    def fingerprints(self) -> Collection[int]:
        """Return the fingerprints of the events."""
        return {int.from_bytes(record[0], "big") for record in self.records}


class PackedRecords:
    """
    The records of the sessions of a block, which are unpacked only if they are needed.

    Args:
        packed: As `pack` returned them.
    """

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self._unpacked: list[list[EventRecord]] | None = None

    @classmethod
    def pack(cls, sessions: Iterable[list[EventRecord]]) -> "PackedRecords":
        """Pack the records of each session."""
        return cls(marshal.dumps(list(sessions)))

    def __getitem__(self, number: int) -> list[EventRecord]:
        if self._unpacked is None:
            self._unpacked = marshal.loads(self.packed)  # noqa: S302 - from a process of our own
        return self._unpacked[number]


class ReadSession(NamedTuple):
    """
    A `LoggedSession` of a block that another process read.

    Attributes:
        logged_id: The id.
        totals: Its totals, as `totals_of` returns them.
        number: The number of the session in the block.
        records: The records of the block; they are needed only if the session is stored, shares its id, or goes on.
    """

    logged_id: str
    totals: SessionTotals | None
    number: int
    records: PackedRecords

    def sessions(self, held: Sequence[SessionSummary]) -> Sequence[SessionSummary | NewSession]:
        """Return the sessions of the events, as `LoggedSession` does."""
        if self.totals is not None and not held:
            return [NewSession.of(self.totals)]
        return self.unpacked().sessions(held)

    def fingerprints(self) -> Collection[int]:
        """Return the fingerprints of the events."""
        return self.unpacked().fingerprints()

    def unpacked(self) -> LoggedSession:
        """Return the session with its records."""
        return LoggedSession(self.logged_id, self.records[self.number])


class FingerprintsById(Mapping[str, Collection[int]]):
    """The fingerprints of events by logged id; made when asked for, because only long stored sessions need them."""

    def __init__(self, pending: Mapping[str, LoggedSession | ReadSession]) -> None:
        self._pending = pending

    def __getitem__(self, logged_id: str) -> Collection[int]:
        return self._pending[logged_id].fingerprints()

    def __iter__(self) -> Iterator[str]:
        return iter(self._pending)

    def __len__(self) -> int:
        return len(self._pending)
