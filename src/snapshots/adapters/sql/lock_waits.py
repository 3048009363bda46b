"""Waiting for other processes: said after some seconds, and ended after a bound."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Timer
from time import monotonic
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

ATTEMPT_SECONDS = 1.0
"""How long SQLite itself waits for a lock; between two attempts a message can be written, and Ctrl-C comes through."""

BRIEFLY = 1.0
"""Seconds to wait for a lock after one was given up: what is done then only ends the work."""

BUSY_SECONDS = 30
"""How long a change of tables waits on PostgreSQL: all others queue behind it."""


def ignore(_sentence: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """
    How long to wait for a lock.

    Attributes:
        lock_timeout: Seconds after which it is given up; at least 0.
        report_after: Seconds after which is said what is waited for.
        tell: Says it, in a sentence; is called by any thread.
    """

    lock_timeout: float = 600.0
    report_after: float = 5.0
    tell: Callable[[str], None] = ignore

    @property
    def change_timeout(self) -> float:
        """Return the seconds after which a change of tables is given up on PostgreSQL."""
        return min(self.lock_timeout, BUSY_SECONDS)


def begin_immediately(connection: Connection, name: str, policy: WaitPolicy) -> None:
    """
    Begin a transaction of SQLite that writes, once no other process does; in WAL mode readers go on beside it.

    Raises:
        OperationalError: The lock was not to be had in time, or the file cannot be written.
    """
    began_at, is_told = monotonic(), False
    _set_busy_timeout(connection, min(ATTEMPT_SECONDS, policy.lock_timeout))
    try:
        while True:
            with suppress(OperationalError):  # of a file for reading only, or locked now
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                waited = monotonic() - began_at
                if not is_locked(error.orig) or waited >= policy.lock_timeout:
                    raise
                if not is_told and waited >= policy.report_after:
                    policy.tell(f"waiting for another process that writes to {name}; {_bound(policy)}")
                    is_told = True
            else:
                return
    finally:
        _set_busy_timeout(connection, BUSY_SECONDS)


def _set_busy_timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def is_locked(error: BaseException | None) -> bool:
    """Whether SQLite says that another process holds a lock."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _bound(policy: WaitPolicy) -> str:
    return f"for {policy.lock_timeout:,.0f} s at most (--lock-timeout)"


class LockWatch:
    """
    Says what PostgreSQL lets this process wait for while a block runs: an answer, or a lock and who holds it.

    A thread looks through a connection of its own, and only where the block takes longer than a wait is reported after.

    Args:
        engine: Makes the connections.
        name: Of the database, for messages.
        policy: When to say it, and to whom.
        backends: The server's process numbers of this process's own connections: those wait for each other rightly.
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
        """Say that the server has answered."""
        self._is_connected = True

    def _look(self) -> None:
        self._is_looking = True
        if not self._is_connected:
            self._policy.tell(f"waiting for an answer of {self._name}")
        while not self._done.is_set():
            if self._is_connected and (holder := self._holder()):
                self._policy.tell(f"waiting for a lock in {self._name} that {holder} holds; {_bound(self._policy)}")
                return
            self._done.wait(ATTEMPT_SECONDS)

    def _holder(self) -> str:
        """Return who keeps this process waiting for long; "" if nobody does."""
        values = {"ours": sorted(self._backends), "seconds": self._policy.report_after}
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                found = connection.execute(text(_HOLDERS), values).first()
        except SQLAlchemyError:  # such as because the server goes down: the block itself meets that
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
