"""Execute a run in batches, with retries, throttling, quarantine and checkpoints."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import TypeVar

from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.work import BatchResult, Stage, Work, checkpoint_after
from snapshots.app.errors import RunTaken, StoreBusy, StoreGone, StoreReplaced, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import Database, Health
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import retry

T = TypeVar("T")

POLL_SECONDS = 0.1
"""Interval in seconds at which a pause checks for a stop request."""

SHRINK_FACTOR = 8
"""Divisor for the size of a batch that the database refused, until the refused row is alone in its batch."""

HEALTH_BACKOFF = (1.0, 2.0, 5.0, 10.0)
"""Seconds between health checks of a database in trouble; the last value repeats."""


class BatchRunner:
    """
    Executes the stages of a run, one transaction per batch, which also stores the checkpoint.

    Args:
        database: The database.
        health: Reports replication lag, lock waits and long transactions.
        runtime: Clock, stopwatch and sleep.
    """

    def __init__(
        self,
        database: Database,
        health: Health,
        *,
        runtime: Runtime,
    ) -> None:
        self._database = database
        self._health = health
        self._runtime = runtime

    def run_stages(self, work: Work, observer: BackfillObserver, is_stopped: Callable[[], bool]) -> bool:
        """
        Execute the stages of a run from its checkpoint.

        Returns:
            True if the run is complete; False if it was stopped and can be resumed.

        Raises:
            RunTaken: Another process took the run over or ended it.
            StoreUnavailable: The database failed; committed batches are kept.
            SourceUnreadable: A data source cannot be read; committed batches are kept.
        """
        begun = json.loads(work.checkpoint) if work.checkpoint else {"stage": work.stages[0].name, "after": ""}
        names = [stage.name for stage in work.stages]
        for stage in work.stages[names.index(begun["stage"]) :]:
            after = begun["after"] if stage.name == begun["stage"] else ""
            with stage.context(work):
                is_ready = stage.setup is None or self._run_stage(stage.setup, "", work, observer, is_stopped)
                is_done = is_ready and self._run_stage(stage, after, work, observer, is_stopped)
            self._report(observer, work, 0, 0.0)
            if not is_done:
                return False
        return True

    @staticmethod
    def _report(observer: BackfillObserver, work: Work, handled: int, seconds: float) -> None:
        """Report a batch, and the rows of the second worker since the last report."""
        with work.counts_lock:
            handled, work.parallel_count = handled + work.parallel_count, 0
        if handled or seconds:
            observer.batch_done(handled, seconds)

    def _run_stage(
        self, stage: Stage, after: str, work: Work, observer: BackfillObserver, is_stopped: Callable[[], bool]
    ) -> bool:
        throttle = stage.throttle or work.throttle
        total = self.retried(partial(self._count, stage), observer, is_stopped)
        if not total and stage.is_optional:
            return True
        is_setup = stage.name not in {each.name for each in work.stages}
        observer.stage_begun(
            stage.name,
            total + (0 if is_setup else work.parallel_count),
            run=work.run,
            counts_sessions=stage.counts_sessions,
        )
        if not is_setup:
            self._report(observer, work, 0, 0.0)
        size = limit = throttle.first_size
        while True:
            if is_stopped() or not self._wait_for_health(observer, is_stopped):
                return False
            begun_at = self._runtime.stopwatch()
            try:
                step = self.retried(partial(self._batch, stage, after, limit, work), observer, is_stopped)
            except (StoreBusy, StoreGone, StoreReplaced, StoreUnusable):
                raise
            except StoreUnavailable as error:
                if limit > 1:
                    limit = max(1, limit // SHRINK_FACTOR)
                    continue
                after = self._quarantine(stage, after, work, str(error))
                continue
            seconds = self._runtime.stopwatch() - begun_at
            if is_setup:
                observer.batch_done(step.handled, seconds)
            else:
                self._report(observer, work, step.handled, seconds)
            if not step.last or not (after := stage.after_commit(step.last)):
                return True
            size = throttle.next_size(size, step.handled, seconds) if limit == size else size
            limit = min(size, limit * SHRINK_FACTOR)
            self._pause(throttle.pause_after(step.handled, seconds), is_stopped)

    def retried(
        self, act: Callable[[], T], observer: BackfillObserver, is_stopped: Callable[[], bool] = lambda: False
    ) -> T:
        """
        Call a transaction and return its result; retry it with backoff while the database is busy or unreachable.

        Raises:
            StoreBusy: The last attempt failed on a lock.
            StoreGone: The last attempt could not reach the database.
        """
        return retry(act, partial(self._pause, is_stopped=is_stopped), observer.waiting_for)

    def _count(self, stage: Stage) -> int:
        with self._database.view() as stores:
            return stage.count(stores)

    def _pause(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        """Sleep, but return soon after a stop request."""
        while seconds > 0 and not is_stopped():
            self._runtime.sleep(min(seconds, POLL_SECONDS))
            seconds -= POLL_SECONDS

    def _batch(self, stage: Stage, after: str, limit: int, work: Work) -> BatchResult:
        try:
            return self._committed(stage, after, limit, work)
        except BaseException:
            stage.on_rollback()
            raise

    def _committed(self, stage: Stage, after: str, limit: int, work: Work) -> BatchResult:
        with ExitStack() as until_committed:
            with self._database.transaction(dry_run=work.is_dry_run, lock=work.lock) as stores:
                if not work.is_dry_run and not work.is_owned(stores):
                    raise RunTaken(f"the run {work.run} was ended, or was resumed by another process")
                if not work.is_dry_run and not work.is_parallel:
                    # Written before the prefetch of the next page starts: SQLite resets its WAL only without readers.
                    stores.runs.record_progress(work.run, None, at=self._runtime.now())
                step = stage.step(stores, after, limit)
                until_committed.enter_context(work.counts_lock)
                if not work.is_dry_run:
                    counts, checkpoint = (
                        work.counts + Counter(step.counts),
                        checkpoint_after(work, stage.name, step.last),
                    )
                    stores.runs.record_progress(work.run, counts, at=self._runtime.now(), checkpoint=checkpoint)
            work.counts.update(step.counts)
        return step

    def _quarantine(self, stage: Stage, after: str, work: Work, reason: str) -> str:
        """
        Quarantine the session that the database refused, and return its position.

        Raises:
            StoreUnavailable: There is no such session, so the database itself failed.
        """
        now: datetime = self._runtime.now()
        with (
            ExitStack() as until_committed,
            self._database.transaction(dry_run=work.is_dry_run, lock=work.lock) as stores,
        ):
            refused = stage.first(stores, after) if stage.first is not None else None
            if refused is None:
                raise StoreUnavailable(reason)
            until_committed.enter_context(work.counts_lock)
            work.counts["quarantined"] += 1
            work.quarantined[refused.session_id] = reason
            if not work.is_dry_run:
                stores.runs.quarantine(work.run, refused.session_id, reason, at=now)
                checkpoint = checkpoint_after(work, stage.name, refused.place)
                stores.runs.record_progress(work.run, work.counts, at=now, checkpoint=checkpoint)
        return refused.place

    def _wait_for_health(self, observer: BackfillObserver, is_stopped: Callable[[], bool]) -> bool:
        """Wait until the database is healthy; return False if the run was stopped meanwhile."""
        waited = 0
        while trouble := self.retried(self._health.trouble, observer, is_stopped):
            observer.waiting_for(trouble)
            self._pause(HEALTH_BACKOFF[min(waited, len(HEALTH_BACKOFF) - 1)], is_stopped)
            waited += 1
            if is_stopped():
                return False
        if waited:
            observer.waiting_for("")
        return True
