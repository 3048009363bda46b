"""Following logs, over stores in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from snapshots.app.errors import LockTimeout, LogUnreadable, StoreBusy, StoreGone, StoreUnavailable
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.dead_letters import MOST_BYTES
from snapshots.app.load.follow import HOUSEKEEPING, DeltaLoader
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.log_source import BadLine, Reason
from snapshots.app.ports.runs import RunState
from snapshots.domain.session.session import EventKind
from tests.app.load.test_loader import FACTS, logged
from tests.fakes import (
    DictSource,
    FakeSourceRegistry,
    FixedClock,
    InMemoryDatabase,
    ListSource,
    Processes,
    late_completion,
    runtime,
    snapshot_service,
)
from tests.strategies import NOON

CONNECT = EventKind.CONNECT


class Scripted:
    """A watch that returns scripted rounds, and counts calls of `forget`."""

    def __init__(self, *looks: Sequence[ListSource] | Exception) -> None:
        self.looks = list(looks)
        self.forgotten = 0
        self.warnings: list[str] = []

    def changed(self) -> Sequence[ListSource]:
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look

    def forget(self) -> None:
        self.forgotten += 1


def follow(
    database: InMemoryDatabase, watch: Scripted, *, step: float = 0.5, clock: FixedClock | None = None
) -> LoadReport:
    ticks: Iterator[int] = iter(range(10**6))
    machine = runtime(clock, stopwatch=lambda: next(ticks) * step, new_run=lambda: "delta")
    service = snapshot_service(database, FakeSourceRegistry(DictSource("a", NOON, FACTS)))
    completion = late_completion(database, service)
    loader = BulkLoader(database, service, completion, runtime=machine, liveness=Processes())
    delta = DeltaLoader(
        database, loader, service, completion, runtime=machine, liveness=Processes(), warn=watch.warnings.append
    )
    return delta.follow(watch, NoLoadObserver(), lambda: not watch.looks)


def test_appended_events_are_loaded_as_they_arrive() -> None:
    """In one run, however often it polls."""
    database = InMemoryDatabase()
    log = ListSource("log", [logged("s", 1, CONNECT), logged("s", 2)])

    report = follow(database, Scripted([log], [], [ListSource("other", [logged("t", 3, CONNECT)])]))

    assert (report.events, report.sessions_added, report.sealed, report.sources) == (3, 2, 2, 2)
    assert database.memory.runs == {"delta": RunState.DONE}


class Later(FixedClock):
    """A clock that is hours ahead of the logs."""

    def now(self) -> object:  # type: ignore[override]  # a moment
        return NOON + timedelta(hours=3)


@pytest.mark.parametrize(("clock", "is_sealed"), [(FixedClock(), False), (Later(), True)])
def test_a_session_without_a_connect_is_evaluated_after_an_idle_hour(clock: FixedClock, *, is_sealed: bool) -> None:
    """Its connect may still be read before that."""
    database = InMemoryDatabase()

    follow(
        database,
        Scripted([ListSource("log", [logged("s", 1), logged("s", 2)])], []),
        step=HOUSEKEEPING,
        clock=clock,
    )

    assert database.memory.sessions["s"].is_sealed == is_sealed


@pytest.mark.parametrize("error", [StoreGone("restarting"), StoreBusy("locked")])
def test_while_the_database_is_away_everything_waits_and_is_read_again(error: Exception) -> None:
    """Nothing that was read but not stored is lost."""
    database = InMemoryDatabase()
    watch = Scripted(error, error, [ListSource("log", [logged("s", 1, CONNECT)])])

    report = follow(database, watch)

    assert (watch.forgotten, report.events) == (2, 1)
    assert watch.warnings == [f"{error}; retrying until it succeeds", "recovered; loading continues"]


@pytest.mark.parametrize(
    ("times", "warnings"),
    [(1, []), (2, ["log is another file by now; retrying until it succeeds", "recovered; loading continues"])],
)
def test_a_rotation_during_a_poll_is_not_reported(times: int, warnings: list[str]) -> None:
    """A condition that lasts longer is."""
    error = LogUnreadable("log is another file by now")
    watch = Scripted(*[error] * times, [ListSource("log", [logged("s", 1, CONNECT)])])

    report = follow(InMemoryDatabase(), watch)

    assert (watch.forgotten, report.events) == (times, 1)
    assert watch.warnings == warnings


def test_the_bytes_of_dead_letters_of_a_growing_file_are_bounded() -> None:
    """Otherwise a growing log of another program would fill the database a megabyte at a time."""
    database = InMemoryDatabase()
    looks = [
        [ListSource("log", [BadLine(Reason.NOT_COWRIE, b"%d" % n * 60_000, n) for n in range(at, at + 10)], head="")]
        for at in range(10, 60, 10)
    ]

    report = follow(database, Scripted(*looks))

    assert sum(len(dead_letter.payload) for dead_letter in database.memory.dead_letters.values()) <= MOST_BYTES
    assert (report.dead_letters, report.not_kept) == (9, 42)


def test_an_unreadable_log_is_retried_without_delaying_others() -> None:
    """It was renamed during the poll."""

    class Gone(ListSource):
        def resume(self, marks: object) -> int:
            raise LogUnreadable("gone.json cannot be read")

    watch = Scripted([Gone("gone.json", []), ListSource("log", [logged("s", 1, CONNECT)])], [])

    report = follow(InMemoryDatabase(), watch)

    assert (watch.forgotten, report.events, report.problems) == (1, 1, ())


def test_a_database_error_ends_the_follower() -> None:
    """The run is recorded as failed."""
    database = InMemoryDatabase()

    with pytest.raises(StoreUnavailable):
        follow(database, Scripted(StoreUnavailable("no space left")))

    assert database.memory.runs == {"delta": RunState.FAILED}


class Closed(InMemoryDatabase):
    """A database that cannot be reached at first."""

    def __init__(self, *errors: StoreUnavailable) -> None:
        super().__init__()
        self.errors = list(errors)

    @contextmanager
    def transaction(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        if self.errors:
            raise self.errors.pop(0)
        with super().transaction(*arguments, **options) as stores:
            yield stores


def test_a_follower_waits_for_its_database_at_the_start_too() -> None:
    """A machine may start it before the database."""
    database, watch = (
        Closed(StoreGone("refused"), LockTimeout("locked")),
        Scripted([ListSource("log", [logged("s", 1)])]),
    )

    report = follow(database, watch)

    assert report.events == 1
    assert watch.warnings == ["refused; retrying until it succeeds", "recovered; loading continues"]


def test_a_follower_that_is_stopped_while_it_waits_ends() -> None:
    """Nothing was begun, and nothing is left."""
    database = Closed(*[StoreGone("refused")] * 9)

    assert follow(database, Scripted()).events == 0
    assert database.memory.runs == {}


def test_a_follower_does_not_wait_after_a_permanent_error() -> None:
    """Such as a wrong database name."""
    with pytest.raises(StoreUnavailable, match="no such database"):
        follow(Closed(StoreUnavailable("no such database")), Scripted([]))
