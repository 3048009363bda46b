"""The staging table of verdict spans, which holds nothing between two backfills."""

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.staging import fact_columns
from snapshots.adapters.sql.schema.tables import name

SPANS_SCHEMA = "verdict_spans_file"
"""Name under which SQLite attaches the file that holds the table."""


def _table(schema: str | None, *prefixes: str) -> Table:
    return Table(
        "verdict_spans",
        MetaData(),
        Column("address", name(45), primary_key=True),
        Column("since", UtcDateTime, primary_key=True),
        Column("run_key", BigInteger, primary_key=True, autoincrement=False),
        Column("until", UtcDateTime),
        *fact_columns(),
        Column("sealed_text", Text),
        Column("snapshot_gap", String(20)),
        schema=schema,
        prefixes=list(prefixes),
        sqlite_with_rowid=False,
    )


_TABLES = {"postgresql": _table(None, "UNLOGGED"), "sqlite": _table(SPANS_SCHEMA)}


def spans_table(connection: Connection) -> Table:
    """Return the table for queries on a database."""
    return _TABLES[connection.dialect.name]


def create_spans_table(connection: Connection) -> None:
    """Create the table on PostgreSQL, where its owner does it once; on SQLite each backfill does."""
    if connection.dialect.name == "postgresql":
        spans_table(connection).create(connection, checkfirst=True)


def drop_spans_table(connection: Connection) -> None:
    """Drop the table on PostgreSQL."""
    if connection.dialect.name == "postgresql":
        spans_table(connection).drop(connection, checkfirst=True)
