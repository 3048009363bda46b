"""Bookmarks: how far each log file was read, in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.schema.tables import bookmarks
from snapshots.app.ports.log_source import Mark


class SqlBookmarks:
    """Marks as rows of `bookmarks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def marks_of(self, head: str) -> Sequence[Mark]:
        """Return the bookmarks of a log file, by ascending offset."""
        query = (
            select(bookmarks.c.position, bookmarks.c.digest)
            .where(bookmarks.c.head == head)
            .order_by(bookmarks.c.position, bookmarks.c.digest)
        )
        return [Mark(position, digest) for position, digest in self._connection.execute(query)]

    def put(self, head: str, mark: Mark, *, source: str, run: str, stored_at: datetime) -> None:
        """Insert a bookmark unless it exists."""
        self._connection.execute(
            insert(self._connection, bookmarks).on_conflict_do_nothing(),
            {
                "head": head,
                "position": mark.offset,
                "digest": mark.digest,
                "source": source,
                "run": run,
                "stored_at": stored_at,
            },
        )
