"""The clock of the machine that holds the database."""

from datetime import datetime

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.runtime import Clock


class ServerClock:
    """
    The clock of a PostgreSQL server; for SQLite, and while the server was never reached, that of this machine.

    Machines whose clocks disagree would take each other's runs for dead.

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
