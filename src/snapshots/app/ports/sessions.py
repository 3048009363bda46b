"""Port for stored sessions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary


class SessionChange(NamedTuple):
    """A session as it is stored (None if it is new) and as it will be stored; a tuple, because one is made for each."""

    held: SessionSummary | None
    kept: SessionSummary | NewSession


class SessionStore(Protocol):
    """
    The sessions, one row each.

    Every implementation passes tests/contracts/test_session_store.py.
    """

    def find_summaries(self, events: Mapping[str, Collection[int]]) -> Mapping[str, Sequence[SessionSummary]]:
        """
        Return the sessions stored under each logged id; an id without a session is absent.

        Args:
            events: Fingerprints of events by logged id. A returned session contains those of them that are stored,
                but may lack other stored fingerprints; `save` deletes none.
        """
        ...

    def save(self, sessions: Collection[SessionSummary | NewSession], *, run: str, saved_at: datetime) -> None:
        """
        Store sessions. A snapshot that is already stored stays unchanged, together with its sighting.

        Login attempts are added to the stored ones.

        Args:
            sessions: Each session at most once.
            run: The run that writes.
            saved_at: The current time.
        """
        ...

    def logins_of(self, names: Collection[str]) -> Mapping[str, Sequence[StoredLogin]]:
        """Return the login attempts of sessions, the most frequent credentials first; one without any is absent."""
        ...

    def find_waiting(
        self, *, run: str, stale_before: datetime, after: str, limit: int, quiet_since: datetime | None = None
    ) -> Sequence[SessionSummary]:
        """
        Return sessions that await their connect, in the order of their keys.

        Sessions to which another living load may still add events are excluded.

        Args:
            run: The calling run.
            stale_before: A run without a heartbeat since then counts as dead.
            after: Last key of the previous page; "" for the first page.
            limit: Maximum number of sessions.
            quiet_since: Only sessions whose last event was earlier; None for all.
        """
        ...
