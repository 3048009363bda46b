"""
A second worker for large backfills.

The main worker takes pages from the start of the table; this one applies cached verdicts to ranges from the end, in its
own thread and connection, also while other verdicts are being computed. It never looks up addresses. Rows that it skips
or fails on are processed by the main worker. Session counts are updated by both in alternating batches.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import partial
from threading import Condition
from typing import NamedTuple, TypeVar

from snapshots.app.backfill.ordered_commit import OrderedCommit
from snapshots.app.backfill.partitions import MIN_PARTITIONS, PartitionQueue
from snapshots.app.backfill.pushdown import counts_of
from snapshots.app.backfill.work import Work
from snapshots.app.enrich.service import knowledge_in
from snapshots.app.errors import StoreBusy, StoreGone
from snapshots.app.ports.database import Database, Health, Stores, WriteLock
from snapshots.app.ports.open_sessions import KeyRange, PushdownResult, StagedVerdicts
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import retry
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.snapshot.verdict_cache import Verdicts

T = TypeVar("T")

SPAN = 18_000
"""Sessions per range, roughly: a little less than the largest batch."""

QUEUE_SIZE = 64
"""Verdict batches that wait for the second worker. The main worker never blocks; the oldest are dropped."""

POLL_SECONDS = 1.0
"""Seconds between health checks of a database in trouble."""


class VerdictBatch(NamedTuple):
    """
    Verdicts that the main worker cached in one transaction.

    Attributes:
        staged: The new verdicts, as rows of the staging table.
        knowledge: The state of the facts that they are based on.
        learned_until: `IpInventory.learned_last` at that time.
        may_settle: Whether enough verdicts are cached to apply them.
        more_follows: Whether more verdicts are being computed; ranges are then revisited.
    """

    staged: StagedVerdicts
    knowledge: object
    learned_until: datetime | None
    may_settle: bool = True
    more_follows: bool = False


class ParallelWorker:
    """
    Starts and stops the second worker.

    Args:
        executor: Runs it; None for no second worker.
        open_own: Opens the same database with a connection of its own, and its health check.
        runtime: Clock and stopwatch.
        span: Sessions per range, if they are evenly distributed.
    """

    def __init__(
        self,
        executor: Executor | None,
        open_own: Callable[[], AbstractContextManager[tuple[Database, Health]]],
        *,
        runtime: Runtime,
        span: int,
    ) -> None:
        self._executor = executor
        self._open_own = open_own
        self._runtime = runtime
        self._span = span
        self._worker: _Worker | None = None
        self._ordered_commit: OrderedCommit | None = None

    @contextmanager
    def assisting(self, work: Work, count: Callable[[], int], *, after: str) -> Iterator[None]:
        """
        Run the second worker until the end of the block, if there are enough sessions and no throttle is set.

        Args:
            work: The run.
            count: Returns the number of sessions without a verdict.
            after: Start position of the main worker.

        Raises:
            Exception: An unexpected error of the second worker, unless the block itself raises.
        """
        unjudged = _or_default(count, otherwise=0) if self._executor is not None and _may_run(work) else 0
        if self._executor is None or unjudged < self._span * MIN_PARTITIONS:
            yield
            return
        partitions = PartitionQueue(unjudged, work.counts["judged"], span=self._span, after=after)
        with self._open_own() as (database, health):
            worker = _Worker(work, database, health, partitions, runtime=self._runtime)
            self._worker, work.is_parallel = worker, True
            future = self._executor.submit(worker.run)
            try:
                yield
            finally:
                worker.stop()
                wait([future])
                self._worker, work.is_parallel = None, False
            future.result()

    @contextmanager
    def alternating(
        self, work: Work, stage: str, process: Callable[[Stores, str], str], *, is_worth_while: Callable[[], bool]
    ) -> Iterator[None]:
        """
        Process every second batch of a stage until the end of the block, if no throttle is set.

        Args:
            work: The run.
            stage: The name of the stage.
            process: Processes the batch after a position in an open transaction; returns the position of its last row.
            is_worth_while: Whether there are enough batches.
        """
        if self._executor is None or not _may_run(work) or not _or_default(is_worth_while, otherwise=False):
            yield
            return
        with self._open_own() as (database, _):
            self._ordered_commit = OrderedCommit(
                work, stage, process, executor=self._executor, database=database, clock=self._runtime.clock
            )
            work.is_parallel = True
            try:
                yield
            finally:
                self.roll_back_batch()
                self._ordered_commit, work.is_parallel = None, False

    def begin_batch(self, after: str) -> None:
        """Start the batch after that of the main worker, whose transaction is still open."""
        if self._ordered_commit is not None:
            self._ordered_commit.begin(after)

    def commit_batch(self, place: str) -> str:
        """Commit that batch after the main worker committed its own; return the position to continue after."""
        return place if self._ordered_commit is None else self._ordered_commit.commit(place)

    def roll_back_batch(self) -> None:
        """Roll that batch back."""
        if self._ordered_commit is not None:
            self._ordered_commit.roll_back()

    @property
    def is_running(self) -> bool:
        """Whether a second worker consumes published verdicts."""
        return self._worker is not None

    @property
    def applied(self) -> int:
        """Return the number of sessions that it wrote since it started."""
        return self._worker.applied if self._worker is not None else 0

    def publish(self, batch: VerdictBatch) -> None:
        """Pass new verdicts to the second worker."""
        if self._worker is not None:
            self._worker.publish(batch)

    def limit_main_worker(self, stores: Stores) -> None:
        """Exclude the ranges of the second worker from the pages of this transaction."""
        if self._worker is not None and self._worker.main_limit:
            stores.open_sessions.limit_to(KeyRange("", self._worker.main_limit))


def _or_default(query: Callable[[], T], *, otherwise: T) -> T:
    """Return the result of a query, or a default while the database is unreachable."""
    try:
        return query()
    except (StoreBusy, StoreGone):
        return otherwise


def _may_run(work: Work) -> bool:
    """Whether the run stores data and has no throttle."""
    return work.throttle.rate is None and work.throttle.batch_size is None and not work.is_dry_run


class _Received(NamedTuple):
    """The verdicts that were not copied yet, the last batch, and the number of batches so far."""

    staged: Sequence[StagedVerdicts]
    last: VerdictBatch
    published: int


class _Worker:
    """The second worker on one table."""

    def __init__(
        self,
        work: Work,
        database: Database,
        health: Health,
        partitions: PartitionQueue,
        *,
        runtime: Runtime,
    ) -> None:
        self._work = work
        self._database = database
        self._health = health
        self._partitions = partitions
        self._runtime = runtime
        self._changed = Condition()
        self._staged: deque[StagedVerdicts] = deque(maxlen=QUEUE_SIZE)
        self._last: VerdictBatch | None = None
        self._published, self._resume_at = 0, 0
        self._is_stopping, self._has_ended = False, False
        self._size = work.throttle.first_size
        self.applied = 0

    @property
    def main_limit(self) -> str:
        """Return the position at which the main worker stops; "" for the end of the table."""
        return self._partitions.main_limit

    def publish(self, batch: VerdictBatch) -> None:
        """Queue new verdicts."""
        with self._changed:
            if self._has_ended:
                return
            if self._last is not None and batch.staged.generation != self._last.staged.generation:
                self._staged.clear()
            if self._last is not None and self._last.more_follows and not batch.more_follows:
                self._resume_at = 0
            self._staged.append(batch.staged)
            self._last = batch
            self._published += 1
            self._changed.notify()

    def stop(self) -> None:
        """Stop after the current batch."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Process ranges until none is left or the worker is stopped."""
        is_well = False
        try:
            while (received := self._wait_for_verdicts()) is not None:
                if received.last.may_settle and self._health.trouble():
                    self._pause(POLL_SECONDS)
                elif not retry(partial(self._batch, received), self._pause):
                    break
            is_well = True
        except SnapshotsError:
            return  # the main worker meets the same error and handles it
        finally:
            if not is_well:
                self._partitions.release_all()
            with self._changed:
                self._has_ended = True
                self._staged.clear()

    def _wait_for_verdicts(self) -> _Received | None:
        """Wait until there is work, and return the queued verdicts; None to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._has_work)
            if self._is_stopping or self._last is None:
                return None
            return _Received(tuple(self._staged), self._last, self._published)

    @property
    def _has_work(self) -> bool:
        can_settle = self._last is not None and self._last.may_settle and self._published >= self._resume_at
        return can_settle or len(self._staged) >= QUEUE_SIZE // 2

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, timeout=seconds)

    def _batch(self, received: _Received) -> bool:
        """Copy the queued verdicts, and apply them to a part of a range; return whether to continue."""
        begun_at, last = self._runtime.stopwatch(), received.last
        with ExitStack() as until_committed:
            with self._database.transaction(lock=WriteLock.WORKER) as stores:
                stores.open_sessions.copy_staged(received.staged)
                if not self._work.is_owned(stores):
                    return False
                is_current = last.may_settle and knowledge_in(stores) == last.knowledge
                span = self._claim(stores, more_follows=last.more_follows) if is_current else None
                done = self._apply(stores, span, last) if span is not None else None
                counts = counts_of(done)
                until_committed.enter_context(self._work.counts_lock)
                if done is not None:
                    stores.runs.record_progress(self._work.run, self._work.counts + counts, at=self._runtime.now())
            self._work.counts.update(counts)
            self._work.parallel_count += counts["judged"]
            self.applied += counts["judged"]
        self._drop(received.staged)
        batches = QUEUE_SIZE if is_current else 1  # until the queue was read completely
        if span is not None:
            batches = self._partitions.complete(done, asked=self._size, more_follows=last.more_follows)
        elif is_current and not last.more_follows:
            return False
        if done is not None:
            seconds = self._runtime.stopwatch() - begun_at
            self._size = self._work.throttle.next_size(self._size, counts["judged"] + done.left, seconds)
        with self._changed:
            is_unchanged = self._last is not None and self._last.more_follows == last.more_follows
            self._resume_at = received.published + batches if is_unchanged else 0
        return True

    def _drop(self, staged: Sequence[StagedVerdicts]) -> None:
        """Remove verdicts that were copied from the queue."""
        gone = set(map(id, staged))
        with self._changed:
            self._staged = deque((each for each in self._staged if id(each) not in gone), maxlen=QUEUE_SIZE)

    def _claim(self, stores: Stores, *, more_follows: bool) -> KeyRange | None:
        return self._partitions.claim(stores, judged=self._work.counts["judged"], more_follows=more_follows)

    def _apply(self, stores: Stores, span: KeyRange, last: VerdictBatch) -> PushdownResult | None:
        stores.open_sessions.limit_to(span)
        return stores.open_sessions.apply_cached(
            Verdicts(last.staged.generation, (), last.staged.before + last.staged.size),
            run=self._work.run,
            learned_until=last.learned_until,
            after=span.after,
            limit=self._size,
        )
