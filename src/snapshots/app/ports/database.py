"""A database: its transactions, and everything that is stored within one."""

from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

from snapshots.app.ports.audit import Audit, RunUndo
from snapshots.app.ports.inventory import FactSources, InventoryCounts, IpInventory
from snapshots.app.ports.logs import Bookmarks, DeadLetters, EventLines
from snapshots.app.ports.open_sessions import OpenSessions
from snapshots.app.ports.runs import Runs
from snapshots.app.ports.sessions import SessionStore


class Health(Protocol):
    """Tells whether a database can bear more work."""

    def trouble(self) -> str:
        """Return one sentence on what makes it suffer, with figures; "" if it is well."""
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
    def counts(self) -> InventoryCounts:
        """Return the counts of addresses and networks."""
        ...

    @property
    def sources(self) -> FactSources:
        """Return the builds of sources."""
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
    def dead_letters(self) -> DeadLetters:
        """Return the lines that could not be loaded."""
        ...

    @property
    def event_lines(self) -> EventLines:
        """Return the lines of events that are kept."""
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
    def run_undo(self) -> RunUndo:
        """Return what takes runs back."""
        ...

    def log_position(self) -> int | None:
        """Return how many bytes the database has written to its log so far; None if it does not tell."""
        ...

    @property
    def audit(self) -> Audit:
        """Return the doors to sealed sessions."""
        ...


class WriteLock(Enum):
    """Who may write at the same time as a transaction; a database that lets nobody takes each for ALONE."""

    ALONE = "alone"
    LEADS = "leads"
    """Those that help may: they only settle sessions by what is remembered, and count."""
    HELPS = "helps"
    """The one that leads may, and others that help."""


class Database(Protocol):
    """Where everything is stored."""

    def view(self) -> AbstractContextManager[Stores]:
        """
        Open a transaction that only reads, on one consistent state, and keeps nobody waiting.

        Raises:
            StoreUnavailable: There is no such database, or it did not answer.
        """
        ...

    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.ALONE
    ) -> AbstractContextManager[Stores]:
        """
        Open a transaction that is committed at the end of the block, and rolled back if the block raises.

        Args:
            connection: A caller's connection to the same database. The block then works under a
                savepoint there and never commits: that stays with the caller.
            dry_run: Roll everything back at the end of the block.
            lock: Who may write at the same time.

        Raises:
            StoreUnavailable: The database did not answer, or refused; nothing of the block is stored.
            StoreBusy: Another process held the write lock for too long.
        """
        ...
