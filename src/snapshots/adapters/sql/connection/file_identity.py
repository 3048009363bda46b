"""Detect that the database was replaced, for example by a restored backup, while a command runs."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

from snapshots.adapters.sql.connection.sqlite_file import path_of
from snapshots.app.errors import StoreReplaced

IDENTITY = "identity"
"""Key in `Connection.info` of the identity of the database, or None if it cannot be determined."""

OF_DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"
OF_SERVER = "SELECT system_identifier, current_database() FROM pg_control_system()"
"""Values that differ after a restore, on the same or another server; some roles may not read the second."""


class WrittenDatabase:
    """
    Identity of the database that was written first.

    Args:
        url: Of the database.
        shown: Its name in error messages.
    """

    def __init__(self, url: URL, shown: str) -> None:
        self._url = url
        self._shown = shown
        self._identity: object = None

    def refuse_lost_file(self) -> None:
        """
        Refuse to write a SQLite file that is no longer at its path, because the changes would be lost.

        Raises:
            StoreReplaced: The file was deleted, moved or replaced.
        """
        if self._identity is not None and path_of(self._url) and file_identity(self._url) != self._identity:
            raise self._replaced()

    def refuse_another(self, connection: Connection) -> None:
        """
        Remember the database of the first connection, and refuse connections to a different one of the same name.

        Raises:
            StoreReplaced: It is a different database.
        """
        found = connection.info.get(IDENTITY)
        if self._identity not in {None, found}:
            raise self._replaced()
        self._identity = found

    def _replaced(self) -> StoreReplaced:
        return StoreReplaced(
            f"the database {self._shown} was deleted, moved or replaced while this command ran; nothing more is"
            " stored. Restore it and run the command again"
        )


def file_identity(url: URL) -> tuple[int, int] | None:
    """Return device and inode of a SQLite file, which identify it; None if there is no file."""
    path = path_of(url)
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def server_identity(connection: Any) -> tuple[object, object]:
    """Return values that identify a PostgreSQL database; those that the role may not read are None."""
    return _row_of(connection, OF_DATABASE), _row_of(connection, OF_SERVER)


def refuse_stale(url: URL, record: Any) -> None:
    """
    Refuse a pooled connection to a file that was replaced; the pool then opens the new file.

    Raises:
        DisconnectionError: There is another file at the path. A missing file raises nothing: there is none to open.
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
