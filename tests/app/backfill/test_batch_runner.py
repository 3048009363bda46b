"""Long work in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from signal import SIGINT, pthread_kill
from threading import Event, Thread, get_ident

import pytest

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.throttle import FIRST_BATCH, LARGEST_BATCH, SMALLEST_BATCH, Throttle
from snapshots.app.backfill.work import NOTHING_LEFT, BatchResult, RowRef, Stage, Work, Write, writing
from snapshots.app.backfill_runs import Checkpoint
from snapshots.app.errors import StoreBusy, StoreGone, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import Stores, WriteLock
from snapshots.app.ports.key_range import WHOLE, KeyRange
from snapshots.app.ports.runs import RunKind
from tests.fakes import InMemoryDatabase, InMemoryStores, runtime
from tests.strategies import NOON


class RecordedProgress:
    """Records its calls."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.handled: list[int] = []
        self.waits: list[str] = []
        self.runs: set[str] = set()
        self.stages_of_addresses: list[str] = []

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        self.runs.add(run)
        self.stages.append((name, total))
        if not counts_sessions:
            self.stages_of_addresses.append(name)

    def batch_done(self, handled: int, seconds: float) -> None:
        self.handled.append(handled)

    def waiting_for(self, reason: str) -> None:
        self.waits.append(reason)


class OverloadedHealth:
    """A database that is overloaded for some checks."""

    def __init__(self, *troubles: str) -> None:
        self.troubles = list(troubles)

    def trouble(self) -> str:
        return self.troubles.pop(0) if self.troubles else ""


class Numbers:
    """Work over numbers; some of them the database refuses."""

    def __init__(self, count: int, refused: frozenset[int] = frozenset()) -> None:
        self.numbers = range(count)
        self.refused = refused
        self.done: list[int] = []

    def stage(self, name: str = "numbers") -> Stage:
        return Stage(name=name, batch=writing(self.step), first=self.first, count=lambda _: len(self.numbers))

    def step(self, stores: Stores, within: KeyRange, limit: int) -> BatchResult:
        page = self._in(within)[:limit]
        if self.refused & set(page):
            raise StoreUnavailable("a check failed")
        self.done += page
        return BatchResult(str(page[-1]) if page else "", len(page), {"done": len(page)})

    def first(self, stores: Stores, within: KeyRange) -> RowRef | None:
        left = self._in(within)
        return RowRef(str(left[0]), f"s{left[0]}") if left else None

    def _in(self, within: KeyRange) -> list[int]:
        after, until = int(within.after or -1), int(within.until or len(self.numbers))
        return [n for n in self.numbers if after < n <= until]


class Slept(list[float]):
    """The durations of all sleeps."""


def batch_runner(
    database: InMemoryDatabase | None = None, *, health: OverloadedHealth | None = None, slept: Slept | None = None
) -> BatchRunner:
    seconds = iter(range(1_000_000))
    return BatchRunner(
        database or InMemoryDatabase(),
        health or OverloadedHealth(),
        runtime=runtime(stopwatch=lambda: float(next(seconds)), sleep=(slept if slept is not None else Slept()).append),
    )


def begun(database: InMemoryDatabase, *stages: Stage, throttle: Throttle | None = None, checkpoint: str = "") -> Work:
    with database.transaction() as stores:
        if stores.runs.find("r") is None:
            stores.runs.begin("r", RunKind.BACKFILL, at=NOON)
    return Work(
        run="r", stages=stages, throttle=throttle or Throttle(batch_size=10), checkpoint=Checkpoint.of(checkpoint)
    )


def never() -> bool:
    return False


def test_every_session_is_processed_once_and_the_run_completes() -> None:
    """Stage after stage, batch after batch."""
    database, observed, one, two = InMemoryDatabase(), RecordedProgress(), Numbers(25), Numbers(3)
    work = begun(database, one.stage("one"), two.stage("two"))

    assert batch_runner(database).run_stages(work, observed, never)

    assert (one.done, two.done) == (list(range(25)), list(range(3)))
    assert observed.stages == [("one", 25), ("two", 3)]
    assert observed.handled == [10, 10, 5, 0, 3, 0]
    assert work.counts["done"] == 28
    assert database.memory.counts["r"] == {"done": 28}


def test_the_cache_is_cleared_after_every_rollback_of_a_batch() -> None:
    """Facts that the batch learned are not stored."""
    database, numbers, events = InMemoryDatabase(), Numbers(25, refused=frozenset({3})), list[str]()

    def step(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
        events.append("tried")
        done = numbers.step(stores, within, limit)
        events.pop()
        return done

    stage = replace(numbers.stage(), batch=writing(step), on_rollback=lambda: events.append("forgotten"))
    assert batch_runner(database).run_stages(begun(database, stage), RecordedProgress(), never)

    assert events
    assert events == ["tried", "forgotten"] * (len(events) // 2)
    assert numbers.done == [n for n in range(25) if n != 3]


@pytest.mark.parametrize("batches", range(9))
def test_stopped_work_resumes_at_its_checkpoint(batches: int) -> None:
    """Wherever it was stopped, no row is processed twice and none is missed."""
    database, one, two = InMemoryDatabase(), Numbers(25), Numbers(13)
    left = iter([False] * batches)
    is_done = batch_runner(database).run_stages(
        begun(database, one.stage("one"), two.stage("two")), RecordedProgress(), lambda: next(left, True)
    )

    record = database.memory.records["r"]
    again = begun(database, one.stage("one"), two.stage("two"), checkpoint=record.checkpoint)
    assert batch_runner(database).run_stages(again, RecordedProgress(), never)

    assert is_done == (batches >= 7)
    assert (one.done, two.done) == (list(range(25)), list(range(13)))


def test_completed_work_is_not_repeated() -> None:
    """Its checkpoint has no range left."""
    database, one = InMemoryDatabase(), Numbers(5)
    batch_runner(database).run_stages(begun(database, one.stage()), RecordedProgress(), never)

    checkpoint = database.memory.records["r"].checkpoint
    assert Checkpoint.of(checkpoint) == Checkpoint("numbers", ())
    again = begun(database, one.stage(), checkpoint=checkpoint)
    assert batch_runner(database).run_stages(again, RecordedProgress(), never)

    assert one.done == list(range(5))


@pytest.mark.parametrize("refused", [frozenset({0}), frozenset({7, 8, 22}), frozenset({24}), frozenset(range(25))])
def test_a_row_that_the_database_refuses_is_quarantined_and_the_work_continues(refused: frozenset[int]) -> None:
    """One invalid row once stopped a backfill, or was retried without end."""
    database, numbers = InMemoryDatabase(), Numbers(25, refused)
    work = begun(database, numbers.stage())

    assert batch_runner(database).run_stages(work, RecordedProgress(), never)

    assert numbers.done == [n for n in range(25) if n not in refused]
    assert work.quarantined == {f"s{n}": "a check failed" for n in sorted(refused)}
    assert database.memory.quarantined == {("r", f"s{n}"): "a check failed" for n in refused}
    assert work.counts["quarantined"] == len(refused)


def test_batches_grow_again_step_by_step_after_a_refusal() -> None:
    """The next row may be refused too, and a full batch would fail again."""
    database, numbers, observed = InMemoryDatabase(), Numbers(300, frozenset({0})), RecordedProgress()
    work = begun(database, numbers.stage(), throttle=Throttle(batch_size=100))

    assert batch_runner(database).run_stages(work, observed, never)

    assert [handled for handled in observed.handled if handled] == [1, 8, 64, 100, 100, 26]


def test_a_dry_run_writes_no_rows() -> None:
    """Neither the run nor its quarantined sessions."""
    database, numbers = InMemoryDatabase(), Numbers(5, frozenset({2}))
    work = Work(run="r", stages=[numbers.stage()], throttle=Throttle(), is_dry_run=True)

    assert batch_runner(database).run_stages(work, RecordedProgress(), never)

    assert work.counts == {"done": 4, "quarantined": 1}
    assert not database.memory.records
    assert not database.memory.quarantined


def test_a_database_that_fails_as_a_whole_ends_the_work() -> None:
    """There is no row to quarantine."""

    def fail(*_: object) -> BatchResult:
        raise StoreUnavailable("gone")

    for first in (None, lambda _stores, _within: None):
        stage = Stage(name="x", batch=writing(fail), count=lambda _: 0, first=first)
        database = InMemoryDatabase()

        with pytest.raises(StoreUnavailable, match="gone"):
            batch_runner(database).run_stages(begun(database, stage), RecordedProgress(), never)


def test_work_ends_at_once_where_every_batch_would_fail() -> None:
    """A right is missing or the disk is full: no smaller batch is tried, and no session is quarantined."""
    numbers, tries = Numbers(5), list[int]()

    def fail(_stores: Stores, _within: KeyRange, limit: int) -> BatchResult:
        tries.append(limit)
        raise StoreUnusable("permission denied")

    work = begun(InMemoryDatabase(), replace(numbers.stage(), batch=writing(fail)))

    with pytest.raises(StoreUnusable, match="permission denied"):
        batch_runner(InMemoryDatabase()).run_stages(replace(work, is_dry_run=True), RecordedProgress(), never)

    assert len(tries) == 1
    assert not work.quarantined


class LockConflicts(InMemoryDatabase):
    """A database on which another program causes some lock conflicts."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.error: type[StoreUnavailable] = StoreBusy

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> Iterator[InMemoryStores]:
        with super().transaction(connection, dry_run=dry_run) as stores:
            yield stores
            if self.times and not dry_run:
                self.times -= 1
                raise self.error("locked")


@pytest.mark.parametrize(
    ("error", "times", "is_done"),
    [(StoreBusy, 4, True), (StoreBusy, 9, False), (StoreGone, 8, True), (StoreGone, 9, False)],
)
def test_a_batch_with_a_lock_conflict_is_retried_after_a_pause(
    error: type[StoreUnavailable], times: int, *, is_done: bool
) -> None:
    """If the conflict persists, the work fails; no session is quarantined because the server was down."""
    database, slept = LockConflicts(0), Slept()
    database.error = error
    work = begun(database, Numbers(5).stage())
    database.times = times

    if is_done:
        assert batch_runner(database, slept=slept).run_stages(work, RecordedProgress(), never)
        assert sum(slept) == pytest.approx({StoreBusy: 3.7, StoreGone: 100.0}[error])
    else:
        with pytest.raises(error):
            batch_runner(database, slept=slept).run_stages(work, RecordedProgress(), never)
    assert not work.quarantined


def test_work_pauses_while_the_database_is_overloaded_and_reports_why() -> None:
    """Each reason is reported while it holds; then the work continues."""
    database, slept, observed = InMemoryDatabase(), Slept(), RecordedProgress()
    health = OverloadedHealth("a replica is 90 s behind", "a replica is 60 s behind", "")

    assert batch_runner(database, health=health, slept=slept).run_stages(
        begun(database, Numbers(3).stage()), observed, never
    )

    assert observed.waits == ["a replica is 90 s behind", "a replica is 60 s behind", ""]
    assert sum(slept) == pytest.approx(3.0)


def test_waiting_work_can_be_stopped() -> None:
    """A stop request ends a pause."""
    database, numbers = InMemoryDatabase(), Numbers(3)
    left = iter([False])

    done = batch_runner(database, health=OverloadedHealth("ill", "ill")).run_stages(
        begun(database, numbers.stage()), RecordedProgress(), lambda: next(left, True)
    )

    assert (done, numbers.done) == (False, [])


def ranges_of(count: int, size: int) -> list[KeyRange]:
    ends = [str(end) for end in range(size - 1, count - 1, size)]
    return [KeyRange(after, until) for after, until in pairwise(["", *ends, ""])]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("refused", [frozenset[int](), frozenset({0, 41, 42, 99})])
def test_workers_share_the_ranges_of_a_stage(workers: int, refused: frozenset[int]) -> None:
    """Each row is processed once, and refused rows are quarantined."""
    database, numbers = InMemoryDatabase(), Numbers(100, refused)
    stage = replace(numbers.stage(), workers=workers, ranges=lambda _: ranges_of(100, 15))
    work = begun(database, stage, throttle=Throttle(batch_size=4))

    assert batch_runner(database).run_stages(work, RecordedProgress(), never)

    assert sorted(numbers.done) == [n for n in range(100) if n not in refused]
    assert work.counts == {"done": 100 - len(refused)} | ({"quarantined": len(refused)} if refused else {})
    assert database.memory.counts["r"] == work.counts
    assert set(work.quarantined) == {f"s{n}" for n in refused}


@pytest.mark.parametrize("batches", range(0, 30, 3))
def test_workers_that_were_stopped_resume_the_ranges_that_are_left(batches: int) -> None:
    """In any number, and in the middle of a range."""
    database, numbers = InMemoryDatabase(), Numbers(100)
    stage = replace(numbers.stage(), workers=3, ranges=lambda _: ranges_of(100, 15))
    left = iter([False] * batches)
    throttle = Throttle(batch_size=4)
    work = begun(database, stage, throttle=throttle)
    batch_runner(database).run_stages(work, RecordedProgress(), lambda: next(left, True))

    record = database.memory.records["r"]
    again = begun(database, replace(stage, workers=2), throttle=throttle, checkpoint=record.checkpoint)
    again.counts.update(record.counts)
    assert batch_runner(database).run_stages(again, RecordedProgress(), never)

    assert sorted(numbers.done) == list(range(100))
    assert again.counts["done"] == 100


def test_an_error_of_one_worker_stops_the_others_and_is_raised() -> None:
    """After their current batches, which are kept."""
    database, numbers = InMemoryDatabase(), Numbers(1000)

    def step(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
        if within.after == "149":
            raise ZeroDivisionError
        return numbers.step(stores, within, limit)

    stage = replace(numbers.stage(), batch=writing(step), workers=2, ranges=lambda _: ranges_of(1000, 50))
    work = begun(database, stage)

    with pytest.raises(ZeroDivisionError):
        batch_runner(database).run_stages(work, RecordedProgress(), never)

    assert len(numbers.done) < 1000
    assert database.memory.counts["r"]["done"] == len(numbers.done)


def test_a_batch_whose_commit_was_not_answered_is_not_repeated() -> None:
    """The stored checkpoint shows that it was committed before the connection was lost."""

    class Unanswered(InMemoryDatabase):
        losses = 0

        @contextmanager
        def transaction(
            self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
        ) -> Iterator[InMemoryStores]:
            with super().transaction(connection, dry_run=dry_run, lock=lock) as stores:
                yield stores
            if self.losses:
                self.losses -= 1
                raise StoreGone("connection lost")

    for losses in (1, 2, 3):
        database, numbers = Unanswered(), Numbers(25)
        work = begun(database, replace(numbers.stage(), ranges=lambda _: ranges_of(25, 12)))
        work.checkpoint = Checkpoint("numbers", tuple(ranges_of(25, 12)))
        with database.transaction() as stores:
            stores.runs.record_progress("r", None, at=NOON, checkpoint=str(work.checkpoint))
        database.losses = losses

        assert batch_runner(database).run_stages(work, RecordedProgress(), never)

        assert numbers.done == list(range(25))
        assert work.counts["done"] == database.memory.counts["r"]["done"] == 25


def test_a_lost_answer_is_not_repeated_after_another_worker_went_on() -> None:
    """The other worker stores what is left of its own range, and not of a range that was committed before."""

    class Unanswered(InMemoryDatabase):
        is_next_lost = False

        @contextmanager
        def transaction(
            self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
        ) -> Iterator[InMemoryStores]:
            with super().transaction(connection, dry_run=dry_run, lock=lock) as stores:
                yield stores
            if self.is_next_lost:
                self.is_next_lost = False
                raise StoreGone("connection lost")

    database, numbers, has_gone_on = Unanswered(), Numbers(40), Event()

    def step(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
        done = numbers.step(stores, within, limit)
        if 0 in numbers.done and within.until == "19" and not has_gone_on.is_set():
            database.is_next_lost = True
        if within.until == "" and within.after != "19":
            has_gone_on.set()
        return done

    def sleep(_: float) -> None:
        assert has_gone_on.wait(30)

    stage = replace(numbers.stage(), batch=writing(step), workers=2, ranges=lambda _: ranges_of(40, 20))
    work = begun(database, stage, throttle=Throttle(batch_size=5))
    runner = BatchRunner(database, OverloadedHealth(), runtime=runtime(sleep=sleep))

    assert runner.run_stages(work, RecordedProgress(), never)

    assert sorted(numbers.done) == list(range(40))
    assert database.memory.counts["r"] == {"done": 40}


def test_a_batch_that_another_connection_turns_out_to_have_committed_is_rolled_back() -> None:
    """The answer to its commit was lost, and the server finished the commit while the batch was repeated."""
    database, numbers = InMemoryDatabase(), Numbers(10)
    is_late = iter([True])

    def step(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
        if next(is_late, False):
            stores.runs.record_progress("r", {"done": 10}, at=NOON, checkpoint=str(Checkpoint("numbers", ())))
        return numbers.step(stores, within, limit)

    work = begun(database, replace(numbers.stage(), batch=writing(step)))
    work.checkpoint = Checkpoint("numbers", (WHOLE,))
    with database.transaction() as stores:
        stores.runs.record_progress("r", None, at=NOON, checkpoint=str(work.checkpoint))

    assert batch_runner(database).run_stages(work, RecordedProgress(), never)

    assert numbers.done == list(range(10)) * 2  # the first time was rolled back
    assert work.counts == {"done": 10}


def test_a_range_may_end_with_a_refused_row() -> None:
    """It is complete then."""
    database, numbers = InMemoryDatabase(), Numbers(25, frozenset({24}))
    work = begun(database, replace(numbers.stage(), ranges=lambda _: [KeyRange("", "24")]))

    assert batch_runner(database).run_stages(work, RecordedProgress(), never)

    assert (numbers.done, set(work.quarantined)) == (list(range(24)), {"s24"})


def test_workers_keep_a_rate_together() -> None:
    """Each pauses as long as if there were no other, and all of them are as fast as asked."""
    database, numbers, slept = InMemoryDatabase(), Numbers(40), Slept()
    stage = replace(numbers.stage(), workers=8, ranges=lambda _: ranges_of(40, 20))
    work = begun(database, stage, throttle=Throttle(batch_size=10, rate=10))
    runner = BatchRunner(database, OverloadedHealth(), runtime=runtime(sleep=slept.append))

    assert runner.run_stages(work, RecordedProgress(), never)

    assert sum(slept) == pytest.approx(3 * 2)  # after all batches but the last ones


def test_ctrl_c_does_not_wait_for_the_locks_of_workers() -> None:
    """It is the second one: the first one lets them end their batches."""
    database, is_let_go, has_begun = InMemoryDatabase(), Event(), Event()

    def batch(_within: KeyRange, _limit: int) -> Write:
        has_begun.set()
        assert is_let_go.wait(30)
        return lambda _: NOTHING_LEFT

    def press(main: int) -> None:
        assert has_begun.wait(30)
        pthread_kill(main, SIGINT)

    class Pressed(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            Thread(target=press, args=[get_ident()]).start()

    stage = Stage(name="x", batch=batch, count=lambda _: 1, workers=2, ranges=lambda _: ranges_of(40, 20))

    with pytest.raises(KeyboardInterrupt):
        batch_runner(database).run_stages(begun(database, stage), Pressed(), never)

    assert database.has_given_up
    is_let_go.set()


def test_batches_are_prepared_outside_of_their_transaction() -> None:
    """So other programs can write while Python computes."""
    database, states = InMemoryDatabase(), list[bool]()

    def batch(_within: KeyRange, _limit: int) -> Write:
        states.append(database.is_writing)

        def write(_stores: Stores) -> BatchResult:
            states.append(database.is_writing)
            return NOTHING_LEFT

        return write

    stage = Stage(name="x", batch=batch, count=lambda _: 1)
    assert batch_runner(database).run_stages(begun(database, stage), RecordedProgress(), never)

    assert states == [False, True]


def test_staged_rows_are_stored_in_a_dry_run() -> None:
    """They belong to no session, and the other workers need them."""
    database = InMemoryDatabase()

    def write(stores: Stores, _within: KeyRange, _limit: int) -> BatchResult:
        stores.verdict_spans.add(stores.verdict_spans.encode("r", []))
        return NOTHING_LEFT

    for writes_only_staging in (False, True):
        stage = Stage(name="x", batch=writing(write), count=lambda _: 1, writes_only_staging=writes_only_staging)
        work = Work(run="r", stages=[stage], throttle=Throttle(), is_dry_run=True)
        assert batch_runner(database).run_stages(work, RecordedProgress(), never)
        assert ("r" in database.memory.staged) == writes_only_staging


@pytest.mark.parametrize(
    ("size", "handled", "seconds", "expected"),
    [
        (1000, 1000, 0.1, 2000),
        (1000, 1000, 1.0, 1000),
        (1000, 1000, 4.0, 250),
        (1000, 1000, 100.0, SMALLEST_BATCH),
        (15_000, 15_000, 0.0, LARGEST_BATCH),
    ],
)
def test_the_batch_size_adapts_to_the_target_duration(size: int, handled: int, seconds: float, expected: int) -> None:
    """Never more than twice at once, and within bounds."""
    assert Throttle().next_size(size, handled, seconds) == expected
    assert Throttle(batch_size=7).next_size(size, handled, seconds) == 7
    assert FIRST_BATCH == 1000


def test_a_rate_limit_is_kept_by_pauses() -> None:
    """A thousand rows at a hundred per second take ten seconds, including the work."""
    assert Throttle(rate=100).pause_after(1000, 4) == 6
    assert Throttle(rate=100).pause_after(10, 4) == 0
    assert Throttle(rate=100).first_size == Throttle(rate=100).next_size(500, 500, 0.01) == 500
    assert Throttle(rate=0.1).first_size == 1
    assert Throttle().pause_after(1000, 4) == 0
