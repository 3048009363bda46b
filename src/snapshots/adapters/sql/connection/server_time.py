"""The time of a PostgreSQL server, by which all machines agree which runs are alive."""

from datetime import UTC, datetime, timedelta
from time import monotonic


class ServerTime:
    """
    What a server told of its time, carried on by a clock that no one sets.

    It costs no query: the server tells its time with each new connection and each lock for writing.
    """

    def __init__(self) -> None:
        self._received: tuple[datetime, float] | None = None

    def update(self, moment: datetime | None) -> None:
        """Note what the server's clock shows now; nothing if it is None, as on SQLite."""
        if moment is not None:
            self._received = moment.astimezone(UTC), monotonic()

    def now(self) -> datetime | None:
        """Return what the server's clock shows now; None if it was not told yet."""
        if self._received is None:
            return None
        moment, at = self._received
        return moment + timedelta(seconds=monotonic() - at)
