"""A text that changes with each committed change of a database."""

from threading import Lock
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from snapshots.adapters.sql.connection.file_identity import file_identity
from snapshots.adapters.sql.connection.sqlite_file import is_outdated

OF_SERVER = "SELECT pg_current_snapshot()::text"
"""Which transactions are visible: equal if none ended meanwhile, in any database of the server."""

OF_FILE = "PRAGMA data_version"
"""Differs if another connection committed a change since this connection asked before."""


class DataVersion:
    """
    Versions of the data in a database. Each costs one statement that reads no table.

    On SQLite, versions are compared within one process: another process, or a replaced file, has other ones.

    Args:
        engine: Opens the connection that is kept to a SQLite file.
        url: Of the database.
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url
        self._lock = Lock()
        self._kept: Connection | None = None
        self._identity: object = None
        self._name = ""

    def of(self, connection: Connection) -> str:
        """Return the version of the data that is read after this."""
        if connection.dialect.name != "sqlite":
            return str(connection.execute(text(OF_SERVER)).scalar_one())
        with self._lock:
            identity = file_identity(self._url)
            if self._kept is None or identity != self._identity or is_outdated(self._url, self._kept.info):
                self._close()
                self._kept, self._identity, self._name = self._engine.connect(), identity, uuid4().hex
            driver: Any = self._kept.connection.driver_connection  # without a transaction, which would fix the version
            (number,) = driver.execute(OF_FILE).fetchone()
            return f"{self._name}.{number}"

    def close(self) -> None:
        """Close the connection that is kept."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
