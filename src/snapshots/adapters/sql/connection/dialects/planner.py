"""Settings and hints for the query planner of PostgreSQL."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Select, func, select, true

INDEX_SCANS_ONLY = {f"enable_{way}": "off" for way in ("hashjoin", "mergejoin", "bitmapscan")}
"""Settings of PostgreSQL that let it seek row after row by an index."""

BITMAP_SCANS_ONLY = {f"enable_{way}": "off" for way in ("seqscan", "indexscan", "indexonlyscan")}
"""Those that let it ask an index where rows lie, and read them in that order."""

ASYNCHRONOUS_READS_VERSION = (18,)
"""PostgreSQL's version from which on other processes read ahead: twice as slow where rows are in memory."""

NO_PREFETCH = {"effective_io_concurrency": "0"}
"""What keeps it from that."""


def prefer_index_scans(connection: Connection) -> AbstractContextManager[None]:
    """Let PostgreSQL seek by key what a batch names; it rather reads a whole table for some thousands of rows."""
    return _set(connection, INDEX_SCANS_ONLY)


def prefer_bitmap_scans(connection: Connection) -> AbstractContextManager[None]:
    """Let PostgreSQL ask an index where rows lie, and read them in that order: after a backfill they lie anywhere."""
    reads_by_others = (connection.dialect.server_version_info or ()) >= ASYNCHRONOUS_READS_VERSION
    return _set(connection, BITMAP_SCANS_ONLY | (NO_PREFETCH if reads_by_others else {}))


@contextmanager
def _set(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    if connection.dialect.name != "postgresql":
        yield
        return
    asked = select(*(func.current_setting(name) for name in settings))
    before = connection.execute(asked).one()
    connection.execute(select(*(func.set_config(name, value, true()) for name, value in settings.items())))
    yield
    connection.execute(select(*(func.set_config(n, value, true()) for n, value in zip(settings, before, strict=True))))


def ordered_for_locality(connection: Connection, query: Select[Any], name: str) -> Select[Any]:
    """
    Return a query whose rows PostgreSQL looks up next in the order of a column.

    One after the other they are found in the same pages of an index, and of what lies in its order.
    """
    return query.order_by(name) if connection.dialect.name == "postgresql" else query


def analyze_columns(connection: Connection, columns: Collection[str]) -> str:
    """Return what lets ANALYZE look at some columns alone, behind the name of the table; SQLite looks at indexes."""
    return f" ({', '.join(columns)})" if connection.dialect.name == "postgresql" else ""
