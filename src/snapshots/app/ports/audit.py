"""Ports for audited changes and deletions of sealed sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.snapshot.snapshot import IpSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSession:
    """A session with its canonical sighting and its snapshot."""

    session_id: str
    sighting: Sighting
    snapshot: IpSnapshot


class SealedPage(NamedTuple):
    """A page of sealed sessions. `last` is the cursor of the next page; "" if there is none."""

    sessions: Sequence[SealedSession]
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndonePage:
    """
    Result of undoing a run for one page of sessions.

    Attributes:
        last: Cursor of the next page; "" if nothing is left to undo.
        opened: Sessions that the run had sealed and that are open again.
        restored: Sessions with their previous snapshot.
        forgotten: Open sessions whose recovered address was removed.
        sources: Builds from which the removed snapshots were made, such as "dbip@2026-09-01".
    """

    last: str
    opened: int = 0
    restored: int = 0
    forgotten: int = 0
    sources: frozenset[str] = frozenset()


class RunUndo(Protocol):
    """
    Undoes runs, with a record of each change.

    Every implementation passes tests/contracts/test_open_sessions.py.
    """

    def undo(
        self, run: str, *, by: str, uncounted: Sequence[KeyRange], after: str, limit: int, at: datetime
    ) -> UndonePage:
        """
        Undo exactly the writes of a run, for a page of sessions.

        Args:
            run: The run to undo.
            by: The run that undoes it.
            uncounted: Ranges of addresses for which the run has not counted sessions in the inventory.
            after: Cursor of the previous page; "" for the first page.
            limit: Maximum number of sessions.
            at: The current time.
        """
        ...


class Audit(Protocol):
    """
    The only ways to change or delete sealed sessions; each writes an audit row.

    Every implementation passes tests/contracts/test_audit.py.
    """

    def correct(self, session_id: str, snapshot: IpSnapshot, *, reason: str, run: str, made_at: datetime) -> None:
        """
        Replace the snapshot of a sealed session, and record the previous one.

        Raises:
            StoreUnavailable: The session is open or does not exist; nothing was changed.
        """
        ...

    def last_reason(self, session_id: str) -> str | None:
        """Return the reason of the newest correction of a session; None if it was never corrected."""
        ...

    def sealed(self, *, after: str, limit: int) -> SealedPage:
        """Return a page of sealed sessions in key order; snapshots that cannot be read are left out."""
        ...

    def replace(self, snapshots: Mapping[str, IpSnapshot], *, reason: str, run: str, made_at: datetime) -> None:
        """
        Do what `correct` does for many sessions, in one statement.

        Raises:
            StoreUnavailable: One of them is open or does not exist; nothing was changed.
        """
        ...

    def take_out_sentinels(self, *, reason: str, run: str, made_at: datetime) -> int:
        """
        Remove placeholders that another loader stored for unknown facts, and record them.

        A session without any other fact is open afterwards.

        Returns:
            The number of corrected sessions.
        """
        ...

    def count_sentinels(self) -> int:
        """Count the sessions that `take_out_sentinels` would correct."""
        ...

    def prune(
        self,
        before: datetime,
        *,
        run: str,
        made_at: datetime,
        uncounted: Mapping[str, Sequence[KeyRange]] | None = None,
    ) -> "Pruned":
        """
        Delete the sessions that ended before a time, record their number, and recount addresses.

        Sessions that an unfinished run has yet to count are left to that run.

        Args:
            before: The time, aware, in UTC.
            run: The run that deletes.
            made_at: The current time.
            uncounted: Ranges of addresses that each unfinished run has yet to count.
        """
        ...

    def would_prune(self, before: datetime) -> "Pruned":
        """Count the sessions and events that `prune` would delete."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Number of deleted sessions and of their events; in a dry run, of those that would be deleted."""

    sessions: int
    events: int
