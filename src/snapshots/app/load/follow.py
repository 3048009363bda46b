"""Follow logs that are being written, until stopped."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import LogUnreadable, StoreBusy, StoreGone, StoreUnavailable, TablesOutdated
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
"""A session without an event for this long gets its snapshot without a connect, which is not expected any more."""

HOUSEKEEPING = 60.0
"""Seconds between two rounds that complete quiet sessions, recount networks and record a heartbeat."""

RESTART_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before contents are read again from their bookmarks after the database failed; the last one repeats."""

POLL_SECONDS = 0.1

TRANSIENT = (StoreBusy, StoreGone, TablesOutdated)
"""Errors of the database after which following is retried without a limit."""


class LogWatch(Protocol):
    """
    Contents that grow, are rotated, truncated and deleted.

    Every implementation passes tests/adapters/cowrie/test_watch.py.
    """

    def changed(self) -> Sequence[LogSource]:
        """
        Return the contents with new data since the previous call, the oldest first.

        Reading a content continues where it stopped; an incomplete last line is left for the next call.
        """
        ...

    def forget(self) -> None:
        """Read every content again from its bookmark, because events that were read could not be stored."""
        ...


class DeltaLoader:
    """
    Loads lines as they are appended to logs, by the same steps as `BulkLoader`.

    Args:
        database: The database.
        loader: Reads and stores batches.
        service: Registers the fact sources.
        completion: Completes open sessions whose address has new facts.
        runtime: Clock, stopwatch, sleep and run names.
        liveness: Detects loads whose process has ended.
        warn: Called with one sentence when loading is blocked, and when it continues.
    """

    def __init__(
        self,
        database: Database,
        loader: BulkLoader,
        service: SnapshotService,
        completion: LateCompletion,
        *,
        runtime: Runtime,
        liveness: ProcessLiveness,
        warn: Callable[[str], None],
    ) -> None:
        self._database = database
        self._loader = loader
        self._service = service
        self._completion = completion
        self._runtime = runtime
        self._liveness = liveness
        self._warn = warn

    def follow(
        self, watch: LogWatch, observer: LoadObserver, is_stopped: Callable[[], bool], *, every: float = 1.0
    ) -> LoadReport:
        """
        Poll for new data and load it until stopped.

        While the database is unreachable or locked, or its tables have an older version, also at the start, the loader
        waits, and then continues from the stored bookmarks.

        Args:
            watch: Finds contents with new data.
            observer: Receives the progress.
            is_stopped: Whether to stop; events that were read are stored first.
            every: Seconds between two polls.

        Returns:
            Counts of the load.

        Raises:
            StoreUnavailable: The database refused; complete batches are stored.
            SourceUnreadable: A fact source failed; complete batches are stored.
        """
        run = self._runtime.new_run()
        report = LoadReport(run=run)
        if not self._begin(run, is_stopped):
            return report
        maintained_at, failures, is_warned = self._runtime.stopwatch(), 0, False
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
                    if self._runtime.stopwatch() - maintained_at >= HOUSEKEEPING:
                        report = self._maintain(run, report, observer)
                        maintained_at = self._runtime.stopwatch()
                    if is_warned:
                        self._warn("recovered; loading continues")
                    failures, is_warned = 0, False
                except (*TRANSIENT, LogUnreadable) as error:
                    # A file may be rotated between a poll and its opening, so only a repeated error is reported.
                    if not is_warned and (failures or not isinstance(error, LogUnreadable)):
                        self._warn(f"{error}; retrying until it succeeds")
                        is_warned = True
                    watch.forget()
                    rejected_in.clear()  # events that were not stored are read and counted again
                    self._rest(RESTART_BACKOFF[min(failures, len(RESTART_BACKOFF) - 1)], is_stopped)
                    failures += 1
                self._rest(every, is_stopped)
        except BaseException as error:
            with suppress(StoreUnavailable):  # the run soon counts as dead, and the original error is raised
                self._end(report, RunState.after(error))
            raise
        retry(partial(self._end, report, RunState.DONE), self._runtime.sleep, self._warn)
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
                    begin_load(stores, run, self._liveness, at=self._runtime.now())
                    self._service.register_sources(stores)
            except TRANSIENT as error:
                if not failures:
                    self._warn(f"{error}; retrying until it succeeds")
                self._rest(RESTART_BACKOFF[min(failures, len(RESTART_BACKOFF) - 1)], is_stopped)
                failures += 1
            else:
                if failures:
                    self._warn("recovered; loading continues")
                return True
        return False

    def _maintain(self, run: str, report: LoadReport, observer: LoadObserver) -> LoadReport:
        now = self._runtime.now()
        for step in self._loader.judge_waiting(run, observer, quiet_since=now - QUIET):
            report += step
        with self._database.transaction() as stores:
            stores.counts.recount_networks(counted_at=now)
            stores.runs.record_progress(run, report.counts(), at=now)
            stores.runs.resume(run, at=now)  # another process may have ended it for lack of a heartbeat
        completed = self._completion.complete(by=run).sealed
        return replace(report, completed=report.completed + completed)

    def _rest(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        """Sleep in short steps, and return early when stopped."""
        until = self._runtime.stopwatch() + seconds
        while not is_stopped() and self._runtime.stopwatch() < until:
            self._runtime.sleep(POLL_SECONDS)
