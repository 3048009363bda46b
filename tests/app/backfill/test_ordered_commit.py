"""Two batches at a time that commit in order."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from snapshots.app.backfill import ordered_commit
from snapshots.app.backfill.ordered_commit import OrderedCommit
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import END, BatchResult, Stage, Work
from snapshots.app.ports.database import Stores
from snapshots.app.ports.runs import RunKind
from tests.fakes import FixedClock, InMemoryDatabase
from tests.strategies import NOON


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def database() -> InMemoryDatabase:
    database = InMemoryDatabase()
    with database.transaction() as stores:
        stores.runs.begin("r", RunKind.BACKFILL, at=NOON)
    return database


def turns(
    database: InMemoryDatabase, executor: ThreadPoolExecutor, *, run: str = "r", last: str = "d"
) -> OrderedCommit:
    stage = Stage(name="letters", step=lambda *_: BatchResult("", 0, {}), count=lambda _: 0)

    def do(_: Stores, after: str) -> str:
        assert after == "b"
        return last

    work = Work(run=run, stages=[stage], throttle=Throttle())
    return OrderedCommit(work, "letters", do, executor=executor, database=database, clock=FixedClock())


def checkpoint(database: InMemoryDatabase) -> str:
    with database.view() as stores:
        record = stores.runs.find("r")
    assert record is not None
    return record.checkpoint


@pytest.mark.parametrize(("last", "place"), [("d", "d"), ("", END)])
def test_a_turn_is_stored_when_the_one_before_it_is(
    database: InMemoryDatabase, executor: ThreadPoolExecutor, last: str, place: str
) -> None:
    """With the place behind it, from which the near end goes on; or the end, if nothing was left."""
    taken = turns(database, executor, last=last)

    taken.begin("b")

    assert taken.commit("b") == last
    assert json.loads(checkpoint(database)) == {"stage": "letters", "after": place}


def test_a_turn_that_is_given_up_leaves_nothing(database: InMemoryDatabase, executor: ThreadPoolExecutor) -> None:
    """Nor does one that was not begun."""
    taken = turns(database, executor)

    taken.begin("b")
    taken.roll_back()

    assert checkpoint(database) == ""
    assert taken.commit("b") == "b"


def test_a_turn_does_not_wait_for_ever_for_the_one_before_it(
    database: InMemoryDatabase, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third transaction may wait for it while it waits here, and no database sees that cycle."""
    monkeypatch.setattr(ordered_commit, "COMMIT_TIMEOUT", 0.01)
    taken = turns(database, executor)

    taken.begin("b")
    executor.submit(str).result()  # behind the turn, in the same thread

    assert taken.commit("b") == "b"
    assert checkpoint(database) == ""


def test_a_run_that_another_process_resumed_is_left_alone(
    database: InMemoryDatabase, executor: ThreadPoolExecutor
) -> None:
    """Or one that is not there any more."""
    taken = turns(database, executor, run="another")

    taken.begin("b")

    assert taken.commit("b") == "b"
    assert checkpoint(database) == ""
