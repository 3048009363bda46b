"""Compute and write the verdicts on a page of open sessions, for late completion and backfill."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from snapshots.app.enrich.address_recovery import AddressFinder
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import Judged, OpenCase
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method


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

    @property
    def written(self) -> list[Judged]:
        """Return the sessions whose verdict was written, or would be."""
        return [each for each in self.judged if each.session.session_id not in self.lost]

    @property
    def counts(self) -> Counter[str]:
        """Return the results, by the names of a run's counts."""
        written = self.written
        verdicts = Counter(v.method if isinstance(v, IpSnapshot) else v for _, _, v in written)
        return verdicts_counted(verdicts) + Counter(
            judged=len(self.judged), lost=len(self.lost), found=sum(each.was_found for each in written)
        )


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

    def apply_page(
        self,
        case: OpenCase,
        stores: Stores,
        *,
        run: str,
        now: datetime,
        after: str,
        limit: int,
        is_dry_run: bool = False,
        writes: bool = True,
    ) -> AppliedPage:
        """
        Read a page of open sessions, recover missing addresses, and compute and write the verdicts.

        Args:
            case: Which sessions.
            stores: The transaction.
            run: The run that writes.
            now: The current time.
            after: Cursor of the previous page.
            limit: Maximum number of sessions.
            is_dry_run: Whether the transaction will be rolled back.
            writes: Whether the verdicts are written; if not, no session counts as lost.

        Raises:
            StoreUnavailable: The database refused.
            SourceUnreadable: A fact source cannot be read.
        """
        stale_before = now - HEARTBEAT_TIMEOUT
        page = stores.open_sessions.page(case, run=run, stale_before=stale_before, after=after, limit=limit)
        found = [(session, self._finder.find_sighting(session)) for session in page.sessions]
        sightings = [sighting for _, sighting in found if not isinstance(sighting, Gap)]
        verdicts = iter(self._service.judge_stored(sightings, stores, is_dry_run=is_dry_run))
        judged = [
            Judged(session, None, sighting) if isinstance(sighting, Gap) else Judged(session, sighting, next(verdicts))
            for session, sighting in found
        ]
        lost = stores.open_sessions.write_verdicts(judged, run=run, written_at=now) if writes else ()
        return AppliedPage(last=page.last, judged=judged, lost=lost)

    def clear_cache(self) -> None:
        """Clear the verdict cache after a transaction was rolled back."""
        self._service.clear_cache()


def verdicts_counted(verdicts: Counter[Method | Gap]) -> Counter[str]:
    """Return the number of sessions sealed by method and left open by gap, under the names that a run stores."""
    return Counter(
        {f"{'open' if isinstance(each, Gap) else 'sealed'}:{each.value}": count for each, count in verdicts.items()}
    )
