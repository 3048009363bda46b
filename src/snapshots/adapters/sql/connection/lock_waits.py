"""Wait for locks of other processes, with a message and a timeout."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Timer
from time import monotonic
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from snapshots.app.errors import LockTimeout
from snapshots.app.retry import LOCK_TIMEOUT_SECONDS, REPORT_AFTER, ignore

ATTEMPT_SECONDS = 1.0
"""SQLite's own lock timeout; between two attempts a message can be written and Ctrl-C is handled."""

BRIEFLY = 1.0
"""Lock timeout after another lock timed out: the statements that follow are only cleanup."""

BUSY_SECONDS = 30
"""Lock timeout of SQLite connections, and of schema changes on PostgreSQL, which all other statements queue behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """
    How long to wait for a lock.

    Attributes:
        lock_timeout: Seconds until the wait fails; at least 0.
        report_after: Seconds until the wait is reported.
        report: Receives the message, one sentence; may be called from any thread.
    """

    lock_timeout: float = LOCK_TIMEOUT_SECONDS
    report_after: float = REPORT_AFTER
    report: Callable[[str], None] = ignore

    @property
    def change_timeout(self) -> float:
        """Return the lock timeout of a schema change on PostgreSQL, in seconds."""
        return min(self.lock_timeout, BUSY_SECONDS)


def begin_immediately(connection: Connection, name: str, policy: WaitPolicy) -> None:
    """
    Begin a write transaction of SQLite once no other process writes; WAL mode does not block readers.

    Raises:
        OperationalError: The lock timed out, or the file cannot be written.
    """
    began_at, is_reported = monotonic(), False
    _set_busy_timeout(connection, min(ATTEMPT_SECONDS, policy.lock_timeout))
    try:
        while True:
            with suppress(OperationalError):  # the file is read-only or locked
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                waited = monotonic() - began_at
                if not is_locked(error.orig) or waited >= policy.lock_timeout:
                    raise
                if not is_reported and waited >= policy.report_after:
                    policy.report(f"waiting for another process that is writing to {name}, {_bound(policy)}")
                    is_reported = True
            else:
                return
    finally:
        _set_busy_timeout(connection, BUSY_SECONDS)


@contextmanager
def only_index_builder(connection: Connection, name: str, policy: WaitPolicy) -> Iterator[None]:
    """
    Let only one process at a time build indexes of a PostgreSQL database: others would drop what it has not finished.

    The lock is polled. A query that waits for it would be a transaction, and CREATE INDEX CONCURRENTLY waits for all
    older transactions.

    Args:
        connection: An autocommit connection.
        name: Of the database, for messages.
        policy: How long to wait.

    Raises:
        LockTimeout: Another process built indexes for too long.
    """
    began_at, is_reported = monotonic(), False
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_INDEX_LOCK})").scalar_one():
        waited = monotonic() - began_at
        if waited >= policy.lock_timeout:
            raise LockTimeout(f"another process builds indexes in {name}; try again when it has finished")
        if not is_reported and waited >= policy.report_after:
            policy.report(f"waiting for another process that builds indexes in {name}, {_bound(policy)}")
            is_reported = True
        Event().wait(min(ATTEMPT_SECONDS, policy.lock_timeout))
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # the server releases the lock when the connection ends
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_INDEX_LOCK})")


_INDEX_LOCK = "hashtext('snapshots indexes')"


def _set_busy_timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def is_locked(error: BaseException | None) -> bool:
    """Whether the error of SQLite means that another process holds a lock."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _bound(policy: WaitPolicy) -> str:
    return f"for up to {policy.lock_timeout:,.0f} s (--lock-timeout)"


class LockWatch:
    """
    Reports why PostgreSQL keeps a block waiting: a server that does not respond, or a lock and its holder.

    A thread with its own connection checks this, and only if the block takes longer than `WaitPolicy.report_after`.

    Args:
        engine: The engine of the database.
        name: The database, for messages.
        policy: When and how to report.
        backends: Server process IDs of this process's own connections, which may wait for each other.
    """

    def __init__(self, engine: Engine, name: str, policy: WaitPolicy, backends: set[int]) -> None:
        self._engine = engine
        self._name = name
        self._policy = policy
        self._backends = backends
        self._is_connected = False
        self._is_looking = False
        self._done = Event()
        self._timer = Timer(policy.report_after, self._look)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        if self._engine.dialect.name == "postgresql":
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._timer.cancel()
        if self._is_looking:
            self._timer.join()

    def connected(self) -> None:
        """Record that the server has responded."""
        self._is_connected = True

    def _look(self) -> None:
        self._is_looking = True
        if not self._is_connected:
            self._policy.report(f"waiting for {self._name} to respond")
        while not self._done.is_set():
            if self._is_connected and (holder := self._holder()):
                self._policy.report(f"waiting for a lock in {self._name} held by {holder}, {_bound(self._policy)}")
                return
            self._done.wait(ATTEMPT_SECONDS)

    def _holder(self) -> str:
        """Return the process that holds a lock for longer than `report_after`; "" if there is none."""
        values = {"ours": sorted(self._backends), "seconds": self._policy.report_after}
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                found = connection.execute(text(_HOLDERS), values).first()
        except SQLAlchemyError:  # such as a server shutdown, which the block itself reports
            return ""
        if found is None:
            return ""
        details = ", ".join(str(part) for part in (found.application_name, found.usename, found.state) if part)
        return f"process {found.pid} ({details})" if found.pid else "a prepared transaction"


_HOLDERS = """
SELECT blocker AS pid, holder.application_name, holder.usename, holder.state
  FROM pg_stat_activity AS waiting
 CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocker
  LEFT JOIN pg_stat_activity AS holder ON holder.pid = blocker
 WHERE waiting.pid = ANY(:ours) AND waiting.wait_event_type = 'Lock' AND NOT blocker = ANY(:ours)
   AND clock_timestamp() - waiting.query_start >= make_interval(secs => :seconds)
 ORDER BY 1 LIMIT 1"""
