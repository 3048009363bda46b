"""Two batches of a stage at a time: the far end does the one behind that of the near end, and commits it after that."""

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
Seconds for which the far end waits for the near one, with its transaction open.

Somebody who holds rows that the near end waits for may wait for those of the far end: no database sees that circle.
"""


class _PredecessorRolledBack(Exception):
    """The batch of the near end was not stored, so this one is not either."""


class OrderedCommit:
    """
    The batches that the far end does of one stage.

    Each is stored only when the one before it is: so there is one place up to which all is done, whenever anybody
    is killed.

    Args:
        work: The backfill.
        stage: The name of the stage.
        process: Does a batch behind a place, within a transaction, and returns the place behind it; "" if nothing is left.
        executor: Where it works.
        database: The same as that of the near end, by another connection.
        clock: Tells when something was done.
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
        """Begin the batch behind that of the near end, of which the transaction is still open."""
        self._commit_allowed.clear()
        self._is_cancelled = False
        self._batch = self._executor.submit(self._run, after)

    def commit(self, place: str) -> str:
        """
        Store the batch that was begun, because the near end stored its own up to a place.

        Returns:
            The place behind it, or that of the near end if there is no such batch, or if it could not be done.
        """
        batch = self._batch
        if batch is None:
            return place
        self._commit_allowed.set()
        self._batch = None
        try:
            return batch.result()
        except SnapshotsError:
            return place  # the near end meets it too, and deals with it

    def roll_back(self) -> None:
        """Take back the batch that was begun, if there is one."""
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
                raise StoreBusy("the batch before is not done yet")
            if self._is_cancelled:
                raise _PredecessorRolledBack
            checkpoint = checkpoint_after(self._work, self._stage, last)
            stores.runs.record_progress(self._work.run, None, at=self._clock.now(), checkpoint=checkpoint)
        return last
