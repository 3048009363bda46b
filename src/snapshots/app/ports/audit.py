"""What the use cases need to change or remove sessions that are sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.snapshot.snapshot import IpSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSession:
    """A session with its snapshot: its name, its canonical sighting, and what it holds."""

    session_id: str
    sighting: Sighting
    snapshot: IpSnapshot


class SealedPage(NamedTuple):
    """Some sealed sessions, and the place to go on behind; "" if there are no more."""

    sessions: Sequence[SealedSession]
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndonePage:
    """
    What undoing a page of a run gave.

    Attributes:
        last: The place to go on behind; "" if nothing is left of the run.
        opened: Sessions that it had sealed, and that are open again.
        restored: Sessions that hold again what they held before it.
        forgotten: Open sessions whose address it had found, and that have none again.
        sources: The builds that its snapshots were made of, such as "dbip@2026-09-01".
    """

    last: str
    opened: int = 0
    restored: int = 0
    forgotten: int = 0
    sources: frozenset[str] = frozenset()


class RunUndo(Protocol):
    """
    Takes back what runs wrote, through the audit.

    Every implementation passes tests/contracts/test_open_sessions.py.
    """

    def undo(self, run: str, *, by: str, counted_until: str, after: str, limit: int, at: datetime) -> UndonePage:
        """
        Take back what a run wrote on some sessions, and nothing else.

        Args:
            run: The run to take back.
            by: The run that does it.
            counted_until: Up to which address the run counted sessions in the inventory.
            after: The place to start behind; "" for the first page.
            limit: How many at most.
            at: The present moment.
        """
        ...


class Audit(Protocol):
    """
    The only doors through which sealed sessions change or go, each with its record.

    Every implementation passes tests/contracts/test_audit.py.
    """

    def correct(self, session_id: str, snapshot: IpSnapshot, *, reason: str, run: str, made_at: datetime) -> None:
        """
        Replace the snapshot of a sealed session, and record what it was.

        Raises:
            StoreUnavailable: The session is open, or not there; nothing was changed.
        """
        ...

    def sealed(self, *, after: str, limit: int) -> SealedPage:
        """Return some sealed sessions, in the order of their names; what cannot be read is left out."""
        ...

    def replace(self, snapshots: Mapping[str, IpSnapshot], *, reason: str, run: str, made_at: datetime) -> None:
        """
        Do what `correct` does for many sessions, in one statement.

        Raises:
            StoreUnavailable: One of them is open, or not there; nothing was changed.
        """
        ...

    def take_out_sentinels(self, *, reason: str, run: str, made_at: datetime) -> int:
        """
        Replace pseudo codes that another loader wrote for facts by nothing, and record what they were.

        A session that holds no other fact is open then.

        Returns:
            How many sessions were corrected.
        """
        ...

    def count_sentinels(self) -> int:
        """Count what `take_out_sentinels` would correct."""
        ...

    def prune(
        self, before: datetime, *, run: str, made_at: datetime, counted_until: Mapping[str, str] | None = None
    ) -> "Pruned":
        """
        Delete the sessions that ended before a moment, record how many they were, and count addresses anew.

        What runs will still count is left to them: `counted_until` gives the address up to which each one did.
        """
        ...

    def would_prune(self, before: datetime) -> "Pruned":
        """Count what `prune` would delete."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many sessions went, or would go, and how many events they had."""

    sessions: int
    events: int
