"""Judge a page of open sessions, and write what was decided: late completion and backfill alike."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from snapshots.app.enrich import SnapshotService
from snapshots.app.finding import AddressFinder
from snapshots.app.ports import Stores
from snapshots.app.session_ports import Judged, OpenCase, OpenSession
from snapshots.domain.gap import Gap
from snapshots.domain.snapshot import IpSnapshot


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

    def settle(
        self,
        case: OpenCase,
        stores: Stores,
        *,
        run: str,
        silent_since: datetime,
        now: datetime,
        after: str,
        limit: int,
        is_rehearsal: bool = False,
        writes: bool = True,
    ) -> SettledPage:
        """
        Judge a page of open sessions, and write the verdicts.

        Args:
            case: Which ones.
            stores: The transaction in which it is done.
            run: The run that writes.
            silent_since: A run that was not heard of since then has died.
            now: The present moment.
            after: The place to start behind.
            limit: How many at most.
            is_rehearsal: Whether the transaction will be rolled back.
            writes: Whether the verdicts are written; if not, none counts as lost.

        Raises:
            StoreUnavailable: The database refused.
            SourceUnreadable: A source of facts cannot be read.
        """
        page = stores.open_sessions.page(case, run=run, silent_since=silent_since, after=after, limit=limit)
        judged = self._judged(page.sessions, stores, is_rehearsal=is_rehearsal)
        last = stores.inventory.learned_last()
        settled_at = now if last is None else max(now, last)  # another process may have another clock
        lost = stores.open_sessions.settle(judged, run=run, settled_at=settled_at) if writes else ()
        return SettledPage(last=page.last, judged=judged, lost=lost)

    def _judged(self, sessions: Collection[OpenSession], stores: Stores, *, is_rehearsal: bool) -> list[Judged]:
        found = [self._finder.find(session) for session in sessions]
        sightings = [sighting for sighting in found if not isinstance(sighting, Gap)]
        new = [
            sighting
            for session, sighting in zip(sessions, found, strict=True)
            if not isinstance(sighting, Gap) and sighting.address.text != session.held_ip
        ]
        verdicts = iter(self._service.judge_stored(sightings, stores, new=new, is_rehearsal=is_rehearsal))
        return [
            Judged(session, None, sighting) if isinstance(sighting, Gap) else Judged(session, sighting, next(verdicts))
            for session, sighting in zip(sessions, found, strict=True)
        ]


def verdicts_in(judged: Iterable[Judged]) -> dict[str, int]:
    """Return how many sessions each method sealed, and each gap left open, by the values of both."""
    counts: dict[str, int] = {}
    for _, _, verdict in judged:
        name = f"sealed:{verdict.method.value}" if isinstance(verdict, IpSnapshot) else f"open:{verdict.value}"
        counts[name] = counts.get(name, 0) + 1
    return counts
