"""How a database stores its tables."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, literal_column, text


def has_rowids(connection: Connection) -> bool:
    """Whether tables store rows in the order of a row number, not of their keys."""
    return connection.dialect.name == "sqlite"


def short_key(connection: Connection, table: Table) -> ColumnElement[Any]:
    """Return what identifies a row within a query: the number of the row, which is quicker to compare, or its key."""
    (key,) = table.primary_key.columns
    return literal_column(f"{table.name}.rowid") if has_rowids(connection) else key


def size_of(connection: Connection, table: str) -> int:
    """Return the size of a table and its indexes in bytes; on SQLite the size of the file."""
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_total_relation_size(to_regclass(:name))")
        return int(connection.execute(query, {"name": table}).scalar() or 0)
    pages, page = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages) * int(page)


def log_position(connection: Connection) -> int | None:
    """Return the position of the write-ahead log in bytes; None on SQLite, which has none before a commit."""
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def are_partitioned(connection: Connection) -> bool:
    """Whether the sessions table is partitioned."""
    if connection.dialect.name != "postgresql":
        return False
    query = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('session_summaries')"
    return bool(connection.execute(text(query)).scalar())


def writer_id(connection: Connection) -> int:
    """Return a number that identifies this connection among concurrent writers."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    return 0
