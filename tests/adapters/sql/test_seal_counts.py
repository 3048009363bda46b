"""The record of how many sessions each run sealed, by which `verify` finds changes that bypassed the triggers."""

from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import run_seals, session_summaries
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from tests.strategies import NOON, snapshot


def sealed(*numbers: int) -> Sequence[SessionSummary]:
    return [each.judged(snapshot()) for each in sighted(*numbers)]


def left_open(*numbers: int) -> Sequence[SessionSummary]:
    return [each.judged(Gap.NOTHING_KNOWN) for each in sighted(*numbers)]


def sighted(*numbers: int) -> Sequence[SessionSummary]:
    return [SessionAggregate.sighted(f"s{number}", "8.8.8.8", NOON).summary() for number in numbers]


def save(database: SqlDatabase, run: str, sessions: Sequence[SessionSummary]) -> None:
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
        stores.sessions.find_summaries({session.session_id: () for session in sessions})
        stores.sessions.save(sessions, run=run, saved_at=NOON)


@pytest.mark.parametrize("is_new_run", [True, False])
def test_each_session_counts_for_the_run_that_sealed_it(sql_database: SqlDatabase, is_new_run: bool) -> None:
    """Once, however often it is saved, and although the batch has sessions that another run sealed."""
    save(sql_database, "a", sealed(0, 1, 2))
    save(sql_database, "b", sealed(0, 1, 2, 3))
    save(sql_database, "b", left_open(4, 5))
    save(sql_database, "b", sealed(0, 1, 2, 3, 4, 5))
    save(sql_database, "c" if is_new_run else "a", [*left_open(0, 1), *sealed(7)])

    with sql_database.reading() as connection:
        runs = session_summaries.c.snapshot_run
        found = {row[0]: row[1] for row in connection.execute(select(runs, func.count()).group_by(runs))}
        sums = select(run_seals.c.run, func.sum(run_seals.c.sessions)).group_by(run_seals.c.run)
        counted = {row[0]: int(row[1]) for row in connection.execute(sums)}
    assert counted == found == ({"a": 3, "b": 3, "c": 1} if is_new_run else {"a": 4, "b": 3})
