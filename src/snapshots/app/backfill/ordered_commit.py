"""Process two consecutive batches at a time in two transactions that commit in order."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Event

from snapshots.app.backfill.work import Work, checkpoint_after
from snapshots.app.errors import StoreBusy
from snapshots.app.ports.database import Database, Stores, WriteLock
from snapshots.app.ports.runtime import Clock
from snapshots.domain.errors import SnapshotsError

COMMIT_TIMEOUT = 10.0
"""
Seconds to wait, with an open transaction, for the commit of the preceding batch.

A third transaction may hold a row that the main worker needs and wait for one that is locked here, while this thread
waits in Python for the main worker. The deadlock detector of the server cannot see that cycle.
"""


class _PredecessorRolledBack(Exception):
    """The preceding batch was rolled back, so this one is too."""


class OrderedCommit:
    """
    Processes the batch that follows the main worker's, and commits it after that one.

    So one checkpoint covers both whenever a process is killed.

    Args:
        work: The run.
        stage: The name of the stage.
        process: Processes the batch after a position in an open transaction; returns the position of its last row, ""
            if nothing is left.
        executor: Runs the batch.
        database: The same database as that of the main worker, with a connection of its own.
        clock: Returns the time of heartbeats.
    """

    def __init__(
        self,
        work: Work,
        stage: str,
        process: Callable[[Stores, str], str],
        *,
        executor: Executor,
        database: Database,
        clock: Clock,
    ) -> None:
        self._work = work
        self._stage = stage
        self._process = process
        self._executor = executor
        self._database = database
        self._clock = clock
        self._batch: Future[str] | None = None
        self._commit_allowed = Event()
        self._is_cancelled = False

    def begin(self, after: str) -> None:
        """Start the batch after a position. The transaction of the main worker is still open."""
        self._commit_allowed.clear()
        self._is_cancelled = False
        self._batch = self._executor.submit(self._run, after)

    def commit(self, place: str) -> str:
        """
        Commit the batch that was started, because the main worker committed its own up to a position.

        Returns:
            The position of its last row; the given position if no batch was started or if it failed.
        """
        batch = self._batch
        if batch is None:
            return place
        self._commit_allowed.set()
        self._batch = None
        try:
            return batch.result()
        except SnapshotsError:
            return place  # the main worker meets the same error and handles it

    def roll_back(self) -> None:
        """Roll back the batch that was started, if there is one."""
        self._is_cancelled = True
        self._commit_allowed.set()
        batch, self._batch = self._batch, None
        if batch is not None:
            batch.exception()

    def _run(self, after: str) -> str:
        with self._database.transaction(lock=WriteLock.WORKER) as stores:
            if not self._work.is_owned(stores):
                return after
            last = self._process(stores, after)
            if not self._commit_allowed.wait(COMMIT_TIMEOUT):
                raise StoreBusy("the preceding batch was not committed in time")
            if self._is_cancelled:
                raise _PredecessorRolledBack
            checkpoint = checkpoint_after(self._work, self._stage, last)
            stores.runs.record_progress(self._work.run, None, at=self._clock.now(), checkpoint=checkpoint)
        return last
