"""Take back exactly what one run wrote."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import BatchResult, Stage, Work
from snapshots.app.backfill_runs import counted_until
from snapshots.app.errors import NoSuchRun, StoreUnavailable
from snapshots.app.liveness import begin_run
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.runs import RunKind, RunRecord, RunState
from snapshots.app.ports.runtime import Runtime

UNDOABLE = (RunKind.BACKFILL, RunKind.IMPROVE, RunKind.LATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoReport:
    """
    What undoing a run did, or would do.

    Attributes:
        is_done: Whether nothing of it is left; else the same call goes on.
        opened: Sessions that it had sealed, and that are open again.
        restored: Sessions that hold again what they held before it.
        forgotten: Open sessions whose address it had found, and that have none again.
        sources: The builds that its snapshots were made of, in alphabetical order.
    """

    is_done: bool
    opened: int = 0
    restored: int = 0
    forgotten: int = 0
    sources: tuple[str, ...] = ()


class UndoRun:
    """
    Takes runs back, each change through the audit.

    Args:
        database: Where the sessions are.
        batch_runner: Drives the batches.
        runtime: Clock, stopwatch, sleep and run names.
    """

    def __init__(self, database: Database, batch_runner: BatchRunner, *, runtime: Runtime) -> None:
        self._database = database
        self._batch_runner = batch_runner
        self._runtime = runtime

    def undo(
        self,
        run: str,
        observer: BackfillObserver,
        *,
        is_dry_run: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> UndoReport:
        """
        Take back what a run wrote: snapshots, addresses that it found, and what the inventory counted of them.

        What loading, other runs and operators wrote stays. Sessions that it had sealed are open then, for the
        reason `undone`. A second call finds nothing to do.

        Raises:
            NoSuchRun: There is no such run, or it is of a kind that cannot be undone.
            StoreUnavailable: The database failed as a whole; whole batches are undone, and the same call goes on.
        """
        with self._database.transaction() as stores:
            record = _undoable(stores, run)
            if record.state is RunState.RUNNING and not is_dry_run:
                stores.runs.end(run, RunState.INTERRUPTED, at=self._runtime.now())  # whoever carries it on stops
        sources: set[str] = set()
        work = Work(run=self._runtime.new_run(), stages=[], throttle=Throttle(), is_dry_run=is_dry_run)

        def step(stores: Stores, after: str, limit: int) -> BatchResult:
            page = stores.run_undo.undo(
                run,
                by=work.run,
                counted_until=counted_until(record),
                after=after,
                limit=limit,
                at=self._runtime.now(),
            )
            sources.update(page.sources)
            counts = {"opened": page.opened, "restored": page.restored, "forgotten": page.forgotten}
            return BatchResult(page.last, page.opened + page.restored + page.forgotten, counts)

        work.stages = [Stage(name="undo", step=step, count=lambda _: sum(_sealed(record)))]
        if not is_dry_run:
            self._batch_runner.retried(partial(self._begin, work.run, run), observer, is_stopped)
        try:
            is_done = self._batch_runner.run_stages(work, observer, is_stopped)
        except BaseException as error:
            if not is_dry_run:
                with suppress(StoreUnavailable):  # the run counts as dead soon, and what ended it is said
                    self._end(work.run, run, RunState.after(error))
            raise
        if not is_dry_run:
            state = RunState.DONE if is_done else RunState.INTERRUPTED
            self._batch_runner.retried(partial(self._end, work.run, run, state), observer)
        return UndoReport(
            is_done=is_done,
            opened=work.counts["opened"],
            restored=work.counts["restored"],
            forgotten=work.counts["forgotten"],
            sources=tuple(sorted(sources)),
        )

    def _begin(self, by: str, undone: str) -> None:
        with self._database.transaction() as stores:
            begin_run(stores, by, RunKind.UNDO, at=self._runtime.now(), settings={"undoes": undone})

    def _end(self, by: str, undone: str, state: RunState) -> None:
        with self._database.transaction() as stores:
            now = self._runtime.now()
            stores.counts.recount_networks(counted_at=now)
            stores.runs.end(by, state, at=now)
            if state is RunState.DONE:
                stores.runs.mark_undone(undone)


def _undoable(stores: Stores, run: str) -> RunRecord:
    record = stores.runs.find(run)
    if record is None:
        raise NoSuchRun(f"there is no run {run}; `snapshots runs` lists them")
    if record.kind not in UNDOABLE:
        kinds = ", ".join(kind.value for kind in UNDOABLE)
        raise NoSuchRun(f"the run {run} is of the kind {record.kind.value}; only {kinds} can be undone")
    return record


def _sealed(record: RunRecord) -> list[int]:
    return [count for name, count in record.counts.items() if name.startswith("sealed:")]
