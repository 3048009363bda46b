"""A database: its transactions, migrations and indexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from snapshots.adapters.sql.connection.dialects.locks import acquire_write_lock, begin_if_idle, begin_schema_change
from snapshots.adapters.sql.connection.dialects.planner import analyze_columns
from snapshots.adapters.sql.connection.document_address import AddressesIn, no_address
from snapshots.adapters.sql.connection.lock_waits import WaitPolicy
from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.connection.sqlite_file import refuse_read_only
from snapshots.adapters.sql.database_connections import DatabaseConnections
from snapshots.adapters.sql.schema import indexes, versions
from snapshots.adapters.sql.schema.features import SchemaFeatures, features_of
from snapshots.adapters.sql.schema.partitions import partition
from snapshots.adapters.sql.schema.tables import FOUND_COLUMNS, SNAPSHOT_COLUMNS, session_summaries
from snapshots.app.admin.migration import SchemaState
from snapshots.app.errors import SettingRefused
from snapshots.app.ports.database import WriteLock

if TYPE_CHECKING:
    from snapshots.adapters.sql.transaction import SqlStores

WRITTEN = (*SNAPSHOT_COLUMNS, *FOUND_COLUMNS, "snapshot_gap", "gap_checked_at", "gap_run")
"""Columns of sessions that a backfill writes."""


class SqlDatabase(DatabaseConnections):
    """
    A database; it is opened on first use.

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
        super().__init__(url, addresses_in, policy, reading_only)
        self._is_prepared = False
        self._features: SchemaFeatures | None = None

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
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
                    versions.refuse_changed_version(own, str(self))  # another process may have migrated
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
        Migrate the tables to a version, up or down; rows stay.

        Args:
            to: "head" for the version of this program, "base" for no tables, or a version such as "0001".
            partitions: Number of hash partitions of the sessions table; None for an unpartitioned table.

        Returns:
            The version before and after; None for no tables.

        Raises:
            StoreUnavailable: The database refused, or its tables are newer than this program; nothing was changed.
            SettingRefused: There is no such version, or the sessions table cannot be partitioned.
        """
        if to not in {"head", "base", *versions.known()}:  # Alembic would take "-1", too
            raise SettingRefused(f"there is no version {to} to migrate to: the newest is {versions.newest()}")
        with self.changing_tables() as connection:
            before = versions.version(connection)
            versions.refuse_newer(connection, str(self))
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
            self.build_indexes(for_queries=not is_adopted)  # a first backfill is faster without them
        return before, after

    def schema_state(self) -> SchemaState:
        """
        Compare the tables, of any version, with those that this program needs.

        Raises:
            StoreUnavailable: The database does not answer, or its tables are newer than this program.
        """
        if not self.is_there:
            return SchemaState()
        with self.reading_any_version() as connection:
            found = versions.version(connection)
            if found is None:
                return SchemaState()
            versions.refuse_newer(connection, str(self))
            is_adopted = versions.is_adopted(connection)
            return SchemaState(
                version=found,
                sessions=connection.execute(select(func.count()).select_from(session_summaries)).scalar_one(),
                is_adopted=is_adopted,
                pending=versions.steps_after(found),
                missing_indexes=[
                    str(index.name) for _, index in indexes.missing(connection, for_queries=not is_adopted)
                ],
            )

    @contextmanager
    def changing_tables(self) -> Iterator[Connection]:
        """
        Open a transaction that changes tables of any version.

        Raises:
            StoreUnavailable: The database refused, or was replaced since it was first written; nothing was changed.
            StoreBusy: Other transactions held the tables for too long; nothing was changed.
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
        Build missing indexes, concurrently with writers on PostgreSQL.

        Args:
            others: CREATE INDEX statements of indexes that are not in our definitions.
            only_others: Build only *others*.
            for_queries: Build also our indexes that only queries need.

        Returns:
            The names of our indexes that were built.

        Raises:
            StoreUnavailable: The database refused; indexes built before stay.
            StoreBusy: Another transaction did not end in time; indexes built before stay.
        """
        with self._translated(), self._watch() as watch, self._autocommitting() as connection:
            watch.connected()
            return indexes.build(
                connection, str(self), self._policy, others, only_others=only_others, for_queries=for_queries
            )

    def build_query_indexes(self) -> Sequence[str]:
        """
        Build the indexes that only queries need, and other missing ones, and return their names.

        Raises:
            StoreUnavailable: There are no such tables, or the database refused.
        """
        with self.reading():
            pass
        return self.build_indexes()

    def drop_query_indexes(self) -> Sequence[str]:
        """
        Drop the indexes that only queries need, and return their names.

        Raises:
            StoreUnavailable: There are no such tables, or the database refused.
        """
        with self.reading():
            pass
        with self._translated(), self._autocommitting() as connection:
            return indexes.drop_for_queries(connection)

    def has_query_indexes(self) -> bool:
        """Whether every index that only queries need exists."""
        with self.reading_any_version() as connection:
            return not any(indexes.is_for_queries(index) for _, index in indexes.missing(connection))

    def refresh_statistics(self) -> None:
        """
        Refresh the planner statistics of the sessions, after many of them changed.

        Raises:
            StoreUnavailable: The database refused.
        """
        with self._translated(), self._autocommitting() as connection:
            written = analyze_columns(connection, WRITTEN)  # without the documents of another loader
            connection.exec_driver_sql(f"ANALYZE {session_summaries.name}{written}")

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        with self._connected() as connection, connection.begin():
            self._lock(connection)
            if versions.version(connection) is None:
                versions.upgrade(connection)
        self._is_prepared = True

    def _stores(self, connection: Connection) -> SqlStores:
        from snapshots.adapters.sql.transaction import SqlStores  # noqa: PLC0415 - queries need no stores

        if self._features is None:
            self._features = features_of(connection)
        return SqlStores(connection, self._features)
