"""Do long work in batches that can be watched, slowed down, interrupted and resumed."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Lock
from typing import NamedTuple, Protocol, TypeVar

from snapshots.app.errors import RunTaken, StoreBusy, StoreGone, StoreReplaced, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import Database, Health, Stores, WriteLock
from snapshots.app.ports.runs import RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import retry

T = TypeVar("T")

POLL_SECONDS = 0.1
"""Seconds after which somebody who rests looks whether to stop."""

MAX_PAUSE_SECONDS = 5.0
"""Seconds of work in a batch at most, where there is a rate: whoever rests long looks dead."""

FIRST_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 1000, 100, 20_000
SHRINK_FACTOR = 8
"""By how much a batch that the database refuses is made smaller, until the row that it refuses is found."""

HEALTH_BACKOFF = (1.0, 2.0, 5.0, 10.0)
"""Seconds between two looks at a database that is not well; the last one is repeated."""


class Step(NamedTuple):
    """What one batch did: the place to go on behind ("" if nothing is left), how many, and what became of them."""

    last: str
    handled: int
    counts: Mapping[str, int]


class Place(NamedTuple):
    """One session of a stage, by its place and its name."""

    place: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    A part of the work.

    Attributes:
        name: By which it is resumed.
        step: Does a batch behind a place, of at most so many, within a transaction.
        count: Returns how many there are, for whoever watches.
        first: Returns the first session behind a place, without looking at it closely; None where none is set aside.
        counts_sessions: Whether `handled` of its batches counts sessions; if not, it counts addresses.
        is_optional: Whether it is left out where there are none.
        throttle: How fast, where that is not for whoever began the work to say.
        forget: Is called when a batch was rolled back, however often it is tried again.
        before: What is done before it, and anew where it is resumed.
        beside: Opens a block in which all of that is done, maybe helped by another thread.
        go_on: Is called with the place behind a batch when that is stored, and returns the place to go on behind; ""
            if another thread has done the rest.
    """

    name: str
    step: Callable[[Stores, str, int], Step]
    count: Callable[[Stores], int]
    first: Callable[[Stores, str], Place | None] | None = None
    counts_sessions: bool = True
    is_optional: bool = False
    throttle: "Throttle | None" = None
    forget: Callable[[], None] = lambda: None
    before: "Stage | None" = None
    beside: "Callable[[Work], AbstractContextManager[object]]" = nullcontext
    go_on: Callable[[str], str] = lambda place: place


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """
    How fast to work.

    Attributes:
        batch_size: How many a batch has; None to begin with 1000 and find a size that takes about `seconds`.
        seconds: How long a batch may take.
        rate: How many a second at most; None for no bound.
    """

    batch_size: int | None = None
    seconds: float = 1.0
    rate: float | None = None

    def next_size(self, size: int, handled: int, seconds: float) -> int:
        """Return how many the next batch has: at most twice as many as this one, which took some seconds."""
        if self.batch_size is not None:
            return self.batch_size
        wanted = int(handled / max(seconds, 1e-3) * self.seconds)
        return max(min(SMALLEST_BATCH, self.largest), min(wanted, size * 2, self.largest))

    @property
    def first_size(self) -> int:
        """Return how many the first batch has."""
        return self.batch_size or min(FIRST_BATCH, self.largest)

    @property
    def largest(self) -> int:
        """Return how many a batch has at most."""
        return LARGEST_BATCH if self.rate is None else max(1, min(LARGEST_BATCH, int(self.rate * MAX_PAUSE_SECONDS)))

    def pause_after(self, handled: int, seconds: float) -> float:
        """Return for how many seconds to rest after a batch."""
        return max(0.0, handled / self.rate - seconds) if self.rate else 0.0


class BackfillObserver(Protocol):
    """Is told how work goes on; must not raise."""

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        """
        A stage of a run begins.

        Args:
            name: The stage.
            total: How many rows it handles, roughly.
            run: The run.
            counts_sessions: Whether these rows are sessions; if not, they are addresses.
        """
        ...

    def batch_done(self, handled: int, seconds: float) -> None:
        """A batch was committed."""
        ...

    def waiting_for(self, reason: str) -> None:
        """The database is not well; "" when it is again."""
        ...


class NoProgress:
    """Tells nobody how work goes on."""

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        """Do nothing."""

    def batch_done(self, handled: int, seconds: float) -> None:
        """Do nothing."""

    def waiting_for(self, reason: str) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Work:
    """
    A run that is under way, or a rehearsal of one.

    Attributes:
        run: The run that writes.
        owner: Who carries it on; a run that somebody else took over, or that was ended, is left to them.
        stages: Its parts, in order.
        throttle: How fast.
        checkpoint: Where it was left.
        counts: What it did so far.
        is_dry_run: Whether nothing is stored.
        quarantined: Sessions that the database refused, each with the reason.
        counting: Is held by the thread that writes counts, until they are stored.
        is_helped: Whether another thread works beside.
        done_beside: How many that thread did of which no observer was told.
    """

    run: str
    stages: Sequence[Stage]
    throttle: Throttle
    checkpoint: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    is_dry_run: bool = False
    quarantined: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    counting: Lock = field(default_factory=Lock)
    is_helped: bool = False
    done_beside: int = 0

    @property
    def lock(self) -> WriteLock:
        """Return who may write at the same time."""
        return WriteLock.LEADS if self.is_helped else WriteLock.ALONE

    def is_owned(self, stores: Stores) -> bool:
        """Whether the run is still under way, by this owner."""
        record = stores.runs.find(self.run)
        return (
            record is not None and record.state is RunState.RUNNING and record.settings.get("owner", "") == self.owner
        )


class BatchRunner:
    """
    Drives work through a database, one transaction a batch, each with the place up to which it is done.

    Args:
        database: Where the work is done.
        health: Tells whether the database is well.
        runtime: Clock, stopwatch, sleep and run names.
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

    def drive(self, work: Work, observer: BackfillObserver, is_stopped: Callable[[], bool]) -> bool:
        """
        Do the work from its checkpoint on.

        Returns:
            Whether it came to its end; else it was stopped, and can be resumed from its new checkpoint.

        Raises:
            RunTaken: Somebody else carries the run on, or ended it.
            StoreUnavailable: The database failed as a whole; whole batches are stored.
            SourceUnreadable: A source of facts cannot be read; likewise.
        """
        begun = json.loads(work.checkpoint) if work.checkpoint else {"stage": work.stages[0].name, "after": ""}
        names = [stage.name for stage in work.stages]
        for stage in work.stages[names.index(begun["stage"]) :]:
            after = begun["after"] if stage.name == begun["stage"] else ""
            with stage.beside(work):
                is_ready = stage.before is None or self._through(stage.before, "", work, observer, is_stopped)
                is_done = is_ready and self._through(stage, after, work, observer, is_stopped)
            self._tell(observer, work, 0, 0.0)
            if not is_done:
                return False
        return True

    @staticmethod
    def _tell(observer: BackfillObserver, work: Work, handled: int, seconds: float) -> None:
        """Tell the observer of a batch, and of what was done beside it."""
        with work.counting:
            handled, work.done_beside = handled + work.done_beside, 0
        if handled or seconds:
            observer.batch_done(handled, seconds)

    def _through(
        self, stage: Stage, after: str, work: Work, observer: BackfillObserver, is_stopped: Callable[[], bool]
    ) -> bool:
        throttle = stage.throttle or work.throttle
        total = self.retried(partial(self._count, stage), observer, is_stopped)
        if not total and stage.is_optional:
            return True
        is_prelude = stage.name not in {each.name for each in work.stages}
        observer.stage_begun(
            stage.name,
            total + (0 if is_prelude else work.done_beside),
            run=work.run,
            counts_sessions=stage.counts_sessions,
        )
        if not is_prelude:
            self._tell(observer, work, 0, 0.0)
        size = limit = throttle.first_size
        while True:
            if is_stopped() or not self._is_well(observer, is_stopped):
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
                after = self._set_aside(stage, after, work, str(error))
                continue
            seconds = self._runtime.stopwatch() - begun_at
            if is_prelude:
                observer.batch_done(step.handled, seconds)
            else:
                self._tell(observer, work, step.handled, seconds)
            if not step.last or not (after := stage.go_on(step.last)):
                return True
            size = throttle.next_size(size, step.handled, seconds) if limit == size else size
            limit = min(size, limit * SHRINK_FACTOR)
            self._rest(throttle.pause_after(step.handled, seconds), is_stopped)

    def retried(
        self, act: Callable[[], T], observer: BackfillObserver, is_stopped: Callable[[], bool] = lambda: False
    ) -> T:
        """
        Return what a transaction returns, retried while the database is busy or cannot be reached.

        Raises:
            StoreBusy: Others held locks to the last.
            StoreGone: The database could not be reached to the last.
        """
        return retry(act, partial(self._rest, is_stopped=is_stopped), observer.waiting_for)

    def _count(self, stage: Stage) -> int:
        with self._database.view() as stores:
            return stage.count(stores)

    def _rest(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        """Sleep, but wake up soon when told to stop."""
        while seconds > 0 and not is_stopped():
            self._runtime.sleep(min(seconds, POLL_SECONDS))
            seconds -= POLL_SECONDS

    def _batch(self, stage: Stage, after: str, limit: int, work: Work) -> Step:
        try:
            return self._committed(stage, after, limit, work)
        except BaseException:
            stage.forget()
            raise

    def _committed(self, stage: Stage, after: str, limit: int, work: Work) -> Step:
        with ExitStack() as until_committed:
            with self._database.transaction(dry_run=work.is_dry_run, lock=work.lock) as stores:
                if not work.is_dry_run and not work.is_owned(stores):
                    raise RunTaken(f"the run {work.run} was ended, or is carried on by another process")
                if not work.is_dry_run and not work.is_helped:
                    # Written before anybody reads ahead: SQLite's log begins anew only while nobody reads it.
                    stores.runs.record_progress(work.run, None, at=self._runtime.now())
                step = stage.step(stores, after, limit)
                until_committed.enter_context(work.counting)
                if not work.is_dry_run:
                    counts, checkpoint = (
                        work.counts + Counter(step.counts),
                        checkpoint_after(work, stage.name, step.last),
                    )
                    stores.runs.record_progress(work.run, counts, at=self._runtime.now(), checkpoint=checkpoint)
            work.counts.update(step.counts)
        return step

    def _set_aside(self, stage: Stage, after: str, work: Work, reason: str) -> str:
        """Go on without the session that the database refuses, unless it is the database that does not answer."""
        now: datetime = self._runtime.now()
        with (
            ExitStack() as until_committed,
            self._database.transaction(dry_run=work.is_dry_run, lock=work.lock) as stores,
        ):
            refused = stage.first(stores, after) if stage.first is not None else None
            if refused is None:
                raise StoreUnavailable(reason)
            until_committed.enter_context(work.counting)
            work.counts["quarantined"] += 1
            work.quarantined[refused.session_id] = reason
            if not work.is_dry_run:
                stores.runs.quarantine(work.run, refused.session_id, reason, at=now)
                checkpoint = checkpoint_after(work, stage.name, refused.place)
                stores.runs.record_progress(work.run, work.counts, at=now, checkpoint=checkpoint)
        return refused.place

    def _is_well(self, observer: BackfillObserver, is_stopped: Callable[[], bool]) -> bool:
        """Wait until the database is well; return whether it is, and nobody stopped the work."""
        waited = 0
        while trouble := self.retried(self._health.trouble, observer, is_stopped):
            observer.waiting_for(trouble)
            self._rest(HEALTH_BACKOFF[min(waited, len(HEALTH_BACKOFF) - 1)], is_stopped)
            waited += 1
            if is_stopped():
                return False
        if waited:
            observer.waiting_for("")
        return True


def checkpoint_after(work: Work, stage: str, last: str) -> str | None:
    """
    Return the checkpoint of work after a batch; after the last one of a stage it is the start of the next.

    Args:
        work: The work.
        stage: The name of the stage.
        last: The place behind the batch; "" if nothing is left.
    """
    names = [each.name for each in work.stages]
    if stage not in names:
        return None  # what is done before one is done anew
    if last:
        return json.dumps({"stage": stage, "after": last})
    following = names[names.index(stage) + 1 :]
    return json.dumps({"stage": following[0] if following else stage, "after": "" if following else END})


END = "\U0010ffff"
"""Behind every place."""
