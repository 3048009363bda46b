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


def commit_order(
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
def test_a_batch_is_committed_after_the_batch_before_it(
    database: InMemoryDatabase, executor: ThreadPoolExecutor, last: str, place: str
) -> None:
    """The checkpoint is the position after it, or the end of the stage if nothing is left."""
    commits = commit_order(database, executor, last=last)

    commits.begin("b")

    assert commits.commit("b") == last
    assert json.loads(checkpoint(database)) == {"stage": "letters", "after": place}


def test_a_batch_that_is_rolled_back_leaves_no_checkpoint(
    database: InMemoryDatabase, executor: ThreadPoolExecutor
) -> None:
    """Nor does a batch that was never begun."""
    commits = commit_order(database, executor)

    commits.begin("b")
    commits.roll_back()

    assert checkpoint(database) == ""
    assert commits.commit("b") == "b"


def test_the_wait_for_the_batch_before_it_has_a_timeout(
    database: InMemoryDatabase, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third transaction may wait for this one meanwhile, a cycle that no database detects."""
    monkeypatch.setattr(ordered_commit, "COMMIT_TIMEOUT", 0.01)
    commits = commit_order(database, executor)

    commits.begin("b")
    executor.submit(str).result()  # after the batch, in the same thread

    assert commits.commit("b") == "b"
    assert checkpoint(database) == ""


def test_no_batch_is_committed_for_a_run_that_another_process_resumed(
    database: InMemoryDatabase, executor: ThreadPoolExecutor
) -> None:
    """Nor for a run that no longer exists."""
    commits = commit_order(database, executor, run="another")

    commits.begin("b")

    assert commits.commit("b") == "b"
    assert checkpoint(database) == ""


def test_without_a_batch_there_is_nothing_to_roll_back(
    database: InMemoryDatabase, executor: ThreadPoolExecutor
) -> None:
    """A backfill that fails before its second worker began leaves the checkpoint as it was."""
    commit_order(database, executor).roll_back()

    assert checkpoint(database) == ""
