"""Complete open sessions whose address has facts that are newer than their gap."""

from dataclasses import dataclass
from datetime import datetime

from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.liveness import begin_run, failing
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.open_sessions import OpenCase
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.domain.snapshot.snapshot import IpSnapshot

PAGE = 1000

SCANNED = "completed_until"
"""Key under which a load stores the newest learned_at before it searched for sessions to complete."""

LATEST = 100
"""Number of newest loads that are searched for the last position, as clocks may disagree about their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """
    Result of a completion.

    Attributes:
        run: The run that wrote; None if there was nothing to do.
        judged: Sessions whose verdict was computed again.
        sealed: Those that received their snapshot.
    """

    run: str | None = None
    judged: int = 0
    sealed: int = 0


class LateCompletion:
    """
    Computes the verdict on open sessions again, once after each change of facts about their address.

    Args:
        database: Holds the sessions.
        verdict_applier: Computes and writes the verdicts on a page.
        runtime: Clock, stopwatch, sleep and run names.
    """

    def __init__(self, database: Database, verdict_applier: VerdictApplier, *, runtime: Runtime) -> None:
        self._database = database
        self._verdict_applier = verdict_applier
        self._runtime = runtime

    def complete(self, *, by: str | None = None) -> Completed:
        """
        Complete open sessions with new facts, one transaction per page.

        Args:
            by: The load, which starts at the position of earlier loads and stores its own; None to search everything.

        Raises:
            StoreUnavailable: The database failed; completed pages are stored, and a repeated call continues.
        """
        try:
            if by is None:
                return self._completed()
            with self._database.transaction() as stores:
                until = stores.inventory.learned_last()
                is_needed = stores.open_sessions.may_have_learned(since=_scanned(stores))
            done = self._completed() if is_needed else Completed()
            with self._database.transaction() as stores:
                if until is not None:
                    stores.runs.add_settings(by, {SCANNED: until.isoformat()})
        except BaseException:
            self._verdict_applier.clear_cache()
            raise
        return done

    def _completed(self) -> Completed:
        run, after, judged, sealed = self._runtime.new_run(), "", 0, 0
        with failing(run, self._database, self._runtime.clock):
            while True:
                now = self._runtime.now()
                with self._database.transaction() as stores:
                    page = self._verdict_applier.apply_page(
                        OpenCase.LEARNED, stores, run=run, now=now, after=after, limit=PAGE
                    )
                    if page.judged and not judged:
                        begin_run(stores, run, RunKind.LATE, at=now)
                    judged += len(page.judged)
                    sealed += sum(isinstance(each.verdict, IpSnapshot) for each in page.written)
                    if judged:
                        stores.runs.record_progress(run, {"judged": judged, "sealed": sealed}, at=now)
                    if not page.last:
                        if judged:
                            stores.runs.end(run, RunState.DONE, at=now)
                        return Completed(run=run if judged else None, judged=judged, sealed=sealed)
                after = page.last


def _scanned(stores: Stores) -> datetime | None:
    """Return the newest stored position of the newest loads; None if there is none."""
    loads = stores.runs.latest(limit=LATEST, kinds=[RunKind.LOAD])
    kept = [datetime.fromisoformat(load.settings[SCANNED]) for load in loads if SCANNED in load.settings]
    return max(kept, default=None)
