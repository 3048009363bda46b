"""The clock of the database server."""

from datetime import datetime

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.runtime import Clock


class ServerClock:
    """
    The clock of a PostgreSQL server; on SQLite, and until the server is reached, the clock of this machine.

    Machines with different clocks would otherwise consider each other's runs dead.

    Args:
        database: The database.
        own: The clock of this machine.
    """

    def __init__(self, database: SqlDatabase, own: Clock) -> None:
        self._database = database
        self._own = own

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        try:
            return self._database.server_time() or self._own.now()
        except StoreUnavailable:  # the next transaction reports it
            return self._own.now()
