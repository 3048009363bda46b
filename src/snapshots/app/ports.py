"""What the use cases need from the world. Every port takes a whole batch, so that nothing is asked in a loop."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from snapshots.app.lines import Mark, Reason
from snapshots.domain.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.snapshot import IpSnapshot
from snapshots.domain.source_ip import IpAddress, Sighting
from snapshots.domain.summary import SessionSummary


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class FactSource(Protocol):
    """
    One build of one source of facts about addresses.

    Every implementation passes tests/contracts/test_fact_source.py.
    """

    @property
    def build(self) -> SourceBuild:
        """Return which build this is."""
        ...

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """
        Return what the build says of each address; an address it does not know is absent.

        Raises:
            SourceUnreadable: The data cannot be read.
        """
        ...


class IpInventory(Protocol):
    """
    Every address seen, and everything that sources said of it.

    Every implementation passes tests/contracts/test_ip_inventory.py.
    """

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """
        Return all observations of each address, in one query whatever their number.

        An address that nobody looked up is absent.

        Raises:
            StoreUnavailable: The inventory did not answer. Nothing was changed.
        """
        ...

    def register(self, sightings: Collection[Sighting], *, registered_at: datetime) -> None:
        """Add the addresses that the inventory does not hold, still without sessions."""
        ...

    def learn(
        self,
        observations: Collection[IpObservation],
        organizations: Mapping[int, str],
        newest: Mapping[IpAddress, IpSnapshot],
        *,
        learned_at: datetime,
    ) -> None:
        """
        Add observations, or lengthen those held under the same address, source and observed_at.

        Facts, once stored, never change.

        Args:
            observations: What was said of registered addresses.
            organizations: Names of autonomous systems by their numbers.
            newest: The newest facts of each address.
            learned_at: The present moment.
        """
        ...

    def register_source(self, build: SourceBuild, *, registered_at: datetime) -> None:
        """Record a build of a source; one that is recorded already stays as it is."""
        ...

    def count_sessions(self, changes: Sequence["SessionChange"], *, seen_at: datetime) -> None:
        """
        Keep first_seen, last_seen and session_count of addresses true to the sessions.

        Args:
            changes: What becomes of each session; not saved yet, its address registered.
            seen_at: The present moment.
        """
        ...

    def recount_networks(self, *, counted_at: datetime) -> None:
        """Make first and last seen and the counts of every network those of the addresses that are in it now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """A session as it is stored, None if it is new, and as it will be."""

    held: SessionSummary | None
    kept: SessionSummary


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A line that could not be loaded, kept so that nothing is lost.

    Attributes:
        identity: The same whenever the same line of the same content is read, in hexadecimal.
        source: The file as it was named, or "-".
        offset: Where the line starts, in bytes of the decompressed content.
        reason: What is wrong with it.
        payload: The line, at most 64 KiB of it.
    """

    identity: str
    source: str
    offset: int
    reason: Reason
    payload: bytes


class DeadLetters(Protocol):
    """
    The lines that could not be loaded.

    Every implementation passes tests/contracts/test_dead_letters.py.
    """

    def keep(self, letters: Collection[DeadLetter], *, run: str, kept_at: datetime) -> int:
        """
        Store each letter, and return how many were new.

        One that is stored already takes the reason and payload of the new: a line may have grown.
        """
        ...

    def withdraw(self, identities: Collection[str]) -> None:
        """Remove letters whose lines were completed since."""
        ...


class Bookmarks(Protocol):
    """
    How far each content was read; a content is known by its head, not by a path.

    Every implementation passes tests/contracts/test_bookmarks.py.
    """

    def marks_of(self, head: str) -> Sequence[Mark]:
        """Return every mark ever set in contents with this head, by ascending offset."""
        ...

    def put(self, head: str, mark: Mark, *, source: str, run: str, put_at: datetime) -> None:
        """Set a mark; marks are never removed."""
        ...


class RunKind(Enum):
    """What a run does."""

    LOAD = "load"
    CORRECT = "correct"
    PRUNE = "prune"


class RunState(Enum):
    """How a run stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Runs(Protocol):
    """
    The executions that write.

    Every implementation passes tests/contracts/test_runs.py.
    """

    def begin(self, run: str, kind: RunKind, *, at: datetime) -> None:
        """Record that a run begins."""
        ...

    def note(self, run: str, counts: Mapping[str, int], *, at: datetime) -> None:
        """Replace the counts of a run, and record that it is alive."""
        ...

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        """Record that a run ended."""
        ...


class Stores(Protocol):
    """Everything that is stored, within one transaction."""

    @property
    def largest_asn(self) -> int:
        """Return the largest number of a network that a session can hold; less than any in an adopted database."""
        ...

    @property
    def inventory(self) -> IpInventory:
        """Return the addresses."""
        ...

    @property
    def sessions(self) -> SessionStore:
        """Return the sessions."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Return the lines that could not be loaded."""
        ...

    @property
    def bookmarks(self) -> Bookmarks:
        """Return how far contents were read."""
        ...

    @property
    def runs(self) -> Runs:
        """Return the executions."""
        ...

    @property
    def audit(self) -> Audit:
        """Return the doors to sealed sessions."""
        ...


class Database(Protocol):
    """Where everything is stored."""

    def transaction(self, connection: object | None = None) -> AbstractContextManager[Stores]:
        """
        Open a transaction that is committed at the end of the block, and rolled back if the block raises.

        Args:
            connection: A caller's connection to the same database. The block then works under a
                savepoint there and never commits: that stays with the caller.

        Raises:
            StoreUnavailable: The database did not answer, or refused; nothing of the block is stored.
            StoreBusy: Another process held the write lock for too long.
        """
        ...
