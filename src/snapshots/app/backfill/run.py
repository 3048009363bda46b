"""Compute the missing snapshots of stored sessions: run, resume and dry run."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.span_computer import SpanComputers
from snapshots.app.backfill.stages import APPLYING, COMPUTING, BackfillStages, Workers
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import Work
from snapshots.app.backfill_runs import Checkpoint, is_being_undone, last_done, unfinished
from snapshots.app.enrich.apply_verdicts import VerdictApplier
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
        written_bytes: Bytes of write-ahead log per session that a dry run forecasts; None if the database does not
            report them.
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
        span_computers: Compute the verdicts on addresses.
        runtime: Clock, stopwatch, sleep and run names.
        cores: Default number of workers.
        most: The largest numbers of workers that the database permits.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        verdict_applier: VerdictApplier,
        batch_runner: BatchRunner,
        span_computers: SpanComputers,
        *,
        runtime: Runtime,
        cores: int,
        most: Workers,
    ) -> None:
        self._database = database
        self._service = service
        self._verdict_applier = verdict_applier
        self._batch_runner = batch_runner
        self._span_computers = span_computers
        self._runtime = runtime
        self._cores = cores
        self._most = most

    def run(
        self,
        observer: BackfillObserver,
        *,
        throttle: Throttle | None = None,
        jobs: int | None = None,
        again: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Evaluate all sessions without a snapshot, until complete or stopped.

        Args:
            observer: Receives the progress.
            throttle: How fast to work.
            jobs: Number of workers; None for one per core. Where the database has a single writer, only computing is
                shared.
            again: Also evaluate sessions whose address has no new facts.
            is_stopped: Whether to stop after the current batch.

        Raises:
            StoreUnavailable: The database failed; committed batches are kept, and `resume` continues.
            SourceUnreadable: A data source cannot be read; `resume` continues.
        """
        run = self._runtime.new_run()
        record = self._batch_runner.retried(partial(self._begin, run, again=again), observer, is_stopped)
        return self._execute(record, observer, throttle, jobs, is_stopped)

    def resume(
        self,
        run: str | None,
        observer: BackfillObserver,
        *,
        throttle: Throttle | None = None,
        jobs: int | None = None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Continue a backfill that was stopped or died. If another process still executes it, that process stops.

        Args:
            run: Its name; None for the newest incomplete one.
            observer: Receives the progress.
            throttle: How fast to work.
            jobs: Number of workers, as for `run`.
            is_stopped: Whether to stop after the current batch.

        Raises:
            NoSuchRun: There is no such run, it is being undone, or it was started with other options.
            StoreUnavailable: As for `run`.
            SourceUnreadable: As for `run`.
        """
        with self._database.transaction() as stores:
            record = _resumable(stores, run)
            if is_being_undone(stores, record.run, now=self._runtime.now()):
                raise NoSuchRun(f"the run {record.run} is being undone; resume it when the undo has ended")
            if record.settings.get("rules") != self._rules():
                raise NoSuchRun(
                    f"the run {record.run} was started with other options or by another version; repeat its options,"
                    " or start a new backfill without --resume"
                )
            taken = {**record.settings, "owner": self._runtime.new_run()}
            stores.runs.add_settings(record.run, taken)
            stores.runs.resume(record.run, at=self._runtime.now())
        return self._execute(replace(record, settings=taken), observer, throttle, jobs, is_stopped)

    def dry_run(
        self,
        observer: BackfillObserver,
        *,
        throttle: Throttle | None = None,
        jobs: int | None = None,
        again: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Evaluate the sessions as `run` does, and store nothing but staged verdicts, which are deleted at the end.

        The first batch is written and rolled back, to measure it; for the others only the verdicts are computed.
        """
        with self._database.transaction(dry_run=True) as stores:
            settings = {"again": str(again or self._rules_changed(stores))}
        work = Work(run=self._runtime.new_run(), stages=[], throttle=throttle or Throttle(), is_dry_run=True)
        backfill_stages = self._stages(work, settings, jobs)
        begun_at = self._runtime.stopwatch()
        try:
            is_done = self._batch_runner.execute(work, observer, is_stopped)
        finally:
            self._service.clear_cache()
            self._span_computers.close()
            with suppress(StoreUnavailable), self._database.transaction() as stores:  # the next backfill deletes them
                stores.verdict_spans.delete(work.run)
        return _report(work, backfill_stages, is_done=is_done, seconds=self._runtime.stopwatch() - begun_at)

    def _begin(self, run: str, *, again: bool) -> RunRecord:
        now = self._runtime.now()
        with self._database.transaction() as stores:
            self._service.register_sources(stores)
            settings = {"rules": self._rules(), "again": str(again or self._rules_changed(stores)), "owner": run}
            begin_run(stores, run, RunKind.BACKFILL, at=now, settings=settings)
        return RunRecord(
            run=run,
            kind=RunKind.BACKFILL,
            state=RunState.RUNNING,
            began_at=now,
            heartbeat_at=now,
            settings=settings,
        )

    def _stages(self, work: Work, settings: Mapping[str, str], jobs: int | None) -> BackfillStages:
        jobs = jobs or self._cores
        return BackfillStages(
            work,
            self._service,
            self._verdict_applier,
            self._span_computers,
            self._runtime.clock,
            workers=Workers(
                computing=min(jobs, self._most.computing),
                writing=min(jobs, self._most.writing),
            ),
            settings=settings,
        )

    def _execute(
        self,
        record: RunRecord,
        observer: BackfillObserver,
        throttle: Throttle | None,
        jobs: int | None,
        is_stopped: Callable[[], bool],
    ) -> BackfillReport:
        work = Work(
            run=record.run,
            stages=[],
            throttle=throttle or Throttle(),
            checkpoint=Checkpoint.of(record.checkpoint),
            counts=Counter(record.counts),
            owner=record.settings["owner"],
        )
        backfill_stages = self._stages(work, record.settings, jobs)

        def end(stores: Stores, state: RunState) -> None:
            stores.counts.recount_networks(counted_at=self._runtime.now())
            if backfill_stages.learned_until is not None:
                stores.runs.add_settings(work.run, {"learned_until": backfill_stages.learned_until.isoformat()})
            if state is RunState.DONE:
                stores.verdict_spans.delete(work.run)
            work.quarantined = dict(stores.runs.quarantined_by(work.run))

        begun_at = self._runtime.stopwatch()
        try:
            if work.checkpoint.stage in {COMPUTING, APPLYING} and not self._is_staged(backfill_stages, observer):
                work.checkpoint = Checkpoint()  # a build was registered or retracted, or the staged verdicts are lost
            is_done = self._batch_runner.execute(work, observer, is_stopped, on_end=end)
        finally:
            self._span_computers.close()
        return _report(work, backfill_stages, is_done=is_done, seconds=self._runtime.stopwatch() - begun_at)

    def _is_staged(self, backfill_stages: BackfillStages, observer: BackfillObserver) -> bool:
        def is_staged() -> bool:
            with self._database.view() as stores:
                return backfill_stages.is_staged(stores)

        return self._batch_runner.retried(is_staged, observer)

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


def _report(work: Work, backfill_stages: BackfillStages, *, is_done: bool, seconds: float) -> BackfillReport:
    counts = work.counts
    return BackfillReport(
        run=work.run,
        is_done=is_done,
        judged=counts["judged"],
        sealed={m: counts[f"sealed:{m.value}"] for m in Method if counts[f"sealed:{m.value}"]},
        left_open={gap: counts[f"open:{gap.value}"] for gap in Gap if counts[f"open:{gap.value}"]},
        found=counts["found"],
        lost=counts["lost"],
        quarantined=work.quarantined,
        samples=backfill_stages.samples,
        seconds=seconds,
        written_bytes=backfill_stages.forecast_bytes,
    )
