"""Replace snapshots by better ones on request of an operator, with an audit row each."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import BatchResult, RowRef, Stage, Work, writing
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.liveness import begin_run
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.runs import RunKind
from snapshots.app.ports.runtime import Runtime
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot

REASON = "improve"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImproveReport:
    """
    The result of an improvement or of its dry run.

    Attributes:
        run: The run that wrote; after a dry run the name is not stored.
        is_done: Whether it is complete.
        looked_at: Sealed sessions that were evaluated.
        improved: Sessions with a better snapshot, by the gain: "inferred to asof" or "more facts".
        quarantined: Sessions that the database refused, each with the reason.
    """

    run: str
    is_done: bool
    looked_at: int = 0
    improved: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)


class ImproveSnapshots:
    """
    Evaluates sealed sessions again, and replaces snapshots that `SnapshotPolicy.improves`, through the audit.

    Args:
        database: The database.
        service: Computes verdicts.
        policy: Decides which snapshot is better.
        batch_runner: Executes the batches.
        runtime: Clock, stopwatch, sleep and run names.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        policy: SnapshotPolicy,
        batch_runner: BatchRunner,
        *,
        runtime: Runtime,
    ) -> None:
        self._database = database
        self._service = service
        self._policy = policy
        self._batch_runner = batch_runner
        self._runtime = runtime

    def run(
        self,
        observer: BackfillObserver,
        *,
        throttle: Throttle | None = None,
        is_dry_run: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> ImproveReport:
        """
        Evaluate every sealed session, until complete or stopped; a new call starts from the beginning.

        Raises:
            StoreUnavailable: The database failed; committed batches are kept.
            SourceUnreadable: A data source cannot be read; committed batches are kept.
        """
        work = Work(run=self._runtime.new_run(), stages=[], throttle=throttle or Throttle(), is_dry_run=is_dry_run)
        work.stages = [
            Stage(
                name=REASON,
                batch=writing(self._write(work)),
                first=self._first,
                count=lambda _: 0,
                on_rollback=self._service.clear_cache,
            )
        ]
        if not is_dry_run:
            self._batch_runner.retried(partial(self._begin, work.run), observer, is_stopped)
        try:
            is_done = self._batch_runner.execute(work, observer, is_stopped)
        finally:
            if is_dry_run:
                self._service.clear_cache()
        improved = {name: count for name, count in work.counts.items() if name not in {"looked_at", "quarantined"}}
        return ImproveReport(
            run=work.run,
            is_done=is_done,
            looked_at=work.counts["looked_at"],
            improved=improved,
            quarantined=work.quarantined,
        )

    def _begin(self, run: str) -> None:
        with self._database.transaction() as stores:
            begin_run(stores, run, RunKind.IMPROVE, at=self._runtime.now())

    def _write(self, work: Work) -> Callable[[Stores, KeyRange, int], BatchResult]:
        def write(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
            page = stores.audit.sealed(after=within.after, limit=limit)
            sightings = [session.sighting for session in page.sessions]
            verdicts = self._service.judge_stored(sightings, stores, is_dry_run=work.is_dry_run)
            better: dict[str, IpSnapshot] = {}
            counts: Counter[str] = Counter(looked_at=len(page.sessions))
            for session, offered in zip(page.sessions, verdicts, strict=True):
                if isinstance(offered, IpSnapshot) and self._policy.improves(session.snapshot, offered):
                    better[session.session_id] = offered
                    counts[_gain(session.snapshot, offered)] += 1
            stores.audit.replace(better, reason=REASON, run=work.run, made_at=self._runtime.now())
            return BatchResult(page.last, len(page.sessions), counts)

        return write

    @staticmethod
    def _first(stores: Stores, within: KeyRange) -> RowRef | None:
        page = stores.audit.sealed(after=within.after, limit=1)
        return RowRef(page.last, page.sessions[0].session_id) if page.sessions else None


def _gain(held: IpSnapshot, offered: IpSnapshot) -> str:
    return "more facts" if held.method is offered.method else f"{held.method.value} to {offered.method.value}"
