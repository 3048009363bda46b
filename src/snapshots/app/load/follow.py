"""Follow logs that are being written, until told to stop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import LogUnreadable, StoreBusy, StoreGone, StoreUnavailable
from snapshots.app.liveness import ProcessLiveness, begin_load
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.dead_letters import RejectedLines
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import LoadObserver
from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import LogSource
from snapshots.app.ports.runs import RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import retry

QUIET = timedelta(hours=1)
"""A session without a connect that said nothing for so long is judged: its connect will not come any more."""

HOUSEKEEPING = 60.0
"""Seconds between two times that quiet sessions are judged, networks are counted and the run is heard of."""

PATIENCE = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before everything is read again from its marks because the database failed; the last is repeated."""

POLL_SECONDS = 0.1


class LogWatch(Protocol):
    """
    Contents that grow, are rotated, truncated and deleted.

    Every implementation passes tests/adapters/cowrie/test_watch.py.
    """

    def changed(self) -> Sequence[LogSource]:
        """
        Return the contents in which there is something new since they were read last, the oldest first.

        Reading one goes on where it was left; a last line that is still being written stays for later.
        """
        ...

    def forget(self) -> None:
        """Let every content be read again from its marks, because what was read could not be stored."""
        ...


class DeltaLoader:
    """
    Loads what is added to logs, as it is added, by the same steps as `BulkLoader`.

    Args:
        database: Where everything is stored.
        loader: Reads and stores.
        service: Gives the snapshots.
        completion: Judges sessions again whose address learned something.
        runtime: Clock, stopwatch, sleep and run names.
        presence: Knows which loads died.
        tell: Tells whoever watches what stands in the way, in a sentence.
    """

    def __init__(
        self,
        database: Database,
        loader: BulkLoader,
        service: SnapshotService,
        completion: LateCompletion,
        *,
        runtime: Runtime,
        presence: ProcessLiveness,
        tell: Callable[[str], None],
    ) -> None:
        self._database = database
        self._loader = loader
        self._service = service
        self._completion = completion
        self._runtime = runtime
        self._presence = presence
        self._tell = tell

    def follow(
        self, watch: LogWatch, observer: LoadObserver, is_stopped: Callable[[], bool], *, every: float = 1.0
    ) -> LoadReport:
        """
        Read what is new again and again.

        While the database is unreachable or locked, also at the start, it waits and then reads on from the stored
        bookmarks.

        Args:
            watch: What to read.
            observer: Is told about each batch.
            is_stopped: Whether to stop; events that were read are stored first.
            every: Seconds between two checks for new data.

        Returns:
            What was done.

        Raises:
            StoreUnavailable: The database refused; whole batches are stored.
            SourceUnreadable: A source of facts failed; likewise.
        """
        run = self._runtime.new_run()
        report = LoadReport(run=run)
        if not self._begin(run, is_stopped):
            return report
        kept_house_at, failures, is_told = self._runtime.stopwatch(), 0, False
        names = set[str]()
        rejected_in: dict[str, RejectedLines] = {}
        try:
            while not is_stopped():
                try:
                    changed = watch.changed()
                    names |= {source.head or source.name for source in changed}
                    for step in self._read(run, changed, observer, rejected_in):
                        report += step
                        if step.lines and is_stopped():
                            break  # the rest is read when it is started again
                    if self._runtime.stopwatch() - kept_house_at >= HOUSEKEEPING:
                        report = self._keep_house(run, report, observer)
                        kept_house_at = self._runtime.stopwatch()
                    if is_told:
                        self._tell("recovered; loading continues")
                    failures, is_told = 0, False
                except (StoreBusy, StoreGone, LogUnreadable) as error:
                    # A file may be rotated between a look and its opening: only what lasts is worth a word.
                    if not is_told and (failures or not isinstance(error, LogUnreadable)):
                        self._tell(f"{error}; retrying until it succeeds")
                        is_told = True
                    watch.forget()
                    rejected_in.clear()  # events that were not stored are read and counted again
                    self._rest(PATIENCE[min(failures, len(PATIENCE) - 1)], is_stopped)
                    failures += 1
                self._rest(every, is_stopped)
        except BaseException as error:
            with suppress(StoreUnavailable):  # the run counts as dead soon, and what ended it is said
                self._end(report, RunState.after(error))
            raise
        retry(partial(self._end, report, RunState.DONE), self._runtime.sleep, self._tell)
        return replace(report, sources=len(names), unchanged=0, empty=0, unfinished=0)

    def _end(self, report: LoadReport, state: RunState) -> None:
        with self._database.transaction() as stores:
            now = self._runtime.now()
            stores.counts.recount_networks(counted_at=now)
            stores.runs.record_progress(report.run, report.counts(), at=now)
            stores.runs.end(report.run, state, at=now)

    def _read(
        self,
        run: str,
        sources: Sequence[LogSource],
        observer: LoadObserver,
        rejected_in: dict[str, RejectedLines],
    ) -> Iterator[LoadReport]:
        """
        Yield a report for each batch.

        Raises:
            LogUnreadable: A source cannot be read; all others were.
        """
        problems: list[str] = []
        for step in self._loader.read(run, sources, observer, rejected_in):
            problems += step.problems
            yield replace(step, problems=())
        if problems:
            raise LogUnreadable(problems[0])

    def _begin(self, run: str, is_stopped: Callable[[], bool]) -> bool:
        """Begin the run once the database is writable; return False if it was stopped before."""
        failures = 0
        while not is_stopped():
            try:
                with self._database.transaction() as stores:
                    begin_load(stores, run, self._presence, at=self._runtime.now())
                    self._service.register_sources(stores)
            except (StoreBusy, StoreGone) as error:
                if not failures:
                    self._tell(f"{error}; retrying until it succeeds")
                self._rest(PATIENCE[min(failures, len(PATIENCE) - 1)], is_stopped)
                failures += 1
            else:
                if failures:
                    self._tell("recovered; loading continues")
                return True
        return False

    def _keep_house(self, run: str, report: LoadReport, observer: LoadObserver) -> LoadReport:
        now = self._runtime.now()
        for step in self._loader.judge_waiting(run, observer, quiet_since=now - QUIET):
            report += step
        with self._database.transaction() as stores:
            stores.counts.recount_networks(counted_at=now)
            stores.runs.record_progress(run, report.counts(), at=now)
            stores.runs.resume(run, at=now)  # one that was silent for long may have been ended by another
        completed = self._completion.complete(by=run).sealed
        return replace(report, completed=report.completed + completed)

    def _rest(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        """Sleep, but wake up soon when told to stop."""
        until = self._runtime.stopwatch() + seconds
        while not is_stopped() and self._runtime.stopwatch() < until:
            self._runtime.sleep(POLL_SECONDS)
