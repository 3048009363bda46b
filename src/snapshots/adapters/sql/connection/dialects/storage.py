"""How a database stores its tables."""

from sqlalchemy import Connection, text


def has_rowids(connection: Connection) -> bool:
    """Whether rows lie in the order of a number of their own, and not of their keys."""
    return connection.dialect.name == "sqlite"


def size_of(connection: Connection, table: str) -> int:
    """Return the bytes of a table and its indexes; on SQLite those of the whole file."""
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_total_relation_size(to_regclass(:name))")
        return int(connection.execute(query, {"name": table}).scalar() or 0)
    pages, page = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages) * int(page)


def log_position(connection: Connection) -> int | None:
    """Return how many bytes were written to the write-ahead log so far; SQLite does not tell before a commit."""
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def are_partitioned(connection: Connection) -> bool:
    """Whether the sessions lie in partitions."""
    if connection.dialect.name != "postgresql":
        return False
    query = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('session_summaries')"
    return bool(connection.execute(text(query)).scalar())


def writer_id(connection: Connection) -> int:
    """Return a number that no other connection has which writes at the same time."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    return 0
