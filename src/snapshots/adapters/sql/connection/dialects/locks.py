"""Transactions and their locks."""

from datetime import datetime

from sqlalchemy import Connection, text

from snapshots.adapters.sql.connection.lock_waits import WaitPolicy, begin_immediately
from snapshots.app.ports.database import WriteLock


def begin_write(
    connection: Connection, name: str, policy: WaitPolicy, lock: WriteLock = WriteLock.EXCLUSIVE
) -> datetime | None:
    """
    Begin a transaction, and wait until no other writer excludes it.

    Args:
        connection: To the database, without a transaction.
        name: Of the database, for messages.
        policy: The lock timeout.
        lock: Which other writers may work at the same time.

    Returns:
        The server's time after the lock was granted; None on SQLite.
    """
    if connection.dialect.name == "postgresql":
        set_lock_timeout(connection, policy.lock_timeout)
        return acquire_write_lock(connection, lock)
    begin_immediately(connection, name, policy)
    return None


def set_lock_timeout(connection: Connection, seconds: float) -> None:
    """Set PostgreSQL's lock_timeout for this transaction; 0 is rounded up to 1 ms, because 0 would disable it."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{max(1, round(seconds * 1000))}ms'")


def acquire_write_lock(connection: Connection, lock: WriteLock = WriteLock.EXCLUSIVE) -> datetime | None:
    """
    Take the write lock until the end of this transaction; on SQLite the first change does that.

    Returns:
        The server's time after the lock was granted; None on SQLite.
    """
    if connection.dialect.name != "postgresql":
        return None
    shared = "" if lock is WriteLock.EXCLUSIVE else "_shared"
    query = f"SELECT clock_timestamp() FROM pg_advisory_xact_lock{shared}(hashtext('snapshots'))"  # noqa: S608 - a constant
    moment: datetime = connection.execute(text(query)).scalar_one()
    return moment


def begin_schema_change(connection: Connection, name: str, policy: WaitPolicy) -> None:
    """Begin a write transaction with a short lock timeout: other statements queue behind a waiting schema change."""
    begin_write(connection, name, policy)
    if connection.dialect.name == "postgresql":
        set_lock_timeout(connection, policy.change_timeout)


def begin_if_idle(connection: Connection) -> None:
    """
    Begin a transaction on the caller's connection if SQLite has none yet.

    Python's sqlite3 begins one only before the first change. Without it a savepoint would be the outermost
    transaction, and its release a commit.
    """
    if connection.dialect.name != "sqlite":
        return
    if not connection.in_transaction():
        connection.begin()
    if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]  # sqlite3's
        connection.exec_driver_sql("BEGIN")


def begin_read(connection: Connection) -> None:
    """Begin a read transaction in which every query sees the same snapshot of the database."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    else:
        connection.exec_driver_sql("BEGIN")
