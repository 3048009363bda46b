"""Import the sessions and dead letters of a folder into the database."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from snapshots.app.enrich.service import SnapshotService
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.database import Database
from snapshots.app.ports.logs import DeadLetter
from snapshots.app.ports.runtime import Runtime
from snapshots.app.ports.sessions import SessionChange
from snapshots.app.retry import retry
from snapshots.domain.session.summary import SessionSummary


class SessionFolder(Protocol):
    """Sessions and dead letters that a cluster wrote."""

    @property
    def name(self) -> str:
        """Return the path, for messages."""
        ...

    def sessions(self) -> Iterable[Sequence[SessionSummary]]:
        """Yield all sessions in pages, each with all of its fingerprints."""
        ...

    def dead_letters(self) -> Iterable[Sequence[DeadLetter]]:
        """Yield all dead letters in pages."""
        ...


class SessionImport:
    """
    Imports folders, one transaction per page.

    A session is inserted with its snapshot and its fingerprints, and sealed again for the importing run. Its address is
    looked up as in a load, so that the database holds the facts that snapshots refer to; an open session is evaluated
    again. A session that the database already holds stays as it is: its events cannot be merged, because a folder holds
    only their sums. So an interrupted import is completed by repeating it.

    Args:
        database: The target.
        service: Looks up addresses.
        loader: Begins and ends the run.
        runtime: The clock, and the sleep between retries.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        loader: BulkLoader,
        *,
        runtime: Runtime,
    ) -> None:
        self._database = database
        self._service = service
        self._loader = loader
        self._runtime = runtime

    def load(self, folder: SessionFolder) -> LoadReport:
        """
        Import a folder.

        Returns:
            What was stored. Sessions that the database holds with other events are one of its problems.

        Raises:
            StoreUnavailable: The database or the folder failed; whole pages are stored.
        """
        return self._loader.load_by(lambda run: self._pages(run, folder), NoLoadObserver())

    def _pages(self, run: str, folder: SessionFolder) -> Iterable[LoadReport]:
        yield LoadReport(run=run, sources=1)
        differing = 0
        for page in folder.sessions():
            report, count = retry(partial(self._store, run, page), self._runtime.sleep)
            differing += count
            yield report
        for dead_letters in folder.dead_letters():
            new = retry(partial(self._store_dead_letters, run, dead_letters), self._runtime.sleep)
            yield LoadReport(run=run, dead_letters=new, known_dead_letters=len(dead_letters) - new)
        if differing:
            problem = (
                f"{differing:,} sessions of {folder.name} were not imported, because the database holds sessions with"
                " the same IDs and other events; load their logs with `snapshots load`"
            )
            yield LoadReport(run=run, problems=(problem,))

    def _store_dead_letters(self, run: str, dead_letters: Sequence[DeadLetter]) -> int:
        with self._database.transaction() as stores:
            return stores.dead_letters.store_dead_letters(dead_letters, run=run, stored_at=self._runtime.now())

    def _store(self, run: str, page: Sequence[SessionSummary]) -> tuple[LoadReport, int]:
        """Insert the new sessions of a page; also return how many are stored with other events."""
        now = self._runtime.now()
        with self._database.transaction() as stores:
            found = stores.sessions.find_summaries(
                {each.logged_id or each.session_id: each.fingerprints for each in page}
            )
            stored = {each.session_id: each for of_id in found.values() for each in of_id}
            new = self._service.offer([each for each in page if each.session_id not in stored], stores)
            stores.counts.count_sessions([SessionChange(held=None, kept=each) for each in new], seen_at=now)
            stores.sessions.save(new, run=run, saved_at=now)
            stores.runs.resume(run, at=now)
        known = [each for each in page if each.session_id in stored]
        same = [each for each in known if each.fingerprints <= stored[each.session_id].fingerprints]
        report = LoadReport(
            run=run,
            events=sum(each.event_count for each in new),
            repeated=sum(each.event_count for each in same),
            sessions_added=len(new),
            sealed=sum(each.is_sealed for each in new),
            left_open=sum(not each.is_sealed for each in new),
            reused_ids=sum(each.logged_id is not None for each in new),
        )
        return report, len(known) - len(same)
