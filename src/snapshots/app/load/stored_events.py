"""Return stored events of a session, byte for byte as the honeypot logged them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from snapshots.app.errors import NoSuchSession
from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import LogEvent

MIN_TIME = datetime.min.replace(tzinfo=UTC)
"""Sort key of lines that this version cannot decode."""


class StoredEvents:
    """
    Reads the lines of sessions that were loaded with --store-events.

    Args:
        database: Holds the lines.
        event_in: Decodes a line; returns None if it is not a valid event.
    """

    def __init__(self, database: Database, event_in: Callable[[bytes], LogEvent | None]) -> None:
        self._database = database
        self._event_in = event_in

    def of(self, session_id: str) -> Sequence[bytes]:
        """
        Return the distinct lines of a session in the order of event times.

        Raises:
            NoSuchSession: No line of the session is stored.
            StoreUnavailable: The database failed, or its data is damaged.
        """
        with self._database.view() as stores:
            lines = stores.event_lines.of(session_id)
        if not lines:
            raise NoSuchSession(
                f"no events of session {session_id!r} are stored; load its log with --store-events to store them"
            )
        return sorted(dict.fromkeys(lines), key=self._time_of)

    def _time_of(self, line: bytes) -> tuple[datetime, int]:
        decoded = self._event_in(line)
        return (decoded.event.at, decoded.event.fingerprint) if decoded is not None else (MIN_TIME, 0)
