"""Create the engine of a database, and set up each new connection."""

import os
import sqlite3
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool, StaticPool

from snapshots.adapters.sql.connection.document_address import AddressesIn, only_address
from snapshots.adapters.sql.connection.file_identity import IDENTITY, file_identity, refuse_stale, server_identity
from snapshots.adapters.sql.connection.lock_waits import BUSY_SECONDS
from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.connection.server_time import ServerTime
from snapshots.adapters.sql.connection.sqlite_file import connect_read_only, is_read_only
from snapshots.adapters.sql.rows.row_decoder import digest
from snapshots.adapters.sql.schema.stored_types import enforce_types
from snapshots.domain.snapshot.fact_methods import is_after


def create_database_engine(
    url: URL,
    addresses_in: AddressesIn,
    backends: set[int],
    server_time: ServerTime,
    reading_only: ReadingOnly | None = None,
) -> Engine:
    """
    Create an engine; it opens no connection yet.

    The pool is last in, first out: the connection that was returned last has the temporary tables that the next batch
    needs, and a warm page cache.

    Args:
        url: Of the database.
        addresses_in: Returns the addresses in a document; called by SQLite.
        backends: Receives the server process ID of each PostgreSQL connection.
        server_time: Updated with the time of a PostgreSQL server on each connection.
        reading_only: The connections refuse changes, and end long queries; None for no such limits.
    """
    if is_in_memory(url):
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    elif is_read_only(url):  # each transaction may open the file in another mode
        engine = create_engine(url, poolclass=NullPool)
        event.listen(engine, "do_connect", lambda _dialect, record, *_: connect_read_only(url, record.info))
    else:
        # Without a limit: each worker of a backfill has a connection, and its health check another one.
        engine = create_engine(url, pool_use_lifo=True, pool_size=0, connect_args=_arguments(url))
    if engine.dialect.name == "sqlite":
        enforce_types(engine)
        event.listen(engine, "do_connect", _create_private_file)
        event.listen(engine, "connect", partial(_prepare_sqlite, addresses_in))
        event.listen(engine, "invalidate", _release_sqlite_locks)
        event.listen(engine, "connect", lambda _, record: record.info.update({IDENTITY: file_identity(url)}))
        event.listen(engine, "checkout", lambda _, record, __: refuse_stale(url, record))
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", partial(_prepare_postgresql, backends, server_time))
    if reading_only is not None:
        reading_only.apply(engine)
    return engine


def is_in_memory(url: URL) -> bool:
    """Whether a URL names a database in memory, which ends with its connection."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _arguments(url: URL) -> dict[str, Any]:
    """Return the default connection arguments; the URL and the environment take precedence."""
    if url.get_backend_name() != "postgresql":
        return {}
    waits = {} if "connect_timeout" in url.query or "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": 10}
    return {"fallback_application_name": "snapshots"} | waits


def _create_private_file(_dialect: Any, _record: Any, arguments: Any, options: Any) -> None:
    """Create a missing SQLite file with mode 0600; SQLite gives its -wal and -shm the same mode."""
    path = arguments[0]
    if path != ":memory:" and not options.get("uri"):
        # Never open an existing file here: closing it would release all POSIX locks of this process on it.
        with suppress(OSError):  # SQLite reports why it cannot be opened
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _release_sqlite_locks(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """Roll back after an interrupt: a statement with unread rows would hold its lock even after a close."""
    with suppress(sqlite3.Error):
        connection.rollback()


def _prepare_postgresql(backends: set[int], server_time: ServerTime, connection: Any, record: Any) -> None:
    """
    Raise temp_buffers, so that staging tables of some ten thousand addresses stay in memory.

    PostgreSQL refuses this after a session used temporary tables, as in an external pool; it is only slower then.
    """
    backends.add(connection.info.backend_pid)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET temp_buffers = '64MB'")
            server_time.update(cursor.execute("SELECT clock_timestamp()").fetchone()[0])
        connection.commit()
    except connection.Error:
        connection.rollback()
    record.info[IDENTITY] = server_identity(connection)


def _is_adopted(connection: Any) -> bool:
    try:
        return connection.execute("SELECT 1 FROM adoptions").fetchone() is not None
    except sqlite3.Error:  # no such table, or not a database: the next statement reports it
        return False


def _is_later(labels: str, place: int, seen_at: str | None) -> bool:
    """Whether the build with the label at a place, from 1, is from after a stored timestamp."""
    found = labels.split(" ")
    return is_after(found[place - 1], (seen_at or "").replace(" ", "T")) if 0 < place <= len(found) else False


def _prepare_sqlite(addresses_in: AddressesIn, connection: Any, _record: Any) -> None:
    """
    Enforce foreign keys, unless the database was adopted from another loader.

    Its foreign key allows only addresses that its inventory lists. Its own connections do not enforce it, and a row
    that would satisfy it breaks its loader.
    """
    connection.isolation_level = None  # SQLAlchemy's BEGIN is ours: lock_for_writing decides the kind
    connection.create_function("snapshot_digest", 1, digest, deterministic=True)
    connection.create_function("snapshot_is_later", 3, _is_later, deterministic=True)
    connection.create_function("snapshot_address", 1, only_address(addresses_in), deterministic=True)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    for pragma in (
        "synchronous = NORMAL",
        f"foreign_keys = {'OFF' if _is_adopted(connection) else 'ON'}",
        "temp_store = FILE",
        "cache_size = -8192",
        "wal_autocheckpoint = 25000",
    ):
        connection.execute(f"PRAGMA {pragma}")
