"""Compute the missing snapshots of stored sessions: run, resume and dry run."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from hashlib import blake2b

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.prefetch import ReadAhead
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.stages import BackfillStages
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import Work
from snapshots.app.backfill.worker import ParallelWorker
from snapshots.app.backfill_runs import last_done, unfinished
from snapshots.app.enrich.apply_verdicts import FoundPage, VerdictApplier
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import NoSuchRun, StoreUnavailable
from snapshots.app.liveness import begin_run
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.open_sessions import Judged
from snapshots.app.ports.runs import RunKind, RunRecord, RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """
    The result of a backfill or of its dry run.

    Attributes:
        run: The run that wrote; after a dry run the name is not stored.
        is_done: Whether it is complete; if not, it can be resumed.
        judged: Sessions that were evaluated.
        sealed: Sessions that received a snapshot, by method.
        left_open: Sessions that did not, by reason.
        found: Sessions whose address was recovered from events or documents.
        lost: Sessions that another process changed meanwhile; they are counted in `judged` only.
        quarantined: Sessions that the database refused, each with the reason.
        samples: Evaluated sessions, a few per kind of verdict.
        seconds: Duration.
        written_bytes: Bytes of write-ahead log per session; None if the database does not report them.
    """

    run: str
    is_done: bool
    judged: int = 0
    sealed: Mapping[Method, int] = field(default_factory=dict)
    left_open: Mapping[Gap, int] = field(default_factory=dict)
    found: int = 0
    lost: int = 0
    quarantined: Mapping[str, str] = field(default_factory=dict)
    samples: Sequence[Judged] = ()
    seconds: float = 0.0
    written_bytes: float | None = None


class BackfillSnapshots:
    """
    Evaluates open sessions: of another loader, of an undone run, or with new facts since their last verdict.

    Args:
        database: The database.
        service: Computes verdicts.
        verdict_applier: Evaluates and writes pages of sessions.
        batch_runner: Executes the stages.
        runtime: Clock, stopwatch, sleep and run names.
        ahead: Prefetches the next page.
        parallel_worker: The second worker.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        verdict_applier: VerdictApplier,
        batch_runner: BatchRunner,
        *,
        runtime: Runtime,
        ahead: ReadAhead[FoundPage],
        parallel_worker: ParallelWorker,
    ) -> None:
        self._database = database
        self._service = service
        self._verdict_applier = verdict_applier
        self._batch_runner = batch_runner
        self._runtime = runtime
        self._ahead = ahead
        self._parallel_worker = parallel_worker

    def run(
        self,
        observer: BackfillObserver,
        *,
        throttle: Throttle | None = None,
        again: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Evaluate all sessions without a snapshot, until complete or stopped.

        Args:
            observer: Receives the progress.
            throttle: How fast to work.
            again: Also evaluate sessions whose address has no new facts.
            is_stopped: Whether to stop after the current batch.

        Raises:
            StoreUnavailable: The database failed; committed batches are kept, and `resume` continues.
            SourceUnreadable: A data source cannot be read; `resume` continues.
        """
        run, now = self._runtime.new_run(), self._runtime.now()
        settings = self._batch_runner.retried(partial(self._begin, run, now, again=again), observer, is_stopped)
        record = RunRecord(
            run=run,
            kind=RunKind.BACKFILL,
            state=RunState.RUNNING,
            began_at=now,
            heartbeat_at=now,
            settings=settings,
        )
        return self._carry_on(record, observer, throttle or Throttle(), is_stopped, has_begun=False)

    def resume(
        self,
        run: str | None,
        observer: BackfillObserver,
        *,
        throttle: Throttle | None = None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Continue a backfill that was stopped or died. If another process still executes it, that process stops.

        Args:
            run: Its name; None for the newest incomplete one.
            observer: Receives the progress.
            throttle: How fast to work.
            is_stopped: Whether to stop after the current batch.

        Raises:
            NoSuchRun: There is no such run, or it was started with other options.
            StoreUnavailable: As for `run`.
            SourceUnreadable: As for `run`.
        """
        with self._database.transaction() as stores:
            record = _resumable(stores, run)
            if record.settings.get("rules") != self._rules():
                raise NoSuchRun(
                    f"the run {record.run} was started with other options; repeat them,"
                    " or start a new backfill without --resume"
                )
            taken = {**record.settings, "owner": self._runtime.new_run()}
            stores.runs.add_settings(record.run, taken)
            stores.runs.resume(record.run, at=self._runtime.now())
        return self._carry_on(
            replace(record, settings=taken), observer, throttle or Throttle(), is_stopped, has_begun=True
        )

    def dry_run(
        self, observer: BackfillObserver, *, again: bool = False, is_stopped: Callable[[], bool] = lambda: False
    ) -> BackfillReport:
        """
        Evaluate the sessions as `run` does, but store nothing.

        The first batch is written and rolled back, to measure it; for the others only the verdicts are computed.
        """
        with self._database.transaction(dry_run=True) as stores:
            settings = {"again": str(again or self._rules_changed(stores))}
        backfill_stages = self._journey(self._runtime.new_run(), is_dry_run=True)
        work = Work(
            run=backfill_stages.run, stages=backfill_stages.stages(settings), throttle=Throttle(), is_dry_run=True
        )
        begun_at = self._runtime.stopwatch()
        try:
            is_done = self._batch_runner.run_stages(work, observer, is_stopped)
        finally:
            self._service.clear_cache()
        return _report(backfill_stages, work, is_done=is_done, seconds=self._runtime.stopwatch() - begun_at)

    def _begin(self, run: str, now: datetime, *, again: bool) -> Mapping[str, str]:
        with self._database.transaction() as stores:
            settings = {"rules": self._rules(), "again": str(again or self._rules_changed(stores)), "owner": run}
            begin_run(stores, run, RunKind.BACKFILL, at=now, settings=settings)
        return settings

    def _carry_on(
        self,
        record: RunRecord,
        observer: BackfillObserver,
        throttle: Throttle,
        is_stopped: Callable[[], bool],
        *,
        has_begun: bool,
    ) -> BackfillReport:
        backfill_stages = self._journey(record.run, has_begun=has_begun)
        work = Work(
            run=record.run,
            stages=backfill_stages.stages(record.settings),
            throttle=throttle,
            checkpoint=record.checkpoint,
            counts=Counter(record.counts),
            owner=record.settings["owner"],
        )
        begun_at = self._runtime.stopwatch()
        try:
            is_done = self._batch_runner.run_stages(work, observer, is_stopped)
        except BaseException as error:
            with suppress(StoreUnavailable):  # the run soon counts as dead; the original error is raised
                self._end(backfill_stages, work, RunState.after(error))
            raise
        state = RunState.DONE if is_done else RunState.INTERRUPTED
        self._batch_runner.retried(partial(self._end, backfill_stages, work, state), observer)
        return _report(backfill_stages, work, is_done=is_done, seconds=self._runtime.stopwatch() - begun_at)

    def _end(self, backfill_stages: BackfillStages, work: Work, state: RunState) -> None:
        with self._database.transaction() as stores:
            now = self._runtime.now()
            stores.counts.recount_networks(counted_at=now)
            if work.is_owned(stores):
                if backfill_stages.learned_until is not None:
                    stores.runs.add_settings(work.run, {"learned_until": backfill_stages.learned_until.isoformat()})
                stores.runs.end(work.run, state, at=now)
            work.quarantined = dict(stores.runs.quarantined_by(work.run))

    def _journey(self, run: str, *, is_dry_run: bool = False, has_begun: bool = False) -> BackfillStages:
        self._ahead.drop()
        return BackfillStages(
            run,
            self._database,
            self._verdict_applier,
            self._runtime.clock,
            self._ahead,
            parallel_worker=self._parallel_worker,
            is_dry_run=is_dry_run,
            has_begun=has_begun,
        )

    def _rules(self) -> str:
        return blake2b(self._service.rules.encode(), digest_size=8).hexdigest()

    def _rules_changed(self, stores: Stores) -> bool:
        last = last_done(stores)
        return last is None or last.settings.get("rules") != self._rules()


def _resumable(stores: Stores, run: str | None) -> RunRecord:
    if run is None:
        left = unfinished(stores)
        if not left:
            raise NoSuchRun("there is no backfill to resume; start one without --resume")
        return left[0]
    record = stores.runs.find(run)
    if record is None or record.kind is not RunKind.BACKFILL or record.state in {RunState.DONE, RunState.UNDONE}:
        raise NoSuchRun(f"there is no backfill {run} to resume")
    return record


def _report(backfill_stages: BackfillStages, work: Work, *, is_done: bool, seconds: float) -> BackfillReport:
    counts = work.counts
    return BackfillReport(
        run=backfill_stages.run,
        is_done=is_done,
        judged=counts["judged"],
        sealed={m: counts[f"sealed:{m.value}"] for m in Method if counts[f"sealed:{m.value}"]},
        left_open={gap: counts[f"open:{gap.value}"] for gap in Gap if counts[f"open:{gap.value}"]},
        found=counts["found"],
        lost=counts["lost"],
        quarantined=work.quarantined,
        samples=backfill_stages.samples,
        seconds=seconds,
        written_bytes=backfill_stages.written_bytes,
    )
