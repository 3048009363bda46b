"""One database, and what is stored in it within a transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from snapshots.adapters.sql.connection.dialects.locks import acquire_write_lock, begin_if_idle, begin_schema_change
from snapshots.adapters.sql.connection.dialects.planner import analyze_columns
from snapshots.adapters.sql.connection.document_address import AddressesIn, no_address
from snapshots.adapters.sql.connection.lock_waits import WaitPolicy
from snapshots.adapters.sql.connection.sqlite_file import (
    refuse_read_only,
)
from snapshots.adapters.sql.database_connections import DatabaseConnections
from snapshots.adapters.sql.schema import indexes, versions
from snapshots.adapters.sql.schema.features import SchemaFeatures, features_of
from snapshots.adapters.sql.schema.partitions import partition
from snapshots.adapters.sql.schema.tables import SNAPSHOT_COLUMNS, session_summaries
from snapshots.adapters.sql.stores.sessions import FOUND
from snapshots.adapters.sql.transaction import SqlStores
from snapshots.app.errors import SettingRefused
from snapshots.app.ports.database import WriteLock

WRITTEN = (*SNAPSHOT_COLUMNS, *FOUND, "snapshot_gap", "gap_checked_at", "gap_run")
"""What a backfill writes of a session."""


class SqlDatabase(DatabaseConnections):
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
        super().__init__(url, addresses_in, policy)
        self._is_prepared = False
        self._features: SchemaFeatures | None = None

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
            begin_if_idle(connection)
            self._server_time.update(acquire_write_lock(connection, lock))
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
        with self.reading_any_version() as connection:
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
                begin_schema_change(connection, str(self), self._policy)
                self._written.refuse_another(connection)
                yield connection
                self._written.refuse_lost_file()
        self._is_prepared, self._features = False, None

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
        with self.reading_any_version() as connection:
            return not any(indexes.is_for_queries(index) for _, index in indexes.missing(connection))

    def refresh_statistics(self) -> None:
        """
        Let the planner of queries look at the sessions anew, after many of them changed.

        Raises:
            StoreUnavailable: The database refused.
        """
        with self._translated(), self._outside_transactions() as connection:
            written = analyze_columns(connection, WRITTEN)  # and not the documents
            connection.exec_driver_sql(f"ANALYZE {session_summaries.name}{written}")

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
        if self._features is None:
            self._features = features_of(connection)
        return SqlStores(connection, self._features)
