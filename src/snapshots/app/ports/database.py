"""Ports for a database: its transactions, and the stores within one."""

from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

from snapshots.app.ports.audit import Audit, RunUndo
from snapshots.app.ports.inventory import FactSources, InventoryCounts, IpInventory
from snapshots.app.ports.logs import Bookmarks, DeadLetters, EventLines
from snapshots.app.ports.open_sessions import OpenSessions, VerdictSpans
from snapshots.app.ports.runs import Runs
from snapshots.app.ports.sessions import SessionStore


class Health(Protocol):
    """Checks whether a database is overloaded."""

    def trouble(self) -> str:
        """Return one sentence about the overload, with figures; "" if there is none."""
        ...


class Stores(Protocol):
    """The stores of one transaction."""

    @property
    def largest_asn(self) -> int:
        """Return the largest ASN that a session can store; an adopted database may have a narrower column."""
        ...

    @property
    def inventory(self) -> IpInventory:
        """Return the addresses and their observations."""
        ...

    @property
    def counts(self) -> InventoryCounts:
        """Return the counts of addresses and networks."""
        ...

    @property
    def sources(self) -> FactSources:
        """Return the registered builds of sources."""
        ...

    @property
    def sessions(self) -> SessionStore:
        """Return the sessions."""
        ...

    @property
    def open_sessions(self) -> OpenSessions:
        """Return the sessions without a snapshot."""
        ...

    @property
    def verdict_spans(self) -> VerdictSpans:
        """Return the staged verdicts."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Return the lines that are not valid events."""
        ...

    @property
    def event_lines(self) -> EventLines:
        """Return the stored lines of events."""
        ...

    @property
    def bookmarks(self) -> Bookmarks:
        """Return the read positions of contents."""
        ...

    @property
    def runs(self) -> Runs:
        """Return the runs."""
        ...

    @property
    def run_undo(self) -> RunUndo:
        """Return the undo of runs."""
        ...

    def log_position(self) -> int | None:
        """Return the number of bytes in the write-ahead log so far; None if the database has no such counter."""
        ...

    @property
    def audit(self) -> Audit:
        """Return the audited changes of sealed sessions."""
        ...


class WriteLock(Enum):
    """Which transactions may write at the same time. A database with a single writer treats both as EXCLUSIVE."""

    EXCLUSIVE = "exclusive"
    """No other transaction writes."""
    SHARED = "shared"
    """Other SHARED transactions may write too: the workers of a backfill, each to rows of its own."""


class Database(Protocol):
    """A database with all stores."""

    def give_up(self) -> None:
        """Let the next transaction wait only briefly for locks, because only cleanup is left to do."""
        ...

    def view(self) -> AbstractContextManager[Stores]:
        """
        Open a read-only transaction with one consistent state. It blocks no other transaction.

        Raises:
            StoreUnavailable: The database does not exist or did not answer.
        """
        ...

    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> AbstractContextManager[Stores]:
        """
        Open a transaction that is committed at the end of the block, and rolled back if the block raises.

        Args:
            connection: A caller's connection to the same database. The block then works under a savepoint there,
                and the caller commits.
            dry_run: Roll everything back at the end of the block.
            lock: Which transactions may write at the same time.

        Raises:
            StoreUnavailable: The database did not answer, or refused; nothing of the block is stored.
            StoreBusy: The transaction met a conflict, or waited too long for a lock.
        """
        ...
