"""Judge a page of open sessions, and write what was decided: late completion and backfill alike."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from snapshots.app.enrich import SnapshotService
from snapshots.app.finding import AddressFinder
from snapshots.app.ports import Stores
from snapshots.app.session_ports import Judged, OpenCase, OpenSession
from snapshots.domain.gap import Gap
from snapshots.domain.snapshot import IpSnapshot
from snapshots.domain.source_ip import Sighting


class FoundPage(NamedTuple):
    """Some open sessions, where each came from, or why that is not known, and the place to go on behind."""

    sessions: Sequence[OpenSession]
    found: Sequence[Sighting | Gap]
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPage:
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


class Settling:
    """
    Judges open sessions by the one rule, page by page.

    Args:
        service: Gives the snapshots.
        finder: Finds the addresses of sessions whose rows have none.
    """

    def __init__(self, service: SnapshotService, finder: AddressFinder) -> None:
        self._service = service
        self._finder = finder

    def read(
        self, case: OpenCase, stores: Stores, *, run: str, silent_since: datetime, after: str, limit: int
    ) -> FoundPage:
        """
        Read a page of open sessions, and find where each came from.

        Args:
            case: Which ones.
            stores: A transaction; it may be another one than that in which they are settled.
            run: The run that will settle them.
            silent_since: A run that was not heard of since then has died.
            after: The place to start behind.
            limit: How many at most.

        Raises:
            StoreUnavailable: The database refused.
        """
        page = stores.open_sessions.page(case, run=run, silent_since=silent_since, after=after, limit=limit)
        return FoundPage(page.sessions, [self._finder.find(session) for session in page.sessions], page.last)

    def settle(
        self,
        page: FoundPage,
        stores: Stores,
        *,
        run: str,
        now: datetime,
        is_rehearsal: bool = False,
        writes: bool = True,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> SettledPage:
        """
        Judge a page of open sessions, and write the verdicts.

        Args:
            page: As `read` returned it.
            stores: The transaction in which it is done.
            run: The run that writes.
            now: The present moment.
            is_rehearsal: Whether the transaction will be rolled back.
            writes: Whether the verdicts are written; if not, none counts as lost.
            meanwhile: Is called when the rest is the database's work, if it is to write anything.

        Raises:
            StoreUnavailable: The database refused.
            SourceUnreadable: A source of facts cannot be read.
        """
        judged = self._judged(page, stores, is_rehearsal=is_rehearsal)
        last = stores.inventory.learned_last()
        settled_at = now if last is None else max(now, last)  # another process may have another clock
        if not writes:
            return SettledPage(last=page.last, judged=judged, lost=())
        lost = stores.open_sessions.settle(judged, run=run, settled_at=settled_at, meanwhile=meanwhile)
        return SettledPage(last=page.last, judged=judged, lost=lost)

    def forget(self) -> None:
        """Forget what was learned in a transaction that was rolled back."""
        self._service.forget()

    def _judged(self, page: FoundPage, stores: Stores, *, is_rehearsal: bool) -> list[Judged]:
        sightings = [sighting for sighting in page.found if not isinstance(sighting, Gap)]
        verdicts = iter(self._service.judge_stored(sightings, stores, is_rehearsal=is_rehearsal))
        return [
            Judged(session, None, sighting) if isinstance(sighting, Gap) else Judged(session, sighting, next(verdicts))
            for session, sighting in zip(page.sessions, page.found, strict=True)
        ]


def verdicts_in(judged: Iterable[Judged]) -> dict[str, int]:
    """Return how many sessions each method sealed, and each gap left open, by the values of both."""
    counts: dict[str, int] = {}
    for _, _, verdict in judged:
        name = f"sealed:{verdict.method.value}" if isinstance(verdict, IpSnapshot) else f"open:{verdict.value}"
        counts[name] = counts.get(name, 0) + 1
    return counts
