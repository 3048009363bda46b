"""The indexes that the definitions name, built without keeping writers out."""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, Index, text
from sqlalchemy import inspect as inspected
from sqlalchemy.schema import CreateIndex

from snapshots.adapters.sql.dialects import BUSY_SECONDS
from snapshots.adapters.sql.tables import indexes_of, metadata


def missing(connection: Connection) -> Sequence[tuple[str, Index]]:
    """Return the indexes of existing tables that are not there, or were left half-built, with their tables' names."""
    inspector = inspected(connection)
    tables = set(inspector.get_table_names())
    broken = _half_built(connection)
    return [
        (table.name, index)
        for table in metadata.sorted_tables
        if table.name in tables
        for index in indexes_of(table, connection.dialect.name)
        if index.name in broken or index.name not in {found["name"] for found in inspector.get_indexes(table.name)}
    ]


def build(engine: Engine, others: Sequence[str] = (), *, only_others: bool = False) -> None:
    """
    Build what is missing, each on its own, and on PostgreSQL without keeping writers out.

    Args:
        engine: The database.
        others: Definitions of indexes that are not ours, to be built if they are not there.
        only_others: Build none of ours.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        ours = [str(CreateIndex(index).compile(dialect=connection.dialect)) for _, index in missing(connection)]
        ours = [] if only_others else ours
        if connection.dialect.name != "postgresql":
            for statement in ours:
                connection.exec_driver_sql(statement)
            return
        known = set(re.findall(r'INDEX "?([^\s"]+)', " ".join((*ours, *others))))
        connection.exec_driver_sql(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        for name in (name for name in _half_built(connection) if name in known):
            connection.exec_driver_sql(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
        for statement in (*ours, *others):
            beside_writers = re.sub(" INDEX ", " INDEX CONCURRENTLY IF NOT EXISTS ", statement, count=1)
            connection.exec_driver_sql(beside_writers.replace("%", "%%"))


def _half_built(connection: Connection) -> frozenset[str]:
    """Return the indexes that an interrupted CREATE INDEX CONCURRENTLY left."""
    if connection.dialect.name != "postgresql":
        return frozenset()
    query = (
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND n.nspname = current_schema()"
    )
    return frozenset(connection.execute(text(query)).scalars())
