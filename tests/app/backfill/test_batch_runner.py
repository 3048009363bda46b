"""Long work in batches."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pytest

from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.throttle import FIRST_BATCH, LARGEST_BATCH, SMALLEST_BATCH, Throttle
from snapshots.app.backfill.work import END, BatchResult, RowRef, Stage, Work
from snapshots.app.errors import StoreBusy, StoreGone, StoreUnavailable, StoreUnusable
from snapshots.app.ports.database import Stores, WriteLock
from snapshots.app.ports.runs import RunKind
from tests.fakes import FixedClock, InMemoryDatabase, InMemoryStores, runtime
from tests.strategies import DAY, NOON


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
        return Stage(name=name, step=self.step, first=self.first, count=lambda _: len(self.numbers))

    def step(self, stores: Stores, after: str, limit: int) -> BatchResult:
        page = self._behind(after)[:limit]
        if self.refused & set(page):
            raise StoreUnavailable("a check failed")
        self.done += page
        return BatchResult(str(page[-1]) if page else "", len(page), {"done": len(page)})

    def first(self, stores: Stores, after: str) -> RowRef | None:
        behind = self._behind(after)
        return RowRef(str(behind[0]), f"s{behind[0]}") if behind else None

    def _behind(self, after: str) -> list[int]:
        return [n for n in self.numbers if not after or (after != END and n > int(after))]


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
    return Work(run="r", stages=stages, throttle=throttle or Throttle(batch_size=10), checkpoint=checkpoint)


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

    def step(stores: Stores, after: str, limit: int) -> BatchResult:
        events.append("tried")
        done = numbers.step(stores, after, limit)
        events.pop()
        return done

    stage = replace(numbers.stage(), step=step, on_rollback=lambda: events.append("forgotten"))
    assert batch_runner(database).run_stages(begun(database, stage), RecordedProgress(), never)

    assert events
    assert events == ["tried", "forgotten"] * (len(events) // 2)
    assert numbers.done == [n for n in range(25) if n != 3]


def test_a_batch_begins_with_a_write() -> None:
    """So a prefetch that starts there does not block the checkpoint of SQLite's write-ahead log."""
    database, numbers, heartbeats = InMemoryDatabase(), Numbers(3), list[datetime]()

    def step(stores: Stores, after: str, limit: int) -> BatchResult:
        record = stores.runs.find("r")
        assert record is not None
        heartbeats.append(record.heartbeat_at)
        return numbers.step(stores, after, limit)

    with database.transaction() as stores:
        stores.runs.begin("r", RunKind.BACKFILL, at=NOON - DAY)
    assert batch_runner(database).run_stages(
        begun(database, replace(numbers.stage(), step=step)), RecordedProgress(), never
    )

    assert heartbeats == [FixedClock().now()] * 2


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


@pytest.mark.parametrize("batches", range(11))
def test_the_setup_of_a_stage_is_repeated_wherever_the_stage_resumes(batches: int) -> None:
    """A setup has no checkpoint of its own."""
    database, first, one, two = InMemoryDatabase(), Numbers(15), Numbers(25), Numbers(3)
    stages = [replace(one.stage("one"), setup=first.stage("first")), two.stage("two")]
    left = iter([False] * batches)
    batch_runner(database).run_stages(begun(database, *stages), RecordedProgress(), lambda: next(left, True))
    done_before, first.done = first.done, []

    checkpoint, observed = database.memory.records["r"].checkpoint, RecordedProgress()
    assert batch_runner(database).run_stages(begun(database, *stages, checkpoint=checkpoint), observed, never)

    assert (one.done, two.done) == (list(range(25)), list(range(3)))
    is_past = len(one.done) == 25 and observed.stages[0][0] == "two"
    assert is_past == (batches >= 7)
    assert first.done == ([] if is_past else list(range(15)))
    assert done_before == list(range(min(15, 10 * batches)))


def test_completed_work_is_not_repeated() -> None:
    """Its checkpoint is at the end."""
    database, one = InMemoryDatabase(), Numbers(5)
    batch_runner(database).run_stages(begun(database, one.stage()), RecordedProgress(), never)

    checkpoint = json.loads(database.memory.records["r"].checkpoint)

    assert checkpoint["stage"] == "numbers"
    assert checkpoint["after"] > "\uffff"


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

    for first in (None, lambda _stores, _after: None):
        stage = Stage(name="x", step=fail, count=lambda _: 0, first=first)
        database = InMemoryDatabase()

        with pytest.raises(StoreUnavailable, match="gone"):
            batch_runner(database).run_stages(begun(database, stage), RecordedProgress(), never)


def test_work_ends_at_once_where_every_batch_would_fail() -> None:
    """A right is missing or the disk is full: no smaller batch is tried, and no session is quarantined."""
    numbers, tries = Numbers(5), list[int]()

    def fail(_stores: Stores, _after: str, limit: int) -> BatchResult:
        tries.append(limit)
        raise StoreUnusable("permission denied")

    work = begun(InMemoryDatabase(), replace(numbers.stage(), step=fail))

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


def test_rows_of_a_second_worker_are_reported_with_their_stage() -> None:
    """Not with the setup, which counts other rows; they are part of the total."""
    database, numbers, observed = InMemoryDatabase(), Numbers(5), RecordedProgress()
    before = numbers.stage("before")

    def helped(*_: object) -> BatchResult:
        work.parallel_count += 1000
        return BatchResult("", 7, {})

    work = begun(database, replace(numbers.stage(), setup=replace(before, step=helped)))

    assert batch_runner(database).run_stages(work, observed, never)

    assert observed.stages == [("before", 5), ("numbers", 1005)]
    assert observed.handled == [7, 1000, 5, 0]
    assert work.parallel_count == 0


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
