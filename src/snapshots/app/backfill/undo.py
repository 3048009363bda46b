"""Undo exactly the writes of one run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import BatchResult, Stage, Work, writing
from snapshots.app.backfill_runs import uncounted
from snapshots.app.errors import NoSuchRun
from snapshots.app.liveness import begin_run
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.runs import RunKind, RunRecord, RunState
from snapshots.app.ports.runtime import Runtime

UNDOABLE = (RunKind.BACKFILL, RunKind.IMPROVE, RunKind.LATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoReport:
    """
    The result of an undo or of its dry run.

    Attributes:
        is_done: Whether the undo is complete; if not, the same call continues it.
        opened: Sessions that the run had sealed and that are open again.
        restored: Sessions that have their former snapshot again.
        forgotten: Open sessions whose address the run had recovered and that have none again.
        sources: Source builds of its snapshots, in alphabetical order.
    """

    is_done: bool
    opened: int = 0
    restored: int = 0
    forgotten: int = 0
    sources: tuple[str, ...] = ()


class UndoRun:
    """
    Undoes runs, each change through the audit.

    Args:
        database: The database.
        batch_runner: Executes the batches.
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
        Undo the writes of a run: snapshots, addresses that it recovered, and their session counts.

        Writes of loads, other runs and operators stay. Sessions that the run had sealed are open afterwards, with the
        gap `undone`. A second call has no effect.

        Raises:
            NoSuchRun: There is no such run, or its kind cannot be undone.
            StoreUnavailable: The database failed; committed batches stay undone, and the same call continues.
        """
        sources: set[str] = set()
        work = Work(run=self._runtime.new_run(), stages=[], throttle=Throttle(), is_dry_run=is_dry_run)
        record = self._batch_runner.retried(partial(self._begin, work, run), observer, is_stopped)

        def write(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
            page = stores.run_undo.undo(
                run,
                by=work.run,
                uncounted=uncounted(record),
                after=within.after,
                limit=limit,
                at=self._runtime.now(),
            )
            sources.update(page.sources)
            counts = {"opened": page.opened, "restored": page.restored, "forgotten": page.forgotten}
            return BatchResult(page.last, page.opened + page.restored + page.forgotten, counts)

        work.stages = [Stage(name="undo", batch=writing(write), count=lambda _: sum(_sealed(record)))]

        def end(stores: Stores, state: RunState) -> None:
            stores.counts.recount_networks(counted_at=self._runtime.now())
            if state is RunState.DONE:
                stores.runs.mark_undone(run)
                stores.verdict_spans.delete(run)

        is_done = self._batch_runner.execute(work, observer, is_stopped, on_end=end)
        return UndoReport(
            is_done=is_done,
            opened=work.counts["opened"],
            restored=work.counts["restored"],
            forgotten=work.counts["forgotten"],
            sources=tuple(sorted(sources)),
        )

    def _begin(self, work: Work, undone: str) -> RunRecord:
        now = self._runtime.now()
        with self._database.transaction() as stores:
            record = _undoable(stores, undone)
            if not work.is_dry_run:
                if record.state is RunState.RUNNING:
                    stores.runs.end(undone, RunState.INTERRUPTED, at=now)  # a process that executes it stops
                begin_run(stores, work.run, RunKind.UNDO, at=now, settings={"undoes": undone})
            return record


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
