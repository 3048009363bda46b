"""Give back the events of a session as the honeypot wrote them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from snapshots.app.errors import NoSuchSession
from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import LogEvent

MIN_TIME = datetime.min.replace(tzinfo=UTC)
"""Where a line stands that this version cannot read."""


class StoredEvents:
    """
    The lines of sessions that were loaded with them.

    Args:
        database: Where they are.
        event_in: Reads an event from a line; None if it is none.
    """

    def __init__(self, database: Database, event_in: Callable[[bytes], LogEvent | None]) -> None:
        self._database = database
        self._event_in = event_in

    def of(self, session_id: str) -> Sequence[bytes]:
        """
        Return the lines of a session, each once, in the order of time.

        Raises:
            NoSuchSession: No line of it was kept.
            StoreUnavailable: The database failed, or what it holds is damaged.
        """
        with self._database.view() as stores:
            lines = stores.event_lines.of(session_id)
        if not lines:
            raise NoSuchSession(
                f"no events of session {session_id!r} are stored; load its log with --store-events to store them"
            )
        return sorted(dict.fromkeys(lines), key=self._time_of)

    def _time_of(self, line: bytes) -> tuple[datetime, int]:
        said = self._event_in(line)
        return (said.event.at, said.event.fingerprint) if said is not None else (MIN_TIME, 0)
