"""Connections to one database: opened, locked, and their errors translated."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from snapshots.adapters.sql.connection import driver_errors
from snapshots.adapters.sql.connection.data_version import DataVersion
from snapshots.adapters.sql.connection.datetimes import WrongType
from snapshots.adapters.sql.connection.dialects.locks import (
    begin_read,
    begin_write,
)
from snapshots.adapters.sql.connection.document_address import AddressesIn, no_address
from snapshots.adapters.sql.connection.file_identity import WrittenDatabase
from snapshots.adapters.sql.connection.lock_waits import BRIEFLY, LockWatch, WaitPolicy
from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.connection.server_time import ServerTime
from snapshots.adapters.sql.connection.sqlite_file import (
    advice_on,
    delete_empty_spans_file,
    path_of,
    refuse_missing,
    refuse_read_only,
    refusing_changes,
)
from snapshots.adapters.sql.connection.urls import database_url
from snapshots.adapters.sql.engine import create_database_engine, is_in_memory
from snapshots.adapters.sql.schema import versions
from snapshots.adapters.sql.schema.stored_types import wrong_values
from snapshots.app.errors import LockTimeout, QueryTimedOut, StoreBusy, StoreGone, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import WriteLock
from snapshots.app.safe_text import one_line, shown_url

_BACKENDS: defaultdict[URL, set[int]] = defaultdict(set)
"""Server process IDs of all connections of this process, by database: they may wait for each other."""


class DatabaseConnections:
    """
    Connections to one database, opened on first use.

    Args:
        url: A URL, or the path of a SQLite file, such as "snapshots.db".
        addresses_in: Returns the addresses in a document of another loader. The default returns none, so that on SQLite
            only the Python path finds them.
        policy: How long to wait for other processes; None for ten minutes without messages.
        reading_only: Refuse changes, and end long queries; None for no such limits.

    Raises:
        SettingRefused: The text is not a database URL or path, or its driver is not installed.
    """

    def __init__(
        self,
        url: str,
        addresses_in: AddressesIn = no_address,
        policy: WaitPolicy | None = None,
        reading_only: ReadingOnly | None = None,
    ) -> None:
        self._url: URL = database_url(url)
        self._backends = _BACKENDS[self._url]
        self._server_time = ServerTime()
        self.engine: Engine = create_database_engine(
            self._url, addresses_in, self._backends, self._server_time, reading_only
        )
        self._policy = policy or WaitPolicy()
        self._has_given_up = False
        self._written = WrittenDatabase(self._url, str(self))
        self._data_version = DataVersion(self.engine, self._url)

    def __str__(self) -> str:
        """Return the URL without its password."""
        if self._url.get_backend_name() == "sqlite":
            return f"sqlite:///{one_line(self._url.database or '')}"
        return shown_url(self._url.set(drivername="postgresql").render_as_string(hide_password=True))

    @property
    def is_there(self) -> bool:
        """Whether the database exists; always True on PostgreSQL."""
        path = path_of(self._url)
        return path is None or os.path.exists(path)  # noqa: PTH110 - Path.exists raises without access to the folder

    @property
    def has_one_connection(self) -> bool:
        """Whether readers and writers share one connection, because the database is in memory."""
        return is_in_memory(self._url)

    def server_time(self) -> datetime | None:
        """Return the time of the PostgreSQL server; None on SQLite. Raises StoreUnavailable."""
        if self.engine.dialect.name == "postgresql" and self._server_time.now() is None:
            with self._translated(), self.engine.connect():
                pass  # each new connection updates it
        return self._server_time.now()

    def data_version(self) -> str:
        """
        Return a text that changes with each change that another connection commits.

        Raises:
            StoreUnavailable: There is no such database, or it does not answer.
        """
        with self.reading() as connection:
            return self._data_version.of(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a connection for queries, on one consistent snapshot of the database.

        Raises:
            StoreUnavailable: There is no such database, or it does not answer.
        """
        with self.reading_any_version() as connection:
            versions.refuse_other_versions(connection, str(self))
            yield connection

    @contextmanager
    def reading_any_version(self) -> Iterator[Connection]:
        """
        Open a connection for queries on tables of any version.

        Raises:
            StoreUnavailable: There is no such database, or it does not answer.
        """
        with self._translated():
            self._written.refuse_lost_file()
            refuse_missing(self._url)
            with self._connected() as connection, connection.begin():
                begin_read(connection)
                with refusing_changes(self._url, connection.info):
                    yield connection

    @contextmanager
    def dry_run_transaction(self) -> Iterator[Connection]:
        """
        Open a transaction for writing that is always rolled back.

        Raises:
            StoreUnavailable: There is no such database, or it does not answer.
        """
        with self.reading():
            pass
        refuse_read_only(self._url)
        with self._translated(), self._connected() as connection:
            transaction = connection.begin()
            self._lock(connection)
            try:
                yield connection
            finally:
                transaction.rollback()

    @contextmanager
    def _autocommitting(self) -> Iterator[Connection]:
        """Open an autocommit connection to the database that was written before."""
        self._written.refuse_lost_file()
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            self._written.refuse_another(connection)
            yield connection
            self._written.refuse_lost_file()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Open a connection, and report long waits."""
        with self._watch() as watch, self.engine.connect() as connection:
            watch.connected()
            yield connection

    def _watch(self) -> LockWatch:
        return LockWatch(self.engine, str(self), self._policy, self._backends)

    def _lock(self, connection: Connection, lock: WriteLock = WriteLock.EXCLUSIVE) -> None:
        """Begin a write transaction; after a lock timeout wait only briefly, because only cleanup is left to do."""
        policy = replace(self._policy, lock_timeout=BRIEFLY) if self._has_given_up else self._policy
        self._server_time.update(begin_write(connection, str(self), policy, lock))
        self._has_given_up = False

    def _wrong_value(self) -> tuple[str, str] | None:
        """Return the first value whose type does not match its column, as place and description."""
        with self.engine.connect() as connection:
            if versions.version(connection) != versions.newest():
                return None
            return next(wrong_values(connection, limit=1), None)

    def give_up(self) -> None:
        """Shorten the lock timeout of the next transaction."""
        self._has_given_up = True

    @property
    def backends(self) -> Collection[int]:
        """Return the server process IDs of this process's connections."""
        return self._backends

    def close(self) -> None:
        """Close every connection."""
        self._data_version.close()
        self.engine.dispose()
        delete_empty_spans_file(self._url)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._has_given_up = True
            raise
        except (WrongType, AttributeError, TypeError) as exc:
            found = self._wrong_value()
            if found is None:
                raise  # not caused by a stored value
            raise StoreUnavailable(
                f"{found[0]} holds {found[1]}, in {self}; `snapshots verify` names every such value"
            ) from exc
        except DatabaseError as exc:
            if driver_errors.is_lock_timeout(exc.orig):
                self._has_given_up = True
            raise self._error_of(exc.orig) from exc
        except (SQLAlchemyError, sqlite3.Error) as exc:  # sqlite3's own error for a closed connection
            raise StoreUnavailable(f"the database {self} failed: {exc}") from exc

    def _error_of(self, error: BaseException | None) -> StoreUnavailable:
        """Return the error of the driver as one of the application."""
        if driver_errors.is_lock_timeout(error):
            return LockTimeout(
                f"timed out waiting for a lock in {self} held by another process; try again when it has finished,"
                " or raise --lock-timeout"
            )
        if driver_errors.is_timeout(error):
            return QueryTimedOut(
                "the query took too long and was ended; select fewer sessions, such as with --since 7d"
            )
        if driver_errors.is_busy(error):
            return StoreBusy(f"lock conflict with another process in {self}; try again when it has finished")
        if driver_errors.is_gone(error, was_reached=bool(self._backends)):
            return StoreGone(f"the database {self} cannot be reached: {error}")
        if driver_errors.is_disk_full(error, path.parent if (path := path_of(self._url)) else None):
            return StoreUnusable(
                f"the disk of the database {self} or of its temporary files is full: {error};"
                " earlier batches are stored; free some space and run the command again"
            )
        failed = StoreUnusable if driver_errors.is_unusable(error) else StoreUnavailable
        return failed(f"the database {self} failed: {error}{advice_on(self._url)}")
