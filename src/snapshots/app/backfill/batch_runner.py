"""Execute a run in batches by equal workers, with retries, throttling, quarantine and checkpoints."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.work import NOTHING_LEFT, BatchResult, Stage, Work
from snapshots.app.backfill_runs import Checkpoint
from snapshots.app.errors import StoreBusy, StoreGone, StoreReplaced, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import Database, Health, Stores
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.runs import RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import retry

T = TypeVar("T")

POLL_SECONDS = 0.1
"""Interval in seconds at which a pause checks for a stop request."""

SHRINK_FACTOR = 8
"""Divisor for the size of a batch that the database refused, until the refused row is alone in its batch."""

HEALTH_BACKOFF = (1.0, 2.0, 5.0, 10.0)
"""Seconds between health checks of a database in trouble; the last value repeats."""


@dataclass(slots=True)
class _Execution:
    """One stage of a run while workers execute it; `is_canceled` is set if one of them failed."""

    stage: Stage
    work: Work
    observer: BackfillObserver
    is_stopped: Callable[[], bool]
    unclaimed: deque[KeyRange]
    is_canceled: bool = field(default=False)
    worker_count: int = field(init=False)

    def __post_init__(self) -> None:
        self.worker_count = max(1, min(self.stage.workers, len(self.unclaimed)))

    def claim(self) -> KeyRange | None:
        try:
            return self.unclaimed.popleft()
        except IndexError:
            return None

    def should_stop(self) -> bool:
        return self.is_canceled or self.is_stopped()


class BatchRunner:
    """
    Executes the stages of a run, one transaction per batch, which also stores the checkpoint.

    Args:
        database: The database.
        health: Reports replication lag, lock waits and long transactions.
        runtime: Clock, stopwatch and sleep.
    """

    def __init__(self, database: Database, health: Health, *, runtime: Runtime) -> None:
        self._database = database
        self._health = health
        self._runtime = runtime

    def execute(
        self,
        work: Work,
        observer: BackfillObserver,
        is_stopped: Callable[[], bool],
        *,
        on_end: Callable[[Stores, RunState], None] = lambda _stores, _state: None,
    ) -> bool:
        """
        Execute a run that has begun, and record its end; a dry run has no record.

        Args:
            work: The run.
            observer: Receives the progress.
            is_stopped: Whether to stop after the current batches.
            on_end: Called with the state of the run in the transaction that records it.

        Returns:
            True if the run is complete; False if it was stopped and can be resumed.

        Raises:
            RunTaken: Another process took the run over or ended it.
            StoreUnavailable: The database failed; committed batches are kept.
            SourceUnreadable: A data source cannot be read; committed batches are kept.
        """
        if work.is_dry_run:
            return self.run_stages(work, observer, is_stopped)
        try:
            is_done = self.run_stages(work, observer, is_stopped)
        except BaseException as error:
            with suppress(StoreUnavailable):  # the run soon counts as dead; the original error is raised
                self._end(work, RunState.after(error), on_end)
            raise
        state = RunState.DONE if is_done else RunState.INTERRUPTED
        self.retried(partial(self._end, work, state, on_end), observer)
        return is_done

    def _end(self, work: Work, state: RunState, on_end: Callable[[Stores, RunState], None]) -> None:
        with self._database.transaction() as stores:
            if work.is_owner_of(stores.runs.find(work.run)):
                on_end(stores, state)
                stores.runs.end(work.run, state, at=self._runtime.now())

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
        return all(self._run_stage(stage, work, observer, is_stopped) for stage in work.stages_left)

    def _run_stage(self, stage: Stage, work: Work, observer: BackfillObserver, is_stopped: Callable[[], bool]) -> bool:
        total = self.retried(partial(self._count, stage), observer, is_stopped)
        if not total and stage.is_optional:
            return True
        if work.checkpoint.stage != stage.name:
            self.retried(partial(self._enter, stage, work), observer, is_stopped)
        observer.stage_begun(stage.name, total, run=work.run, counts_sessions=stage.counts_sessions)
        execution = _Execution(stage, work, observer, is_stopped, deque(work.checkpoint.left))
        try:
            return self._process_ranges(execution) if stage.workers == 1 else self._work_in_parallel(execution)
        finally:
            stage.on_end()

    def _work_in_parallel(self, execution: _Execution) -> bool:
        executor = ThreadPoolExecutor(execution.worker_count, thread_name_prefix=execution.stage.name)
        try:
            workers = [executor.submit(self._process_ranges, execution) for _ in range(execution.worker_count)]
            results = [worker.result() for worker in workers]
            executor.shutdown()
            return all(results)
        except BaseException as error:
            execution.is_canceled = True
            is_interrupted = not isinstance(error, Exception)  # by a second Ctrl-C
            if is_interrupted:  # do not wait for locks that the workers wait for
                self._database.give_up()
            executor.shutdown(wait=not is_interrupted)
            raise

    def _enter(self, stage: Stage, work: Work) -> None:
        with self._database.transaction(dry_run=work.is_dry_run and not stage.writes_only_staging) as stores:
            if not work.is_dry_run:
                work.owned_record(stores)
            entered = Checkpoint(stage.name, tuple(stage.ranges(stores)))
            if not work.is_dry_run:
                stores.runs.record_progress(work.run, None, at=self._runtime.now(), checkpoint=str(entered))
        work.checkpoint = entered

    def _process_ranges(self, execution: _Execution) -> bool:
        """Process ranges until none is left; return False if the run was stopped."""
        try:
            while (claimed := execution.claim()) is not None:
                if not self._process_range(claimed, execution):
                    return False
        except BaseException:
            execution.is_canceled = True
            raise
        return True

    def _process_range(self, claimed: KeyRange, execution: _Execution) -> bool:
        stage, work = execution.stage, execution.work
        throttle = stage.throttle or work.throttle
        if throttle.rate is not None:
            throttle = replace(throttle, rate=throttle.rate / execution.worker_count)
        size = limit = throttle.first_size
        left = claimed
        while True:
            if execution.should_stop() or not self._wait_for_health(execution):
                return False
            begun_at = self._runtime.stopwatch()
            try:
                batch = partial(self._batch, stage, left, limit, work)
                done, rest = self.retried(batch, execution.observer, execution.should_stop)
            except (StoreBusy, StoreGone, StoreReplaced, StoreUnusable):
                raise
            except StoreUnavailable as error:
                if limit > 1:
                    limit = max(1, limit // SHRINK_FACTOR)
                    continue
                skip = partial(self._skip_refused, stage, left, work, str(error))
                rest = self.retried(skip, execution.observer, execution.should_stop)
                if rest is None:
                    return True
                left = rest
                continue
            seconds = self._runtime.stopwatch() - begun_at
            if done.handled or seconds:
                execution.observer.batch_done(done.handled, seconds)
            if rest is None:
                return True
            left = rest
            size = throttle.next_size(size, done.handled, seconds) if limit == size else size
            limit = min(size, limit * SHRINK_FACTOR)
            self._pause(throttle.pause_after(done.handled, seconds), execution.should_stop)

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

    def _batch(self, stage: Stage, claimed: KeyRange, limit: int, work: Work) -> tuple[BatchResult, KeyRange | None]:
        """Process the beginning of a range in one transaction; return the result, and what is left of the range."""
        try:
            write = stage.batch(claimed, limit)
            with ExitStack() as until_committed:
                with self._transaction(stage, work) as stores:
                    if not work.is_dry_run and claimed not in Checkpoint.of(work.owned_record(stores).checkpoint).left:
                        # The connection was lost during COMMIT, and the batch was committed.
                        until_committed.enter_context(work.lock)
                        return NOTHING_LEFT, self._adopt_record(stores, claimed, work)
                    done = write(stores)
                    until_committed.enter_context(work.lock)
                    counts, checkpoint = self._advance(stores, claimed, done.last, done.counts, work)
                work.counts, work.checkpoint = counts, checkpoint
                return done, checkpoint.rest_of(claimed)
        except BaseException:
            stage.on_rollback()
            raise

    def _transaction(self, stage: Stage, work: Work) -> AbstractContextManager[Stores]:
        return self._database.transaction(dry_run=work.is_dry_run and not stage.writes_only_staging, lock=stage.lock)

    def _advance(
        self, stores: Stores, claimed: KeyRange, last: str, counts: Mapping[str, int], work: Work
    ) -> tuple[Counter[str], Checkpoint]:
        """Store and return the counts and the checkpoint after a batch, from those that other workers stored."""
        if work.is_dry_run:
            return work.counts + Counter(counts), work.checkpoint.after(claimed, last)
        record = work.owned_record(stores, for_update=True)
        stored = Checkpoint.of(record.checkpoint)
        if claimed not in stored.left:
            raise StoreBusy("the batch was committed before; the answer of the database was lost")
        total, checkpoint = Counter(record.counts) + Counter(counts), stored.after(claimed, last)
        stores.runs.record_progress(work.run, total, at=self._runtime.now(), checkpoint=str(checkpoint))
        return total, checkpoint

    @staticmethod
    def _adopt_record(stores: Stores, claimed: KeyRange, work: Work) -> KeyRange | None:
        record = work.owned_record(stores)
        work.counts, work.checkpoint = Counter(record.counts), Checkpoint.of(record.checkpoint)
        return work.checkpoint.rest_of(claimed)

    def _skip_refused(self, stage: Stage, claimed: KeyRange, work: Work, reason: str) -> KeyRange | None:
        """
        Skip the first session of a range, which the database refused; return what is left of the range.

        Raises:
            StoreUnavailable: There is no such session, so the database itself failed.
        """
        with ExitStack() as until_committed:
            with self._transaction(stage, work) as stores:
                refused = stage.first(stores, claimed) if stage.first is not None else None
                if refused is None:
                    raise StoreUnavailable(reason)
                until_committed.enter_context(work.lock)
                skipped = {"quarantined": 1} if stage.is_quarantining else {}
                counts, checkpoint = self._advance(stores, claimed, refused.place, skipped, work)
                if stage.is_quarantining and not work.is_dry_run:
                    stores.runs.quarantine(work.run, refused.session_id, reason, at=self._runtime.now())
            work.counts, work.checkpoint = counts, checkpoint
            if stage.is_quarantining:
                work.quarantined[refused.session_id] = reason
            return checkpoint.rest_of(claimed)

    def _wait_for_health(self, execution: _Execution) -> bool:
        """Wait until the database is healthy; return False if the run was stopped meanwhile."""
        waited = 0
        while trouble := self.retried(self._health.trouble, execution.observer, execution.should_stop):
            execution.observer.waiting_for(trouble)
            self._pause(HEALTH_BACKOFF[min(waited, len(HEALTH_BACKOFF) - 1)], execution.should_stop)
            waited += 1
            if execution.should_stop():
                return False
        if waited:
            execution.observer.waiting_for("")
        return True
