"""One database, and what is stored in it within a transaction."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from snapshots.adapters.sql.connection import dialects, driver_errors
from snapshots.adapters.sql.connection.datetimes import WrongType
from snapshots.adapters.sql.connection.document_address import AddressesIn, no_address
from snapshots.adapters.sql.connection.file_identity import WrittenDatabase
from snapshots.adapters.sql.connection.lock_waits import BRIEFLY, LockWatch, WaitPolicy
from snapshots.adapters.sql.connection.server_time import ServerTime
from snapshots.adapters.sql.connection.sqlite_file import (
    advice_on,
    path_of,
    refuse_missing,
    refuse_read_only,
    refusing_changes,
)
from snapshots.adapters.sql.connection.urls import database_url
from snapshots.adapters.sql.engine import engine_of, is_in_memory
from snapshots.adapters.sql.schema import indexes, versions
from snapshots.adapters.sql.schema.features import SchemaFeatures, features_of
from snapshots.adapters.sql.schema.partitions import partition
from snapshots.adapters.sql.schema.stored_types import wrong_values
from snapshots.adapters.sql.schema.tables import SNAPSHOT_COLUMNS, session_summaries
from snapshots.adapters.sql.stores.sessions import FOUND
from snapshots.adapters.sql.transaction import SqlStores
from snapshots.app.errors import LockTimeout, SettingRefused, StoreBusy, StoreGone, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import WriteLock
from snapshots.app.safe_text import one_line, shown_url

WRITTEN = (*SNAPSHOT_COLUMNS, *FOUND, "snapshot_gap", "gap_checked_at", "gap_run")
"""What a backfill writes of a session."""


_BACKENDS: defaultdict[URL, set[int]] = defaultdict(set)
"""Server process IDs of all connections of this process, by database: they may wait for each other."""


class SqlDatabase:
    """
    A database. Nothing is opened before it is used.

    Args:
        url: A URL, or the path of a SQLite file, such as "snapshots.db".
        addresses_in: Reads the addresses in documents of another loader. Without it SQLite leaves them to the program.
        policy: How long to wait for other processes; None for ten minutes without messages.

    Raises:
        SettingRefused: The text names no database, or its driver is not installed.
    """

    def __init__(self, url: str, addresses_in: AddressesIn = no_address, policy: WaitPolicy | None = None) -> None:
        self._url: URL = database_url(url)
        self._backends = _BACKENDS[self._url]
        self._server_time = ServerTime()
        self.engine: Engine = engine_of(self._url, addresses_in, self._backends, self._server_time)
        self._policy = policy or WaitPolicy()
        self._has_given_up = False
        self._is_prepared = False
        self._shape: SchemaFeatures | None = None
        self._written = WrittenDatabase(self._url, str(self))

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
        """Whether nobody can read while somebody writes, because the database ends with its connection."""
        return is_in_memory(self._url)

    def server_time(self) -> datetime | None:
        """Return what the clock of the PostgreSQL server shows now; None on SQLite. Raises StoreUnavailable."""
        if self.engine.dialect.name == "postgresql" and self._server_time.now() is None:
            with self._translated(), self.engine.connect():
                pass  # each connection tells it
        return self._server_time.now()

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.ALONE
    ) -> Iterator[SqlStores]:
        """Open a transaction of its own, or a savepoint on the caller's connection."""
        with self._translated():
            if connection is None:
                refuse_read_only(self._url)
                self._written.refuse_lost_file()
                self._prepare()
                with self._connected() as own, own.begin() as begun:
                    self._lock(own, lock)
                    self._written.refuse_another(own)
                    yield self._stores(own)
                    self._written.refuse_lost_file()
                    if dry_run:
                        begun.rollback()
                return
            if not isinstance(connection, Connection):
                kind = type(connection)
                raise SettingRefused(
                    f"pass a sqlalchemy.Connection, such as engine.connect(); got {kind.__module__}.{kind.__qualname__}"
                )
            dialects.begin_if_idle(connection)
            self._server_time.tell(dialects.wait_for_writers(connection, lock))
            with connection.begin_nested():
                if versions.version(connection) is None:
                    versions.upgrade(connection)
                versions.refuse_other_versions(connection, str(self))
                yield self._stores(connection)

    @contextmanager
    def view(self) -> Iterator[SqlStores]:
        """Open a transaction that only reads."""
        with self.reading() as connection:
            yield self._stores(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a connection for queries, on one consistent state.

        Raises:
            StoreUnavailable: There is no such database, or it does not answer.
        """
        with self.looking() as connection:
            versions.refuse_other_versions(connection, str(self))
            yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """
        Open a connection for queries, whatever tables there are.

        Raises:
            StoreUnavailable: There is no such database, or it does not answer.
        """
        with self._translated():
            self._written.refuse_lost_file()
            refuse_missing(self._url)
            with self._connected() as connection, connection.begin():
                dialects.begin_reading(connection)
                with refusing_changes(self._url, connection.info):
                    yield connection

    @contextmanager
    def rehearsal(self) -> Iterator[Connection]:
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

    def migrate(self, to: str = "head", *, partitions: int | None = None) -> tuple[str | None, str | None]:
        """
        Bring the tables to a version, forwards or backwards, and keep their rows.

        Args:
            to: "head" for what this program works with, "base" for no tables, or a version such as "0001".
            partitions: Into how many partitions sessions are laid, by a hash of their names; None for none.

        Returns:
            The version before and after; None for no tables.

        Raises:
            StoreUnavailable: The database refused; nothing was changed.
            SettingRefused: There is no such version, or sessions cannot be laid into partitions.
        """
        if to not in {"head", "base", *versions.known()}:  # Alembic would take "-1", too
            raise SettingRefused(f"there is no version {to} to migrate to: the newest is {versions.newest()}")
        with self.changing_tables() as connection:
            before = versions.version(connection)
            try:
                if to != "head" and (to == "base" or (before or "") > to):
                    if versions.is_adopted(connection):
                        raise SettingRefused(
                            "an adopted database goes back by `snapshots adopt --undo`, not by migrate"
                        )
                    versions.downgrade(connection, to)
                else:
                    versions.upgrade(connection, to)
            except LookupError as exc:
                raise SettingRefused(f"there is no version {to} to migrate to: {exc}") from exc
            after = versions.version(connection)
            if partitions is not None:
                partition(connection, partitions)
            is_adopted = after is not None and versions.is_adopted(connection)
        if after == versions.newest():
            self.build_indexes(for_queries=not is_adopted)  # a backfill of the past is faster without those
        return before, after

    def session_count(self) -> int | None:
        """
        Return how many sessions the tables hold, whatever version these have.

        None if there are no tables, or another loader made them.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        if not self.is_there:
            return None
        with self.looking() as connection:
            if versions.version(connection) is None or versions.is_adopted(connection):
                return None
            return connection.execute(select(func.count()).select_from(session_summaries)).scalar_one()

    @contextmanager
    def changing_tables(self) -> Iterator[Connection]:
        """
        Open a transaction that changes tables, whatever version they have.

        Raises:
            StoreUnavailable: The database refused, or was replaced since it was first written; nothing was changed.
            StoreBusy: Others held the tables for too long; likewise.
        """
        with self._translated():
            self._written.refuse_lost_file()
            with self._connected() as connection, connection.begin():
                dialects.lock_for_changing(connection, str(self), self._policy)
                self._written.refuse_another(connection)
                yield connection
                self._written.refuse_lost_file()
        self._is_prepared, self._shape = False, None

    def build_indexes(
        self, others: Sequence[str] = (), *, only_others: bool = False, for_queries: bool = True
    ) -> Sequence[str]:
        """
        Build the indexes that are not there, beside writers where the database can.

        Args:
            others: Definitions of indexes that are not ours.
            only_others: Build none of ours.
            for_queries: Build also those of ours that only questions need.

        Returns:
            The names of ours that were built.

        Raises:
            StoreUnavailable: The database refused; those before are built.
            StoreBusy: A transaction elsewhere did not end in time; likewise.
        """
        with self._translated(), self._watch() as watch, self._outside_transactions() as connection:
            watch.connected()
            return indexes.build(connection, others, only_others=only_others, for_queries=for_queries)

    def build_query_indexes(self) -> Sequence[str]:
        """
        Build the indexes that only questions need, and others that are missing, and return their names.

        Raises:
            StoreUnavailable: There are no such tables, or the database refused.
        """
        with self.reading():
            pass
        return self.build_indexes()

    def drop_query_indexes(self) -> Sequence[str]:
        """
        Drop the indexes that only questions need, and return their names.

        Raises:
            StoreUnavailable: There are no such tables, or the database refused.
        """
        with self.reading():
            pass
        with self._translated(), self._outside_transactions() as connection:
            return indexes.drop_for_queries(connection)

    def has_query_indexes(self) -> bool:
        """Whether every index is there that only questions need."""
        with self.looking() as connection:
            return not any(indexes.is_for_queries(index) for _, index in indexes.missing(connection))

    def refresh_statistics(self) -> None:
        """
        Let the planner of queries look at the sessions anew, after many of them changed.

        Raises:
            StoreUnavailable: The database refused.
        """
        with self._translated(), self._outside_transactions() as connection:
            written = dialects.only_of(connection, WRITTEN)  # and not the documents
            connection.exec_driver_sql(f"ANALYZE {session_summaries.name}{written}")

    @contextmanager
    def _outside_transactions(self) -> Iterator[Connection]:
        """Open a connection that commits each statement at once, to the database that was written before."""
        self._written.refuse_lost_file()
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            self._written.refuse_another(connection)
            yield connection
            self._written.refuse_lost_file()

    def _watch(self) -> LockWatch:
        return LockWatch(self.engine, str(self), self._policy, self._backends)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Open a connection, and report long waits."""
        with self._watch() as watch, self.engine.connect() as connection:
            watch.connected()
            yield connection

    def _lock(self, connection: Connection, lock: WriteLock = WriteLock.ALONE) -> None:
        """Begin a write transaction; after a lock timeout wait only briefly, because only cleanup is left to do."""
        policy = replace(self._policy, lock_timeout=BRIEFLY) if self._has_given_up else self._policy
        self._server_time.tell(dialects.lock_for_writing(connection, str(self), policy, lock))
        self._has_given_up = False

    def _wrong_value(self) -> tuple[str, str] | None:
        """Return the first value whose type does not match its column, as place and description."""
        with self.engine.connect() as connection:
            if versions.version(connection) != versions.newest():
                return None
            return next(wrong_values(connection, limit=1), None)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        with self._connected() as connection, connection.begin():
            self._lock(connection)
            if versions.version(connection) is None:
                versions.upgrade(connection)
            versions.refuse_other_versions(connection, str(self))
        self._is_prepared = True

    def _stores(self, connection: Connection) -> SqlStores:
        if self._shape is None:
            self._shape = features_of(connection)
        return SqlStores(connection, self._shape)

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
                raise LockTimeout(
                    f"timed out waiting for a lock in {self} held by another process; try again when it has finished,"
                    " or raise --lock-timeout"
                ) from exc
            if driver_errors.is_busy(exc.orig):
                raise StoreBusy(
                    f"lock conflict with another process in {self}; try again when it has finished"
                ) from exc
            if driver_errors.is_gone(exc.orig, was_reached=bool(self._backends)):
                raise StoreGone(f"the database {self} cannot be reached: {exc.orig}") from exc
            if driver_errors.is_disk_full(exc.orig, path.parent if (path := path_of(self._url)) else None):
                raise StoreUnusable(
                    f"the disk of the database {self} or of its temporary files is full: {exc.orig};"
                    " earlier batches are stored; free some space and run the command again"
                ) from exc
            failed = StoreUnusable if driver_errors.is_unusable(exc.orig) else StoreUnavailable
            raise failed(f"the database {self} failed: {exc.orig}{advice_on(self._url)}") from exc
        except (SQLAlchemyError, sqlite3.Error) as exc:  # sqlite3's own error for a closed connection
            raise StoreUnavailable(f"the database {self} failed: {exc}") from exc
