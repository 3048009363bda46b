"""What use cases need to write verdicts on stored sessions without a snapshot."""

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
    """Why open sessions are to be judged."""

    NEVER_JUDGED = "never_judged"
    """Another loader wrote them, and nobody looked at them since."""
    UNDONE = "undone"
    """A run that had sealed them was undone."""
    LEARNED = "learned"
    """Their address learned something since their gap was judged."""
    AGAIN = "again"
    """They were judged, by another run; an operator wants it again."""


class OpenSession(NamedTuple):
    """
    A session without a snapshot. There is one for each row that is judged.

    Attributes:
        session_id: Its name.
        sighting: Its canonical sighting; None if its row names no address.
        stored_ip: What its row holds for an address, in whatever form; None if nothing.
        stored_gap: What its row holds for the reason why it is open; None if nobody judged it.
        has_sighting_time: Whether its row says when and by what the address was seen.
        began_at: Its first event's time, as far as it is known; None if no time is.
        has_placeholders: Whether its row holds what another loader wrote for facts that it did not know.
        events: What a table of raw events holds of it, as JSON texts; only of sessions without an address.
        document: What another loader's enrichment wrote of it, as a JSON text; likewise.
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
        """Return the session without what is large of it, once its address was looked for."""
        return self._replace(events=(), document=None) if self.events or self.document is not None else self


class KeyRange(NamedTuple):
    """Where some sessions lie: behind a place, and up to another; "" is before the first, and behind the last."""

    after: str
    until: str


class OpenPage(NamedTuple):
    """Some open sessions, and the place to go on behind; "" if there are no more."""

    sessions: Sequence[OpenSession]
    last: str


class Judged(NamedTuple):
    """
    An open session, and what was decided of it. There is one for each session.

    Attributes:
        session: The session.
        sighting: Its canonical sighting, from its row or from elsewhere; None if there is none.
        verdict: The snapshot that it gets, or why it gets none.
    """

    session: OpenSession
    sighting: Sighting | None
    verdict: IpSnapshot | Gap

    @property
    def was_found(self) -> bool:
        """Whether the address stands elsewhere than in the session's row."""
        return self.sighting is not None and self.session.sighting is None


class EncodedRows(NamedTuple):
    """
    Verdicts in the form in which a store takes them.

    Attributes:
        form: What it takes; only for the kind of store that made it.
        size: How many.
        has_placeholders: Whether a row among them holds what another loader wrote for facts that it did not know.
    """

    form: object
    size: int
    has_placeholders: bool


class StagedVerdicts(NamedTuple):
    """
    Verdicts that a store has beside its sessions, in the form in which another transaction takes them too.

    Attributes:
        generation: As of `Verdicts`.
        before: How many of the generation came before these.
        size: How many they are.
        form: What it takes; only for the kind of store that made it.
    """

    generation: int
    before: int
    size: int
    form: object


class PushdownResult(NamedTuple):
    """
    What the store settled of a page of sessions that nobody judged, because their verdicts were remembered.

    Attributes:
        last: The place to go on behind, with what is left of the page or without.
        left: How many of the page are left for the program to judge; they are the next ones behind the page's start.
        verdicts: How many sessions each method sealed, and each gap left open.
        found: Those whose address stood elsewhere than in their row.
    """

    last: str
    left: int
    verdicts: Counter[Method | Gap]
    found: int


class OpenSessions(Protocol):
    """
    The sessions without a snapshot, to be judged.

    Every implementation passes tests/contracts/test_open_sessions.py.
    """

    def page(self, case: OpenCase, *, run: str, stale_before: datetime, after: str, limit: int) -> OpenPage:
        """
        Return some of the open sessions of a case, each once if they are asked for one page after the other.

        Sessions that another run at work may still read more of are not among them.

        Args:
            case: Why they are to be judged.
            run: The run that asks; what it judged or set aside itself is not among them.
            stale_before: A run that was not heard of since then has died.
            after: The place to start behind, as the page before told it; "" for the first page.
            limit: How many at most.
        """
        ...

    def first(self, case: OpenCase, *, run: str, stale_before: datetime, after: str) -> tuple[str, str] | None:
        """Return the place and the name of the first session that `page` would return, reading nothing else of it."""
        ...

    def count(self, case: OpenCase, *, run: str, stale_before: datetime) -> int:
        """Count what `page` would return in all."""
        ...

    def key_ranges(self, count: int, *, after: str = "") -> Sequence[KeyRange]:
        """Return spans that hold all sessions behind a place that nobody judged, about so many; maybe fewer."""
        ...

    def limit_to(self, span: KeyRange) -> None:
        """Let there be no sessions that nobody judged but those of a span, in this transaction."""
        ...

    def may_have_learned(self, *, since: datetime | None) -> bool:
        """
        Whether there may be LEARNED sessions whose addresses have facts newer than *since*.

        Args:
            since: A value of `IpInventory.learned_last`; None for the beginning.
        """
        ...

    def stage_verdicts(self, verdicts: Verdicts) -> StagedVerdicts:
        """
        Make ready for `apply_cached` what came to be remembered: more may come, and the oldest may be gone.

        Returns:
            What was not ready before.
        """
        ...

    def copy_staged(self, staged: Sequence[StagedVerdicts]) -> None:
        """Make ready what `stage_verdicts` returned, one after the other, in transactions of another connection."""
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
        Settle those sessions of a page that nobody judged of which the verdict is remembered, without reading them.

        The store may leave any session to the caller, but writes only what `page`, `AddressFinder` and `write_verdicts`
        would have written.

        Args:
            verdicts: What is remembered.
            run: The run that writes.
            after: The place to start behind; "" for the first page.
            limit: How many sessions the page has at most.
            learned_until: The newest learned_at when the verdicts were reached.

        Returns:
            None if `page` is to be asked from here on: there are no more, or it is not worth it.
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
        Seal sessions or write why they stay open, all in one statement.

        Where the row did not say when its address was seen, or held another text for it, the sighting is written
        too, with the run and what stood there before. A session that is sealed by now, or holds another address or
        reason than when it was read, is left as it is.

        Args:
            judged: The sessions.
            run: The run that writes.
            written_at: The present moment.
            prepared: More sessions, which were prepared for the same run.
            before_execute: Is called when the rest is the database's work, to begin something else in another thread.

        Returns:
            The names of those that were left as they are.
        """
        ...
