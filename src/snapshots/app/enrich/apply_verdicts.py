"""Judge a page of open sessions, and write what was decided: late completion and backfill alike."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from snapshots.app.enrich.address_recovery import AddressFinder
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import EncodedRows, Judged, OpenCase, OpenSession, PushdownResult, StagedVerdicts
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

V = TypeVar("V")

Tell = Callable[[StagedVerdicts, object, datetime | None], None]
"""Called with the verdicts, the facts they are based on, and their `IpInventory.learned_last`."""


PRECOMPUTED_ADDRESSES = 250
"""Of how many addresses verdicts are reached before the store takes them, so that they are still remembered then."""


class FoundPage(NamedTuple):
    """
    Some open sessions.

    Attributes:
        sessions: The sessions, without what was read of them only to find their addresses.
        found: Where each came from, or why that is not known.
        precomputed: The verdict on each that was foreseen, else None; it may be another by the time it is written.
        prepared: Those of which a verdict is foreseen, ready to be written; None if there are none.
        last: The place to go on behind.
    """

    sessions: Sequence[OpenSession]
    found: Sequence[Sighting | Gap]
    precomputed: Sequence[IpSnapshot | Gap | None]
    prepared: EncodedRows | None
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPage:
    """
    What judging a page of open sessions gave.

    Attributes:
        last: The place to go on behind; "" if there are no more.
        judged: The sessions, each with what was decided.
        lost: Those that were not written, because somebody else sealed or changed them in between.
    """

    last: str
    judged: list[Judged]
    lost: Collection[str]


class VerdictApplier:
    """
    Judges open sessions by the one rule, page by page.

    Args:
        service: Gives the snapshots.
        finder: Finds the addresses of sessions whose rows have none.
    """

    def __init__(self, service: SnapshotService, finder: AddressFinder) -> None:
        self._service = service
        self._finder = finder

    def read_page(
        self,
        case: OpenCase,
        stores: Stores,
        *,
        run: str,
        stale_before: datetime,
        after: str,
        limit: int,
        is_ahead: bool = False,
    ) -> FoundPage:
        """
        Read a page of open sessions, and find where each came from.

        Args:
            case: Which ones.
            stores: A transaction; it may be another one than that in which they are settled.
            run: The run that will settle them.
            stale_before: A run that was not heard of since then has died.
            after: The place to start behind.
            limit: How many at most.
            is_ahead: Whether there is time to foresee verdicts that are remembered, and to make them ready.

        Raises:
            StoreUnavailable: The database refused.
        """
        page = stores.open_sessions.page(case, run=run, stale_before=stale_before, after=after, limit=limit)
        found = [self._finder.find_sighting(session) for session in page.sessions]
        sessions = [session.without_documents() for session in page.sessions]
        if not is_ahead:
            return FoundPage(sessions, found, [None] * len(found), None, page.last)
        precomputed = _each(found, self._service.remembered([each for each in found if not isinstance(each, Gap)]))
        known = [each for each in map(_judged, sessions, found, precomputed) if each is not None]
        return FoundPage(sessions, found, precomputed, stores.open_sessions.encode_verdicts(known, run=run), page.last)

    def apply_verdicts(
        self,
        page: FoundPage,
        stores: Stores,
        *,
        run: str,
        now: datetime,
        is_dry_run: bool = False,
        writes: bool = True,
        before_execute: Callable[[], None] = lambda: None,
    ) -> AppliedPage:
        """
        Judge a page of open sessions, and write the verdicts.

        Args:
            page: As `read` returned it.
            stores: The transaction in which it is done.
            run: The run that writes.
            now: The present moment.
            is_dry_run: Whether the transaction will be rolled back.
            writes: Whether the verdicts are written; if not, none counts as lost.
            before_execute: Is called when the rest is the database's work, if it is to write anything.

        Raises:
            StoreUnavailable: The database refused.
            SourceUnreadable: A source of facts cannot be read.
        """
        sightings = [sighting for sighting in page.found if not isinstance(sighting, Gap)]
        verdicts = _each(page.found, self._service.judge_stored(sightings, stores, is_dry_run=is_dry_run))
        judged = [each for each in map(_judged, page.sessions, page.found, verdicts) if each is not None]
        if not writes:
            return AppliedPage(last=page.last, judged=judged, lost=())
        is_as_foreseen = all(
            was is None or was is verdict for was, verdict in zip(page.precomputed, verdicts, strict=True)
        )
        lost = stores.open_sessions.write_verdicts(
            [each for each, was in zip(judged, page.precomputed, strict=True) if was is None]
            if is_as_foreseen
            else judged,
            run=run,
            written_at=now,
            prepared=page.prepared if is_as_foreseen else None,
            before_execute=before_execute,
        )
        return AppliedPage(last=page.last, judged=judged, lost=lost)

    def can_precompute(self, stores: Stores) -> bool:
        """Whether all verdicts on an address can be reached at once."""
        return self._service.can_precompute(stores)

    def precompute(self, stores: Stores, *, after: str, limit: int, tell: Tell) -> tuple[str, int]:
        """
        Reach all verdicts on a page of addresses before any session of theirs is seen, for the store to settle by.

        Returns:
            The address to go on behind, "" if there are no more, and how many they were.
        """
        self._service.register_sources(stores)  # an address that lacks one of them is judged when it is seen
        addresses = stores.inventory.page_looked_up(after=after, limit=limit)
        learned_until = stores.inventory.learned_last()
        for begin in range(0, len(addresses), PRECOMPUTED_ADDRESSES):
            verdicts = self._service.precompute(addresses[begin : begin + PRECOMPUTED_ADDRESSES], stores)
            tell(stores.open_sessions.stage_verdicts(verdicts), self._service.knowledge, learned_until)
        return (addresses[-1].text if addresses else ""), len(addresses)

    def publish(self, stores: Stores, tell: Tell) -> None:
        """Tell what is remembered at the beginning of a transaction, when it follows from what is stored for good."""
        staged = stores.open_sessions.stage_verdicts(self._service.verdicts(stores))
        tell(staged, self._service.knowledge, stores.inventory.learned_last())

    def apply_cached(self, stores: Stores, *, run: str, after: str, limit: int) -> PushdownResult | None:
        """Let the store settle what it can of a page, as `OpenSessions.settle_remembered` says."""
        verdicts = self._service.verdicts(stores)
        if not verdicts.spans:
            return None
        return stores.open_sessions.apply_cached(
            verdicts,
            run=run,
            learned_until=stores.inventory.learned_last(),
            after=after,
            limit=limit,
        )

    def clear_cache(self) -> None:
        """Forget what was learned in a transaction that was rolled back."""
        self._service.clear_cache()


def _each(found: Sequence[Sighting | Gap], verdicts: Iterable[V]) -> list[Gap | V]:
    """Return the verdicts on sightings, and between them why there was no sighting."""
    following = iter(verdicts)
    return [each if isinstance(each, Gap) else next(following) for each in found]


def _judged(session: OpenSession, found: Sighting | Gap, verdict: IpSnapshot | Gap | None) -> Judged | None:
    """Return a session with its verdict, if there is one."""
    if verdict is None:
        return None
    return Judged(session, None if isinstance(found, Gap) else found, verdict)


def verdicts_in(judged: Iterable[Judged]) -> Counter[str]:
    """Return how many sessions each method sealed, and each gap left open, by the values of both."""
    return verdicts_counted(
        Counter(verdict.method if isinstance(verdict, IpSnapshot) else verdict for _, _, verdict in judged)
    )


def verdicts_counted(verdicts: Counter[Method | Gap]) -> Counter[str]:
    """Return the same counts by names that a run keeps them under."""
    return Counter(
        {f"{'open' if isinstance(each, Gap) else 'sealed'}:{each.value}": count for each, count in verdicts.items()}
    )
