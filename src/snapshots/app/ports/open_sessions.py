"""Port for stored sessions without a snapshot: find them, and write verdicts on them."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol, Self

from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_cache import Verdicts


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

    def without_documents(self) -> Self:
        """Return the session without its events and its document, to free memory after address recovery."""
        return self._replace(events=(), document=None) if self.events or self.document is not None else self


class KeyRange(NamedTuple):
    """A range of sessions in storage order: after *after*, up to and including *until*. "" means no bound."""

    after: str
    until: str


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


class EncodedRows(NamedTuple):
    """
    Verdicts encoded for `write_verdicts` of one kind of store.

    Attributes:
        payload: Opaque payload of the store.
        size: Number of sessions.
        has_placeholders: Whether one of the sessions has placeholders.
    """

    payload: object
    size: int
    has_placeholders: bool


class StagedVerdicts(NamedTuple):
    """
    Verdicts in a staging table, in a form that `copy_staged` of another connection accepts.

    Attributes:
        generation: Generation of the verdict cache, as in `Verdicts`.
        before: Number of earlier verdicts of the generation.
        size: Number of verdicts.
        payload: Opaque payload of the store.
    """

    generation: int
    before: int
    size: int
    payload: object


class PushdownResult(NamedTuple):
    """
    Result of applying cached verdicts inside the store to one page of never judged sessions.

    Attributes:
        last: Cursor after the page.
        left: Sessions of the page that the caller must process; they come first when the page is read again.
        verdicts: Number of sessions sealed by method, and left open by gap.
        found: Sessions whose address was recovered.
    """

    last: str
    left: int
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

    def first(self, case: OpenCase, *, run: str, stale_before: datetime, after: str) -> tuple[str, str] | None:
        """Return cursor and key of the first session that `page` would return, without reading its data."""
        ...

    def count(self, case: OpenCase, *, run: str, stale_before: datetime) -> int:
        """Count the sessions that all pages would return together."""
        ...

    def key_ranges(self, count: int, *, after: str = "") -> Sequence[KeyRange]:
        """Split the never judged sessions after a cursor into about *count* ranges of similar size, or fewer."""
        ...

    def limit_to(self, span: KeyRange) -> None:
        """Restrict NEVER_JUDGED to a range for the rest of this transaction."""
        ...

    def may_have_learned(self, *, since: datetime | None) -> bool:
        """
        Return False only if no LEARNED session has an address with facts newer than *since*.

        Args:
            since: A value of `IpInventory.learned_last`; None for any time.
        """
        ...

    def stage_verdicts(self, verdicts: Verdicts) -> StagedVerdicts:
        """
        Copy cached verdicts that are not staged yet to the staging table that `apply_cached` reads.

        Verdicts that the cache has evicted meanwhile stay staged until their generation ends.

        Returns:
            The newly staged verdicts.
        """
        ...

    def copy_staged(self, staged: Sequence[StagedVerdicts]) -> None:
        """Stage on this connection what `stage_verdicts` returned on another one, in the order of the calls."""
        ...

    def apply_cached(
        self,
        verdicts: Verdicts,
        *,
        run: str,
        after: str,
        limit: int,
        learned_until: datetime | None = None,
    ) -> PushdownResult | None:
        """
        Apply cached verdicts to a page of never judged sessions inside the store, without reading the rows.

        The store may leave any session to the caller, but writes only what `page`, `AddressFinder` and `write_verdicts`
        would have written.

        Args:
            verdicts: The cached verdicts.
            run: The run that writes.
            after: Cursor of the previous page; "" for the first page.
            limit: Maximum number of sessions of the page.
            learned_until: `IpInventory.learned_last` when the verdicts were computed.

        Returns:
            None if the caller must use `page` from here on, because no rows are left or a pushdown does not pay.
        """
        ...

    def encode_verdicts(self, judged: Collection[Judged], *, run: str) -> EncodedRows:
        """Encode verdicts for `write_verdicts` without using the database, so that another thread can do it."""
        ...

    def write_verdicts(
        self,
        judged: Collection[Judged],
        *,
        run: str,
        written_at: datetime,
        prepared: EncodedRows | None = None,
        before_execute: Callable[[], None] = lambda: None,
    ) -> Collection[str]:
        """
        Seal sessions or store their gaps, all in one statement.

        If the row lacks the time of the sighting, or stores another text for the address, the sighting is written
        too, with the run and the previous value. A session that was sealed or whose address or gap changed since it
        was read is left unchanged.

        Args:
            judged: The sessions.
            run: The run that writes.
            written_at: The current time.
            prepared: More sessions, encoded for the same run.
            before_execute: Called just before the UPDATE is sent, so that the caller can prefetch the next page.

        Returns:
            Keys of the sessions that were left unchanged.
        """
        ...
