"""What use cases need to find and store sessions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapshots.domain.session.summary import SessionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """A session as it is stored, None if it is new, and as it will be."""

    held: SessionSummary | None
    kept: SessionSummary


class SessionStore(Protocol):
    """
    The sessions, one row each.

    Every implementation passes tests/contracts/test_session_store.py.
    """

    def find_summaries(self, events: Mapping[str, Collection[int]]) -> Mapping[str, Sequence[SessionSummary]]:
        """
        Return every session stored under each id of the log; an id without a session is absent.

        Args:
            events: Fingerprints of events by the id in the log. The returned sessions contain all of these that are
                stored, but may lack other stored ones; `save` deletes none.
        """
        ...

    def save(self, summaries: Collection[SessionSummary], *, run: str, saved_at: datetime) -> None:
        """
        Store each summary as it is, but for one rule: a held snapshot and its sighting stay whole.

        Args:
            summaries: Each session at most once.
            run: The run that writes.
            saved_at: The present moment.
        """
        ...

    def find_waiting(
        self, *, run: str, stale_before: datetime, after: str, limit: int, quiet_since: datetime | None = None
    ) -> Sequence[SessionSummary]:
        """
        Return open sessions without a connect that wait to be judged, in the order of their names.

        Those that another run has left waiting and may still read more of are not among them.

        Args:
            run: The run that asks.
            stale_before: A run that was not heard of since then has died.
            after: The name to start behind; "" for the first page.
            limit: How many at most.
            quiet_since: Only those whose last event was before; None for all.
        """
        ...
