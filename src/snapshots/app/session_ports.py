"""What the use cases need to store sessions. Every port takes a whole batch, so that nothing is asked in a loop."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapshots.domain.gap import Gap
from snapshots.domain.snapshot import IpSnapshot
from snapshots.domain.source_ip import Sighting
from snapshots.domain.summary import SessionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """A session as it is stored, None if it is new, and as it will be."""

    held: SessionSummary | None
    kept: SessionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session without a snapshot: its name, and its canonical sighting if it has one."""

    session_id: str
    sighting: Sighting | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An open session, and what was decided of it."""

    session: OpenSession
    verdict: IpSnapshot | Gap


class SessionStore(Protocol):
    """
    The sessions, one row each.

    Every implementation passes tests/contracts/test_session_store.py.
    """

    def find(self, logged_ids: Collection[str]) -> Mapping[str, Sequence[SessionSummary]]:
        """
        Return every session stored under each id of the log, in one query.

        An id without a session is absent.
        """
        ...

    def save(self, summaries: Collection[SessionSummary], *, run: str, saved_at: datetime) -> None:
        """
        Store each summary as it is, but for one rule: a held snapshot and its sighting stay whole.

        Args:
            summaries: Each session at most once.
            run: The run that writes.
            saved_at: The present moment.
        """
        ...

    def waiting(self, *, run: str, silent_since: datetime, after: str, limit: int) -> Sequence[SessionSummary]:
        """
        Return open sessions without a connect that wait to be judged, in the order of their names.

        Those that another run has left waiting and may still read more of are not among them.

        Args:
            run: The run that asks.
            silent_since: A run that was not heard of since then has died.
            after: The name to start behind; "" for the first page.
            limit: How many at most.
        """
        ...


class OpenSessions(Protocol):
    """
    The sessions without a snapshot, to be judged again.

    Every implementation passes tests/contracts/test_open_sessions.py.
    """

    def learned_since(self, *, run: str, silent_since: datetime, after: str, limit: int) -> Sequence[OpenSession]:
        """
        Return open sessions whose address learned something since their gap was judged, in the order of their names.

        Sessions that another run at work may still read more of, and those that an undo opened, are not among them.

        Args:
            run: The run that asks.
            silent_since: A run that was not heard of since then has died.
            after: The name to start behind; "" for the first page.
            limit: How many at most.
        """
        ...

    def may_have_learned(self, *, since: datetime) -> bool:
        """Whether any address that was registered before a moment learned something since then."""
        ...

    def settle(self, judged: Collection[Judged], *, run: str, settled_at: datetime) -> int:
        """
        Seal sessions or write why they stay open, all in one statement.

        A session that is sealed by now, or has another address, is left as it is.

        Returns:
            How many were written.
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

    def prune(self, before: datetime, *, run: str, made_at: datetime) -> "Pruned":
        """Delete the sessions that ended before a moment, and record how many they were."""
        ...

    def would_prune(self, before: datetime) -> "Pruned":
        """Count what `prune` would delete."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many sessions went, or would go, and how many events they had."""

    sessions: int
    events: int
