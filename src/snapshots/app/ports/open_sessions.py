"""Ports for stored sessions without a snapshot: find them, and write verdicts on them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_spans import VerdictSpan


class OpenCase(Enum):
    """Reason for which open sessions are selected."""

    NEVER_JUDGED = "never_judged"
    """Another loader wrote them; no verdict was computed so far."""
    UNDONE = "undone"
    """The run that had sealed them was undone."""
    LEARNED = "learned"
    """Facts of their address were stored after their gap was."""
    AGAIN = "again"
    """Another run left them open; an operator wants all verdicts computed again."""


class OpenSession(NamedTuple):
    """
    A session without a snapshot. A tuple, because millions of them are made.

    Attributes:
        session_id: Key of the session.
        sighting: Canonical sighting; None if the row has no valid address.
        stored_ip: Address column as stored, valid or not; None if NULL.
        stored_gap: Gap column as stored; None if no verdict was computed so far.
        has_sighting_time: Whether the row stores the time and the kind of the sighting.
        began_at: Time of the first event; None if unknown.
        has_placeholders: Whether another loader stored placeholders such as "XX" for unknown facts.
        events: Raw events as JSON texts; only for sessions without an address.
        document: Enrichment document of another loader as a JSON text; only for sessions without an address.
    """

    session_id: str
    sighting: Sighting | None
    stored_ip: str | None = None
    stored_gap: str | None = None
    has_sighting_time: bool = True
    began_at: datetime | None = None
    has_placeholders: bool = False
    events: Sequence[str] = ()
    document: str | None = None


class OpenPage(NamedTuple):
    """A page of open sessions. `last` is the cursor of the next page; "" if there is none."""

    sessions: Sequence[OpenSession]
    last: str


class Judged(NamedTuple):
    """
    An open session with its verdict.

    Attributes:
        session: The session.
        sighting: Canonical sighting, from its row or recovered; None if there is none.
        verdict: The snapshot to store, or the reason why there is none.
    """

    session: OpenSession
    sighting: Sighting | None
    verdict: IpSnapshot | Gap

    @property
    def was_found(self) -> bool:
        """Whether the address was recovered from events or a document, not read from the row."""
        return self.sighting is not None and self.session.sighting is None


class PushdownResult(NamedTuple):
    """
    Result of applying staged verdicts inside the store to one page of never judged sessions.

    Attributes:
        last: Cursor after the page.
        size: Number of sessions of the page. Those without a staged verdict stay as they are.
        verdicts: Number of sessions sealed by method, and left open by gap.
        found: Sessions whose address was recovered.
    """

    last: str
    size: int
    verdicts: Counter[Method | Gap]
    found: int


class OpenSessions(Protocol):
    """
    The sessions without a snapshot.

    Every implementation passes tests/contracts/test_open_sessions.py.
    """

    def page(self, case: OpenCase, *, run: str, stale_before: datetime, after: str, limit: int) -> OpenPage:
        """
        Return a page of open sessions. Reading page after page returns each session once.

        Sessions to which another living load may still add events are excluded.

        Args:
            case: Which sessions.
            run: The calling run; sessions that it has judged or quarantined are excluded.
            stale_before: A run without a heartbeat since then counts as dead.
            after: Cursor of the previous page; "" for the first page.
            limit: Maximum number of sessions.
        """
        ...

    def first(self, case: OpenCase, *, run: str, stale_before: datetime, within: KeyRange) -> tuple[str, str] | None:
        """Return cursor and key of the first session of a range that `page` would return, without reading its data."""
        ...

    def count(self, case: OpenCase, *, run: str, stale_before: datetime) -> int:
        """Count the sessions that all pages would return together."""
        ...

    def times_of_unjudged(self) -> tuple[datetime, datetime] | None:
        """
        Return the time of the first and of the last never judged session; None if there is none with a valid time.

        Reads every such session.
        """
        ...

    @property
    def can_apply_staged(self) -> bool:
        """Whether the store can apply staged verdicts: its sessions have a storage order."""
        ...

    def key_ranges(self, count: int) -> Sequence[KeyRange]:
        """Split the never judged sessions into about *count* ranges of similar size in storage order, or fewer."""
        ...

    def may_have_learned(self, *, since: datetime | None) -> bool:
        """
        Return False only if no LEARNED session has an address with facts newer than *since*.

        Args:
            since: A value of `IpInventory.learned_last`; None for any time.
        """
        ...

    def apply_staged(
        self,
        *,
        run: str,
        within: KeyRange,
        limit: int,
        learned_until: datetime | None,
        is_forecast: bool = False,
    ) -> PushdownResult | None:
        """
        Apply the verdicts that a run staged to a page of never judged sessions, inside the store.

        The store may leave any session as it is, but writes only what `page`, `AddressFinder` and `write_verdicts`
        would have written.

        Args:
            run: The run that staged them and that writes.
            within: The range of which the next page is processed.
            limit: Maximum number of sessions of the page.
            learned_until: `IpInventory.learned_last` when the verdicts were computed.
            is_forecast: Only count what would be written.

        Returns:
            None if the range has no more sessions, or if the store has no storage order for so few.
        """
        ...

    def write_verdicts(self, judged: Collection[Judged], *, run: str, written_at: datetime) -> Collection[str]:
        """
        Seal sessions or store their gaps, all in one statement.

        If the row lacks the time of the sighting, or stores another text for the address, the sighting is written
        too, with the run and the previous value. A session that was sealed or whose address or gap changed since it
        was read is left unchanged.

        Args:
            judged: The sessions.
            run: The run that writes.
            written_at: The current time.

        Returns:
            Keys of the sessions that were left unchanged.
        """
        ...


class VerdictSpans(Protocol):
    """
    Staging table of verdict spans, which every connection to the database sees.

    Its rows may be lost: without them a backfill evaluates each session on its own.

    Every implementation passes tests/contracts/test_verdict_spans.py.
    """

    def begin(self, run: str, *, keep: Collection[str]) -> None:
        """Prepare staging for a run: delete its rows, and those of all runs that are not in *keep*."""
        ...

    def encode(self, run: str, spans: Iterable[VerdictSpan]) -> object:
        """Encode spans of a run for `add`, in a form that can be pickled; sends no query."""
        ...

    def add(self, encoded: object) -> None:
        """Stage spans that any connection to the same kind of database encoded."""
        ...

    def has_any(self, run: str) -> bool:
        """Whether a run has staged spans. A crash of the server may delete all of them."""
        ...

    def delete(self, run: str) -> None:
        """Delete the spans of a run, and the table if no other run uses it."""
        ...
