"""Compute and write the verdicts on a page of open sessions, for late completion and backfill."""

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

OnStaged = Callable[[StagedVerdicts, object, datetime | None], None]
"""Called with the verdicts, the facts they are based on, and their `IpInventory.learned_last`."""


PRECOMPUTED_ADDRESSES = 250
"""Addresses per chunk: verdicts are staged after each chunk, before the cache can evict them."""


class FoundPage(NamedTuple):
    """
    A page of open sessions with their sightings.

    Attributes:
        sessions: The sessions, without their events and documents.
        found: Sighting of each session, or the gap if it has none.
        precomputed: Cached verdict on each session, or None; it may be stale when the page is written.
        prepared: The sessions with a cached verdict, encoded for the store; None if there are none.
        last: Cursor of the next page.
    """

    sessions: Sequence[OpenSession]
    found: Sequence[Sighting | Gap]
    precomputed: Sequence[IpSnapshot | Gap | None]
    prepared: EncodedRows | None
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPage:
    """
    Result of applying verdicts to a page of open sessions.

    Attributes:
        last: Cursor of the next page; "" if there is none.
        judged: The sessions with their verdicts.
        lost: Keys of sessions that were not written, because another process changed them meanwhile.
    """

    last: str
    judged: list[Judged]
    lost: Collection[str]


class VerdictApplier:
    """
    Computes and writes verdicts on open sessions, page by page.

    Args:
        service: Computes the verdicts.
        finder: Recovers addresses of sessions whose rows have none.
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
        Read a page of open sessions, and recover missing addresses.

        Args:
            case: Which sessions.
            stores: A transaction; may differ from the one in which the verdicts are written.
            run: The run that will write the verdicts.
            stale_before: A run without a heartbeat since then counts as dead.
            after: Cursor of the previous page.
            limit: Maximum number of sessions.
            is_ahead: Whether the page is prefetched; then cached verdicts are encoded already.

        Raises:
            StoreUnavailable: The database refused.
        """
        page = stores.open_sessions.page(case, run=run, stale_before=stale_before, after=after, limit=limit)
        found = [self._finder.find_sighting(session) for session in page.sessions]
        sessions = [session.without_documents() for session in page.sessions]
        if not is_ahead:
            return FoundPage(sessions, found, [None] * len(found), None, page.last)
        precomputed = _each(found, self._service.cached([each for each in found if not isinstance(each, Gap)]))
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
        Compute the verdicts on a page of open sessions, and write them.

        Args:
            page: A page from `read_page`.
            stores: The transaction.
            run: The run that writes.
            now: The current time.
            is_dry_run: Whether the transaction will be rolled back.
            writes: Whether the verdicts are written; if not, no session counts as lost.
            before_execute: Called just before the UPDATE is sent, if verdicts are written.

        Raises:
            StoreUnavailable: The database refused.
            SourceUnreadable: A fact source cannot be read.
        """
        sightings = [sighting for sighting in page.found if not isinstance(sighting, Gap)]
        verdicts = _each(page.found, self._service.judge_stored(sightings, stores, is_dry_run=is_dry_run))
        judged = [each for each in map(_judged, page.sessions, page.found, verdicts) if each is not None]
        if not writes:
            return AppliedPage(last=page.last, judged=judged, lost=())
        are_cached_valid = all(
            was is None or was is verdict for was, verdict in zip(page.precomputed, verdicts, strict=True)
        )
        lost = stores.open_sessions.write_verdicts(
            [each for each, was in zip(judged, page.precomputed, strict=True) if was is None]
            if are_cached_valid
            else judged,
            run=run,
            written_at=now,
            prepared=page.prepared if are_cached_valid else None,
            before_execute=before_execute,
        )
        return AppliedPage(last=page.last, judged=judged, lost=lost)

    def can_precompute(self, stores: Stores) -> bool:
        """Whether all verdicts on an address can be computed at once."""
        return self._service.can_precompute(stores)

    def precompute(self, stores: Stores, *, after: str, limit: int, on_staged: OnStaged) -> tuple[str, int]:
        """
        Compute and stage all verdicts on a page of addresses, before their sessions are read.

        Returns:
            The last address, "" if there was none, and the number of addresses.
        """
        self._service.register_sources(stores)  # an address that lacks one of them is looked up with its sessions
        addresses = stores.inventory.page_looked_up(after=after, limit=limit)
        learned_until = stores.inventory.learned_last()
        for begin in range(0, len(addresses), PRECOMPUTED_ADDRESSES):
            verdicts = self._service.precompute(addresses[begin : begin + PRECOMPUTED_ADDRESSES], stores)
            on_staged(stores.open_sessions.stage_verdicts(verdicts), self._service.knowledge, learned_until)
        return (addresses[-1].text if addresses else ""), len(addresses)

    def publish(self, stores: Stores, on_staged: OnStaged) -> None:
        """Stage the cached verdicts; only valid at the start of a transaction, before it stores new facts."""
        staged = stores.open_sessions.stage_verdicts(self._service.verdicts(stores))
        on_staged(staged, self._service.knowledge, stores.inventory.learned_last())

    def apply_cached(self, stores: Stores, *, run: str, after: str, limit: int) -> PushdownResult | None:
        """Apply cached verdicts to a page inside the store; see `OpenSessions.apply_cached`."""
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
        """Clear the verdict cache after a transaction was rolled back."""
        self._service.clear_cache()


def _each(found: Sequence[Sighting | Gap], verdicts: Iterable[V]) -> list[Gap | V]:
    """Merge verdicts on sightings with the gaps of sessions without a sighting, in page order."""
    following = iter(verdicts)
    return [each if isinstance(each, Gap) else next(following) for each in found]


def _judged(session: OpenSession, found: Sighting | Gap, verdict: IpSnapshot | Gap | None) -> Judged | None:
    """Return a session with its verdict; None without a verdict."""
    if verdict is None:
        return None
    return Judged(session, None if isinstance(found, Gap) else found, verdict)


def verdicts_in(judged: Iterable[Judged]) -> Counter[str]:
    """Count sessions by "sealed:METHOD" and "open:GAP"."""
    return verdicts_counted(
        Counter(verdict.method if isinstance(verdict, IpSnapshot) else verdict for _, _, verdict in judged)
    )


def verdicts_counted(verdicts: Counter[Method | Gap]) -> Counter[str]:
    """Return the counts under the names that a run stores."""
    return Counter(
        {f"{'open' if isinstance(each, Gap) else 'sealed'}:{each.value}": count for each, count in verdicts.items()}
    )
