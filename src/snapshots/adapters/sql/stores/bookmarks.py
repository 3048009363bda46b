"""Bookmarks: how far each log file was read, in SQL."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, select

from snapshots.adapters.sql.connection.dialects.statements import insert, select_texts
from snapshots.adapters.sql.schema.tables import bookmarks
from snapshots.app.ports.log_source import Mark
from snapshots.app.ports.logs import Bookmark

ROWS = 1000
"""Bookmarks per statement, because each row takes a kilobyte of memory on its way to the database."""


class SqlBookmarks:
    """Marks as rows of `bookmarks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def marks_of(self, heads: Collection[str]) -> Mapping[str, Sequence[Mark]]:
        """Return the bookmarks of log files with one query, by ascending offset."""
        query = (
            select(bookmarks.c.head, bookmarks.c.position, bookmarks.c.digest)
            .where(bookmarks.c.head.in_(select_texts(self._connection, heads)))
            .order_by(bookmarks.c.position, bookmarks.c.digest)
        )
        found = defaultdict[str, list[Mark]](list)
        for head, position, digest in self._connection.execute(query):
            found[head].append(Mark(position, digest))
        return found

    def put(self, new: Collection[Bookmark], *, run: str, stored_at: datetime) -> None:
        """Insert the bookmarks that do not exist."""
        statement, rest = insert(self._connection, bookmarks).on_conflict_do_nothing(), iter(new)
        while rows := [
            {
                "head": head,
                "position": mark.offset,
                "digest": mark.digest,
                "source": source,
                "run": run,
                "stored_at": stored_at,
            }
            for head, mark, source in islice(rest, ROWS)
        ]:
            self._connection.execute(statement, rows)
