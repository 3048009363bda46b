"""Whether a database is still the one that was written first, or a restored backup has taken its place."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

from snapshots.adapters.sql.sqlite_file import path_of
from snapshots.app.errors import StoreReplaced

IDENTITY = "identity"
"""Under which key `Connection.info` holds what tells a database from every other, if anything does."""

OF_DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"
OF_SERVER = "SELECT system_identifier, current_database() FROM pg_control_system()"
"""What is another after a restore, on the same server and on another one; not every role may ask for the second."""


class WrittenDatabase:
    """
    Remembers the database that was written first.

    Args:
        url: Of the database.
        shown: How it is called in errors.
    """

    def __init__(self, url: URL, shown: str) -> None:
        self._url = url
        self._shown = shown
        self._identity: object = None

    def refuse_lost_file(self) -> None:
        """
        Refuse to write a SQLite file that does not have its name any more: what is written would be lost.

        Raises:
            StoreReplaced: The file was deleted, moved or replaced.
        """
        if self._identity is not None and path_of(self._url) and file_identity(self._url) != self._identity:
            raise self._replaced()

    def refuse_another(self, connection: Connection) -> None:
        """
        Remember the database of the first connection, and refuse connections to another one of the same name.

        Raises:
            StoreReplaced: It is another one.
        """
        found = connection.info.get(IDENTITY)
        if self._identity not in {None, found}:
            raise self._replaced()
        self._identity = found

    def _replaced(self) -> StoreReplaced:
        return StoreReplaced(
            f"the database {self._shown} was deleted, moved or replaced since this command began, and nothing more is"
            " stored: when the right one is in place, run the command again"
        )


def file_identity(url: URL) -> tuple[int, int] | None:
    """Return the device and the inode of a SQLite file, which no other file has; None if there is no file."""
    path = path_of(url)
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def server_identity(connection: Any) -> tuple[object, object]:
    """Return what a database of PostgreSQL shares with no other, as far as its role may know."""
    return _row_of(connection, OF_DATABASE), _row_of(connection, OF_SERVER)


def refuse_stale(url: URL, record: Any) -> None:
    """
    Refuse a connection from the pool to a file in whose place another one stands: the pool opens that instead.

    Raises:
        DisconnectionError: Another one does. Of a file that is gone there is nothing to be opened.
    """
    if file_identity(url) not in {None, record.info[IDENTITY]}:
        raise DisconnectionError


def _row_of(connection: Any, query: str) -> Any:
    try:
        with connection.cursor() as cursor:
            row = cursor.execute(query).fetchone()
        connection.commit()
    except connection.Error:
        connection.rollback()
        return None
    return row
