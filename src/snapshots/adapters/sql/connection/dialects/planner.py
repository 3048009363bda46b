"""Settings and hints for the query planners."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Select, func, literal_column, select, true

INDEX_SCANS_ONLY = {f"enable_{way}": "off" for way in ("hashjoin", "mergejoin", "bitmapscan")}
"""Settings under which PostgreSQL looks up each row in an index."""

BITMAP_SCANS_ONLY = {f"enable_{way}": "off" for way in ("seqscan", "indexscan", "indexonlyscan")}
"""Settings under which PostgreSQL collects row positions from an index and reads the rows in physical order."""

ASYNCHRONOUS_READS_VERSION = (18,)
"""First version of PostgreSQL with asynchronous reads by worker processes; they double the time for cached rows."""

NO_PREFETCH = {"effective_io_concurrency": "0"}
"""Setting that turns prefetching by worker processes off."""


def prefer_index_scans(connection: Connection) -> AbstractContextManager[None]:
    """Make PostgreSQL use index lookups for a batch; by default it scans a whole table for a few thousand rows."""
    return _local_settings(connection, INDEX_SCANS_ONLY)


def prefer_bitmap_scans(connection: Connection) -> AbstractContextManager[None]:
    """Make PostgreSQL read rows in physical order: after a backfill, rows of an index range are scattered."""
    has_asynchronous_reads = (connection.dialect.server_version_info or ()) >= ASYNCHRONOUS_READS_VERSION
    return _local_settings(connection, BITMAP_SCANS_ONLY | (NO_PREFETCH if has_asynchronous_reads else {}))


@contextmanager
def _local_settings(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    if connection.dialect.name != "postgresql":
        yield
        return
    current = select(*(func.current_setting(name) for name in settings))
    before = connection.execute(current).one()
    connection.execute(select(*(func.set_config(name, value, true()) for name, value in settings.items())))
    yield
    connection.execute(select(*(func.set_config(n, value, true()) for n, value in zip(settings, before, strict=True))))


def ordered_for_locality(connection: Connection, query: Select[Any], *names: str) -> Select[Any]:
    """
    Order the rows of a query by the columns by which PostgreSQL joins them next.

    Consecutive lookups then hit the same pages of the index and of its table.
    """
    return query.order_by(*names) if connection.dialect.name == "postgresql" else query


def in_stored_order(connection: Connection, query: Select[Any]) -> Select[Any]:
    """Make SQLite read the rows of a query as they are stored, where it would read them in the order of an index."""
    return query.order_by(literal_column("rowid")) if connection.dialect.name == "sqlite" else query


def analyze_columns(connection: Connection, columns: Collection[str]) -> str:
    """Return the column list of an ANALYZE statement; empty on SQLite, which analyzes indexes."""
    return f" ({', '.join(columns)})" if connection.dialect.name == "postgresql" else ""
