"""Build missing indexes concurrently with writers."""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, Index, Table, text
from sqlalchemy import inspect as inspected
from sqlalchemy.schema import CreateIndex

from snapshots.adapters.sql.connection.dialects.storage import are_partitioned
from snapshots.adapters.sql.connection.lock_waits import (
    BUSY_SECONDS,
    WaitPolicy,
    begin_immediately,
    only_index_builder,
)
from snapshots.adapters.sql.schema.tables import metadata, session_summaries


def indexes_of(table: Table, dialect: str) -> Sequence[Index]:
    """Return the indexes of a table on a dialect, by name."""
    those = (index for index in table.indexes if index.info.get("only_on", dialect) == dialect)
    return sorted(those, key=lambda index: str(index.name))


def missing(connection: Connection, *, for_queries: bool = True) -> Sequence[tuple[str, Index]]:
    """
    Return missing and invalid indexes of existing tables, each with its table's name.

    Args:
        connection: To the database.
        for_queries: Include indexes that only queries need.
    """
    inspector = inspected(connection)
    tables = set(inspector.get_table_names())
    broken = _invalid_indexes(connection)
    return [
        (table.name, index)
        for table in metadata.sorted_tables
        if table.name in tables
        for index in indexes_of(table, connection.dialect.name)
        if (for_queries or not is_for_queries(index))
        if index.name in broken or index.name not in {found["name"] for found in inspector.get_indexes(table.name)}
    ]


def build_now(connection: Connection) -> None:
    """Build missing indexes in the caller's transaction; for empty tables."""
    for _, index in missing(connection):
        index.create(connection)


def is_for_queries(index: Index) -> bool:
    """Whether only queries need an index."""
    return bool(index.info.get("for_queries"))


def drop_for_queries(connection: Connection) -> Sequence[str]:
    """
    Drop the indexes that only queries need, concurrently with writers, and return their names.

    Requires an autocommit connection.
    """
    lacking = {index.name for _, index in missing(connection)}
    found = indexes_of(session_summaries, connection.dialect.name)
    names = [str(index.name) for index in found if is_for_queries(index) and index.name not in lacking]
    can = connection.dialect.name == "postgresql" and not are_partitioned(connection)
    concurrently = "CONCURRENTLY " if can else ""
    for name in names:
        connection.exec_driver_sql(f"DROP INDEX {concurrently}IF EXISTS {name}")
    return names


def build(
    connection: Connection,
    name: str,
    policy: WaitPolicy,
    others: Sequence[str] = (),
    *,
    only_others: bool = False,
    for_queries: bool = True,
) -> Sequence[str]:
    """
    Build missing indexes, on PostgreSQL concurrently with writers.

    Args:
        connection: An autocommit connection.
        name: Of the database, for messages.
        policy: How long to wait for other processes.
        others: CREATE INDEX statements of indexes that are not in our definitions.
        only_others: Build only *others*.
        for_queries: Build also our indexes that only queries need.

    Returns:
        The names of our indexes that were built.

    Raises:
        LockTimeout: On PostgreSQL, another process built indexes for too long.
        OperationalError: On SQLite, another process wrote for too long.
    """
    if connection.dialect.name != "postgresql":
        lacking = [] if only_others else missing(connection, for_queries=for_queries)
        return [str(index.name) for table, index in lacking if _build_alone(connection, table, index, name, policy)]
    with only_index_builder(connection, name, policy):
        lacking = [] if only_others else missing(connection, for_queries=for_queries)
        ours = [str(CreateIndex(index).compile(dialect=connection.dialect)) for _, index in lacking]
        _build_concurrently(connection, (*ours, *others))
        return [str(index.name) for _, index in lacking]


def _build_alone(connection: Connection, table: str, index: Index, name: str, policy: WaitPolicy) -> bool:
    """Build an index of SQLite in a transaction of its own; return False if another process built it meanwhile."""
    begin_immediately(connection, name, policy)
    is_missing = index.name not in {found["name"] for found in inspected(connection).get_indexes(table)}
    if is_missing:
        connection.execute(CreateIndex(index))
    connection.exec_driver_sql("COMMIT")
    return is_missing


def _build_concurrently(connection: Connection, statements: Sequence[str]) -> None:
    known = set(re.findall(r'INDEX "?([^\s"]+)', " ".join(statements)))
    connection.exec_driver_sql(f"SET lock_timeout = '{BUSY_SECONDS}s'")
    for name in (name for name in _invalid_indexes(connection) if name in known):
        connection.exec_driver_sql(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
    for statement in statements:
        # PostgreSQL cannot build an index on a partitioned table concurrently.
        concurrently = "" if are_partitioned(connection) and "session_summaries" in statement else "CONCURRENTLY "
        statement_if_missing = re.sub(" INDEX ", f" INDEX {concurrently}IF NOT EXISTS ", statement, count=1)
        connection.exec_driver_sql(statement_if_missing.replace("%", "%%"))


def _invalid_indexes(connection: Connection) -> frozenset[str]:
    """Return the invalid indexes that an interrupted CREATE INDEX CONCURRENTLY left."""
    if connection.dialect.name != "postgresql":
        return frozenset()
    query = (
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND n.nspname = current_schema()"
    )
    return frozenset(connection.execute(text(query)).scalars())
