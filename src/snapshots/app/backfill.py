"""Give stored sessions the snapshot that they lack: watched, resumable, and the same when it is rehearsed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from hashlib import blake2b

from snapshots.app.ahead import ReadAhead
from snapshots.app.complete import SIGN_OF_LIFE
from snapshots.app.enrich import SnapshotService
from snapshots.app.errors import NoSuchRun
from snapshots.app.ports import Clock, Database, Stores
from snapshots.app.run_ports import RunKind, RunRecord, RunState
from snapshots.app.session_ports import Judged, OpenCase
from snapshots.app.settle import FoundPage, SettledPage, Settling, verdicts_in
from snapshots.app.steering import Pace, Place, Stage, Steering, Step, Work, WorkObserver
from snapshots.app.store_first import StoreFirst, counts_of
from snapshots.domain.gap import Gap
from snapshots.domain.snapshot import Method

SAMPLES = 5
COUNTED = 10_000
"""Of how many addresses the sessions are counted in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """
    What a backfill did, or would do.

    Attributes:
        run: The run that wrote; its name means nothing after a rehearsal.
        is_done: Whether it came to its end; else it can be resumed.
        judged: Sessions that were looked at.
        sealed: Those that received their snapshot, by its method.
        left_open: Those that did not, by the reason.
        found: Those whose address was found elsewhere than in their row.
        lost: Those that somebody else sealed or changed in between; they count among the judged only.
        set_aside: Those that the database refused, each with its reason.
        samples: Some of the judged, of every verdict.
        seconds: How long it took.
        written_bytes: How many bytes the database writes to its log for each session, as far as it can tell.
    """

    run: str
    is_done: bool
    judged: int = 0
    sealed: Mapping[Method, int] = field(default_factory=dict)
    left_open: Mapping[Gap, int] = field(default_factory=dict)
    found: int = 0
    lost: int = 0
    set_aside: Mapping[str, str] = field(default_factory=dict)
    samples: Sequence[Judged] = ()
    seconds: float = 0.0
    written_bytes: float | None = None


class BackfillSnapshots:
    """
    Judges every open session that another loader left, that an undo opened, or that may be judged otherwise by now.

    Args:
        database: Where the sessions are.
        service: Gives the snapshots.
        settling: Judges a page of sessions, and writes.
        steering: Drives the batches.
        clock: Tells when something was done.
        stopwatch: Returns seconds from an arbitrary start.
        new_run: Makes the name of a run.
        ahead: Reads the next batch while one is written.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        settling: Settling,
        steering: Steering,
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
        new_run: Callable[[], str],
        ahead: ReadAhead[FoundPage],
    ) -> None:
        self._database = database
        self._service = service
        self._settling = settling
        self._steering = steering
        self._clock = clock
        self._stopwatch = stopwatch
        self._new_run = new_run
        self._ahead = ahead

    def run(
        self,
        observer: WorkObserver,
        *,
        pace: Pace | None = None,
        again: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Backfill until nothing is left to judge, or until it is stopped.

        Args:
            observer: Is told how it goes on.
            pace: How fast.
            again: Also judge sessions again of whose address nothing was learned since.
            is_stopped: Says whether to stop after the batch in hand.

        Raises:
            StoreUnavailable: The database failed as a whole; whole batches are stored, and `resume` goes on.
            SourceUnreadable: A source of facts cannot be read; likewise.
        """
        run, now = self._new_run(), self._clock.now()
        with self._database.transaction() as stores:
            settings = {"rules": self._rules(), "again": str(again or self._rules_changed(stores)), "owner": run}
            stores.runs.begin(run, RunKind.BACKFILL, at=now, settings=settings)
        record = RunRecord(
            run=run, kind=RunKind.BACKFILL, state=RunState.RUNNING, began_at=now, heard_at=now, settings=settings
        )
        return self._carry_on(record, observer, pace or Pace(), is_stopped)

    def resume(
        self,
        run: str | None,
        observer: WorkObserver,
        *,
        pace: Pace | None = None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> BackfillReport:
        """
        Go on with a backfill that was stopped or died. If it is still under way, the process that did it stops.

        Args:
            run: Its name; None for the newest that did not come to its end.
            observer: Is told how it goes on.
            pace: How fast.
            is_stopped: Says whether to stop after the batch in hand.

        Raises:
            NoSuchRun: There is none to resume, or it was judged by other rules.
            StoreUnavailable: As for `run`.
            SourceUnreadable: As for `run`.
        """
        with self._database.transaction() as stores:
            record = _resumable(stores, run)
            if record.settings.get("rules") != self._rules():
                raise NoSuchRun(f"the run {record.run} works by other settings than these; begin a new one")
            taken = {**record.settings, "owner": self._new_run()}
            stores.runs.remember(record.run, taken)
            stores.runs.resume(record.run, at=self._clock.now())
        return self._carry_on(replace(record, settings=taken), observer, pace or Pace(), is_stopped)

    def rehearse(
        self, observer: WorkObserver, *, again: bool = False, is_stopped: Callable[[], bool] = lambda: False
    ) -> BackfillReport:
        """
        Do what `run` does but store nothing, and return what it would do.

        The first batch is written and rolled back, to measure it; of the others only the verdicts are reached.
        """
        with self._database.transaction(rehearse=True) as stores:
            settings = {"again": str(again or self._rules_changed(stores))}
        journey = self._journey(self._new_run(), is_rehearsal=True)
        work = Work(run=journey.run, stages=journey.stages(settings), pace=Pace(), is_rehearsal=True)
        begun_at = self._stopwatch()
        try:
            is_done = self._steering.drive(work, observer, is_stopped)
        finally:
            self._service.forget()
        return journey.report(work, is_done=is_done, seconds=self._stopwatch() - begun_at)

    def _carry_on(
        self, record: RunRecord, observer: WorkObserver, pace: Pace, is_stopped: Callable[[], bool]
    ) -> BackfillReport:
        journey = self._journey(record.run)
        work = Work(
            run=record.run,
            stages=journey.stages(record.settings),
            pace=pace,
            position=record.position,
            counts=Counter(record.counts),
            owner=record.settings["owner"],
        )
        begun_at, state = self._stopwatch(), RunState.FAILED
        try:
            is_done = self._steering.drive(work, observer, is_stopped)
            state = RunState.DONE if is_done else RunState.INTERRUPTED
        finally:
            with self._database.transaction() as stores:
                now = self._clock.now()
                stores.counts.recount_networks(counted_at=now)
                if work.is_owned(stores):
                    if journey.learned_until is not None:
                        stores.runs.remember(record.run, {"learned_until": journey.learned_until.isoformat()})
                    stores.runs.end(record.run, state, at=now)
                work.set_aside = dict(stores.runs.set_aside_by(record.run))
        return journey.report(work, is_done=is_done, seconds=self._stopwatch() - begun_at)

    def _journey(self, run: str, *, is_rehearsal: bool = False) -> "_Journey":
        self._ahead.drop()
        return _Journey(run, self._database, self._settling, self._clock, self._ahead, is_rehearsal=is_rehearsal)

    def _rules(self) -> str:
        return blake2b(self._service.rules.encode(), digest_size=8).hexdigest()

    def _rules_changed(self, stores: Stores) -> bool:
        last = _last_done(stores)
        return last is None or last.settings.get("rules") != self._rules()


class _Journey:
    """One backfill on its way: its stages, and what is remembered from batch to batch."""

    def __init__(
        self,
        run: str,
        database: Database,
        settling: Settling,
        clock: Clock,
        ahead: ReadAhead[FoundPage],
        *,
        is_rehearsal: bool = False,
    ) -> None:
        self.run = run
        self._database = database
        self._ahead = ahead
        self.learned_until: datetime | None = None
        self._settling = settling
        self._clock = clock
        self._is_rehearsal = is_rehearsal
        self._samples: dict[object, list[Judged]] = {}
        self._written_bytes: float | None = None
        self._is_measured = False
        self._store = StoreFirst(settling, run)

    def stages(self, settings: Mapping[str, str]) -> list[Stage]:
        is_again = settings.get("again") == "True"
        cases = [OpenCase.NEVER_JUDGED, OpenCase.UNDONE, OpenCase.AGAIN if is_again else OpenCase.LEARNED]
        if self._is_rehearsal:
            return [self._stage(case) for case in cases]
        if is_again:  # what the run judged itself is not judged again, unless something was learned in between
            cases.append(OpenCase.LEARNED)
        # Rows may have moved in their table, or come in, since the first pass went by.
        passes = [*(self._stage(case) for case in cases), self._stage(OpenCase.NEVER_JUDGED, "once_more")]
        return [*passes, Stage(name="count", step=self._count, count=lambda _: 0)]

    def _stage(self, case: OpenCase, name: str | None = None) -> Stage:
        def step(stores: Stores, after: str, limit: int) -> Step:
            return self._step(case, stores, after, limit)

        def first(stores: Stores, after: str) -> Place | None:
            found = stores.open_sessions.first(case, run=self.run, silent_since=self._silent_since(), after=after)
            return Place(*found) if found is not None else None

        def count(stores: Stores) -> int:
            return stores.open_sessions.count(case, run=self.run, silent_since=self._silent_since())

        return Stage(name=name or case.value, step=step, first=first, count=count, forget=self._settling.forget)

    def _silent_since(self) -> datetime:
        return self._clock.now() - SIGN_OF_LIFE

    def _step(self, case: OpenCase, stores: Stores, after: str, limit: int) -> Step:
        if case is OpenCase.LEARNED and not after:
            self.learned_until = stores.inventory.learned_last()
        if case is OpenCase.LEARNED and self._nothing_was_learned(stores):
            return Step("", 0, {})
        now = self._clock.now()
        log_before = stores.log_position()
        known = None
        if case is OpenCase.NEVER_JUDGED and not self._is_rehearsal:
            known = self._store.settle(stores, now=now, after=after, limit=limit)
        counts = counts_of(known)
        if known is not None and not known.left:
            return Step(known.last, counts["judged"], counts)
        found = self._ahead.take((case, after))
        if found is None or len(found.sessions) > limit:  # fewer are looked at where some were refused
            found = self._read(case, stores, after, known.left if known is not None else limit)
        if known is not None:
            found = found._replace(last=known.last)
        page = self._settling.settle(
            found,
            stores,
            run=self.run,
            now=now,
            is_rehearsal=self._is_rehearsal,
            writes=not self._is_rehearsal or not self._is_measured,
            meanwhile=partial(self._read_on, case, found.last, limit),
        )
        counts += self._counts_of(page)
        log_after = stores.log_position()
        if page.judged and not self._is_measured:
            self._is_measured = True
            if log_before is not None and log_after is not None:
                self._written_bytes = (log_after - log_before) / counts["judged"]
        return Step(page.last, counts["judged"], counts)

    def _counts_of(self, page: SettledPage) -> Counter[str]:
        """Return what the program settled, and keep some of it to be shown."""
        for each in page.judged:
            of_its_kind = self._samples.setdefault(_kind(each), [])
            if len(of_its_kind) < SAMPLES:
                of_its_kind.append(each)
        written = [each for each in page.judged if each.session.session_id not in page.lost]
        return verdicts_in(written) + Counter(
            judged=len(page.judged), lost=len(page.lost), found=sum(each.was_found for each in written)
        )

    def _read(self, case: OpenCase, stores: Stores, after: str, limit: int, *, is_ahead: bool = False) -> FoundPage:
        return self._settling.read(
            case, stores, run=self.run, silent_since=self._silent_since(), after=after, limit=limit, is_ahead=is_ahead
        )

    def _read_on(self, case: OpenCase, after: str, limit: int) -> None:
        """Begin to read the next page, where there may be as many as the table has rows and the program judges them."""
        if after and case is OpenCase.NEVER_JUDGED and (self._is_rehearsal or not self._store.is_asked_next):
            self._ahead.begin((case, after), partial(self._read_beside, case, after, limit))

    def _read_beside(self, case: OpenCase, after: str, limit: int) -> FoundPage:
        """Read a page before the one in front of it is written: what changes until its turn is not overwritten."""
        with self._database.view() as stores:
            return self._read(case, stores, after, limit, is_ahead=True)

    @staticmethod
    def _nothing_was_learned(stores: Stores) -> bool:
        """Whether no address learned anything since the last backfill that looked at all of them."""
        done = _last_done(stores)
        known = done.settings.get("learned_until") if done is not None else None
        last = stores.inventory.learned_last()
        return known is not None and last is not None and known == last.isoformat()

    def _count(self, stores: Stores, after: str, _: int) -> Step:
        """Count the sessions whose address the run found, on a page of addresses."""
        last = stores.counts.count_found(self.run, after=after, limit=COUNTED, seen_at=self._clock.now())
        return Step(last, 0, {})

    def report(self, work: Work, *, is_done: bool, seconds: float) -> BackfillReport:
        counts = work.counts
        return BackfillReport(
            run=self.run,
            is_done=is_done,
            judged=counts["judged"],
            sealed={m: counts[f"sealed:{m.value}"] for m in Method if counts[f"sealed:{m.value}"]},
            left_open={gap: counts[f"open:{gap.value}"] for gap in Gap if counts[f"open:{gap.value}"]},
            found=counts["found"],
            lost=counts["lost"],
            set_aside=work.set_aside,
            samples=[each for of_its_kind in self._samples.values() for each in of_its_kind],
            seconds=seconds,
            written_bytes=self._written_bytes,
        )


def _kind(judged: Judged) -> object:
    return judged.verdict if isinstance(judged.verdict, Gap) else judged.verdict.method


def _last_done(stores: Stores) -> RunRecord | None:
    """Return the newest backfill that came to its end."""
    runs = stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL])
    return next((record for record in runs if record.state is RunState.DONE), None)


def _resumable(stores: Stores, run: str | None) -> RunRecord:
    if run is None:
        ended = (RunState.DONE, RunState.UNDONE)
        left = [r for r in stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL]) if r.state not in ended]
        if not left:
            raise NoSuchRun("there is no backfill to resume")
        return left[0]
    record = stores.runs.find(run)
    if record is None or record.kind is not RunKind.BACKFILL or record.state in {RunState.DONE, RunState.UNDONE}:
        raise NoSuchRun(f"there is no backfill {run} to resume")
    return record
