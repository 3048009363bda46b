"""The clock of a PostgreSQL server, by which all machines agree which runs are alive."""

from datetime import UTC, datetime, timedelta
from time import monotonic


class ServerTime:
    """
    The server's time, extrapolated by the monotonic clock of this machine.

    It costs no extra query: each new connection and each write lock returns the server's time.
    """

    def __init__(self) -> None:
        self._received: tuple[datetime, float] | None = None

    def update(self, moment: datetime | None) -> None:
        """Record the server's time; None, as on SQLite, changes nothing."""
        if moment is not None:
            self._received = moment.astimezone(UTC), monotonic()

    def now(self) -> datetime | None:
        """Return the server's time; None if it is not known yet."""
        if self._received is None:
            return None
        moment, at = self._received
        return moment + timedelta(seconds=monotonic() - at)
