"""Write sessions with their snapshots: those of a batch, and those that waited for their connect."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from snapshots.app.enrich.service import SnapshotService
from snapshots.app.load.batch import Batch, LoadReport
from snapshots.app.load.logged_session import FingerprintsById
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT
from snapshots.app.ports.runtime import Clock
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.snapshot import Method

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPage:
    """
    Sessions without a connect that were evaluated in one transaction.

    Attributes:
        report: What they received.
        last: The greatest session ID; the next page begins after it.
    """

    report: LoadReport
    last: str


class SessionWriter:
    """
    Writes sessions of a load, one transaction per call. A call may be repeated: an event that is stored is not new.

    Args:
        database: The database.
        service: Computes the snapshots.
        clock: The times at which rows are written.
    """

    def __init__(self, database: Database, service: SnapshotService, clock: Clock) -> None:
        self._database = database
        self._service = service
        self._clock = clock

    def store(self, run: str, batch: Batch) -> LoadReport:
        """
        Store a batch: its sessions, event lines, dead letters and bookmarks. Sessions without a connect stay open.

        Raises:
            StoreUnavailable: The database failed; nothing of the batch is stored.
            SourceUnreadable: A fact source failed; likewise.
        """
        now = self._clock.now()
        with self._database.transaction() as stores:
            held = stores.sessions.find_summaries(FingerprintsById(batch.pending))
            apart = [
                (logged_id, session)
                for logged_id, logged in batch.pending.items()
                for session in logged.sessions(held.get(logged_id, ()))
            ]
            new = [session for _, session in apart]
            offered = [summary.awaiting_connect() for summary in self._service.offer(new, stores)]
            by_name = {summary.session_id: summary for found in held.values() for summary in found}
            changes = [_change(by_name, summary) for summary in offered]
            self._save(stores, changes, run)
            if batch.texts:
                stores.event_lines.store_lines([batch.lines_of(*session) for session in apart], run=run)
            dead_letters = stores.dead_letters.store_dead_letters(batch.dead_letters, run=run, stored_at=now)
            stores.bookmarks.put(batch.bookmarks, run=run, stored_at=now)
            stores.runs.resume(run, at=now)  # another process may have ended it for lack of a heartbeat
        events, added = sum([each.event_count for each in new]), sum([change.held is None for change in changes])
        sealed = _newly_sealed(changes)
        return LoadReport(
            run=run,
            lines=batch.lines,
            events=events,
            repeated=batch.events - events,
            sessions_added=added,
            sessions_changed=len(changes) - added,
            sealed=len(sealed),
            inferred=_inferred(sealed),
            latest_attack=_latest_attack(sealed),
            left_open=sum(not c.kept.is_sealed and not c.kept.waits_for_connect for c in changes),
            dead_letters=dead_letters,
            known_dead_letters=len(batch.dead_letters) - dead_letters,
            reused_ids=sum(c.held is None and c.kept.logged_id is not None for c in changes),
            late_sightings=sum(
                isinstance(session, SessionSummary) and c.held is not None and session.is_too_late_for(c.held)
                for c, session in zip(changes, offered, strict=True)
            ),
        )

    def judge_page(self, run: str, after: str, quiet_since: datetime | None) -> JudgedPage | None:
        """
        Evaluate a page of sessions without a connect, including those of interrupted runs.

        Args:
            run: The run that writes.
            after: The last session ID of the previous page; "" for the first page.
            quiet_since: Only sessions whose last event was earlier; None for all.

        Returns:
            The page; None if no session is left.
        """
        with self._database.transaction() as stores:
            stale_before = self._clock.now() - HEARTBEAT_TIMEOUT
            waiting = stores.sessions.find_waiting(
                run=run, stale_before=stale_before, after=after, limit=PAGE, quiet_since=quiet_since
            )
            judged = self._service.offer(waiting, stores)
            changes = [SessionChange(held=h, kept=k) for h, k in zip(waiting, judged, strict=True)]
            self._save(stores, changes, run)
        if not changes:
            return None
        sealed = _newly_sealed(changes)
        report = LoadReport(
            run=run,
            sealed=len(sealed),
            inferred=_inferred(sealed),
            latest_attack=_latest_attack(sealed),
            left_open=len(changes) - len(sealed),
        )
        return JudgedPage(report=report, last=changes[-1].kept.session_id)

    def _save(self, stores: Stores, changes: list[SessionChange], run: str) -> None:
        now = self._clock.now()
        stores.counts.count_sessions(changes, seen_at=now)
        stores.sessions.save([change.kept for change in changes], run=run, saved_at=now)


def _change(held: Mapping[str, SessionSummary], offered: SessionSummary | NewSession) -> SessionChange:
    if isinstance(offered, NewSession) or (found := held.get(offered.session_id)) is None:
        return SessionChange(held=None, kept=offered)
    return SessionChange(held=found, kept=found.merge(offered))


def _newly_sealed(changes: Iterable[SessionChange]) -> Sequence[SessionSummary | NewSession]:
    return [kept for held, kept in changes if kept.is_sealed and not (held is not None and held.is_sealed)]


def _inferred(sealed: Iterable[SessionSummary | NewSession]) -> int:
    return sum([each.snapshot is not None and each.snapshot.method is Method.INFERRED for each in sealed])


def _latest_attack(sealed: Iterable[SessionSummary | NewSession]) -> datetime | None:
    return max((each.sighting.seen_at for each in sealed if each.sighting is not None), default=None)
