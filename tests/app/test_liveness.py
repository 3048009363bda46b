"""Runs that died without recording an end."""

from datetime import timedelta

import pytest

from snapshots.app.liveness import begin_run
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT, RunKind, RunState
from tests.fakes import InMemoryDatabase
from tests.strategies import NOON

MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("silent", "kind", "state"),
    [
        (HEARTBEAT_TIMEOUT, RunKind.BACKFILL, RunState.INTERRUPTED),
        (HEARTBEAT_TIMEOUT - MOMENT, RunKind.BACKFILL, RunState.RUNNING),
        (HEARTBEAT_TIMEOUT, RunKind.IMPORT, RunState.RUNNING),
    ],
)
def test_a_run_without_a_heartbeat_is_ended_by_the_next_of_its_kind(
    silent: timedelta, kind: RunKind, state: RunState
) -> None:
    """Its end is its last heartbeat; until that is recorded, it shows as interrupted."""
    database = InMemoryDatabase()
    with database.transaction() as stores:
        stores.runs.begin("cut off", RunKind.BACKFILL, at=NOON)

        begin_run(stores, "next", kind, at=NOON + silent)

        found, following = stores.runs.find("cut off"), stores.runs.find("next")
    assert found is not None
    assert following is not None
    assert (found.state, found.ended_at) == (state, NOON if state is RunState.INTERRUPTED else None)
    assert found.state_at(NOON + HEARTBEAT_TIMEOUT) is RunState.INTERRUPTED
    assert following.state_at(NOON + silent) is RunState.RUNNING
