"""`snapshots runs` as a check whether a load is running."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports.runs import RunKind, RunState
from tests.journeys.conftest import Run


@pytest.mark.parametrize(("age", "code"), [(timedelta(minutes=9), 0), (timedelta(minutes=11), 3)])
def test_a_load_counts_as_running_while_it_has_a_heartbeat(run: Run, sql_url: str, age: timedelta, code: int) -> None:
    """Also if many other runs are newer."""
    now = datetime.now(UTC)
    database = SqlDatabase(sql_url)
    with database.transaction() as stores:
        stores.runs.begin("follows", RunKind.LOAD, at=now - timedelta(days=30))
        stores.runs.record_progress("follows", None, at=now - age)
        for number in range(30):
            stores.runs.begin(f"later{number:02}", RunKind.LOAD, at=now - age)
            stores.runs.end(f"later{number:02}", RunState.DONE, at=now)
    database.close()

    found, out, err = run("runs", "--db", sql_url, "--kind", "load", "--require-running", "--top", "1")

    assert found == code
    assert err == ("No load is running.\n" if code else "")
    assert "later29" in out
    assert "follows" not in out


def test_runs_are_listed_by_kind(run: Run, sql_url: str) -> None:
    """Of any of several kinds; without one, all."""
    database = SqlDatabase(sql_url)
    with database.transaction() as stores:
        for kind in (RunKind.LOAD, RunKind.UNDO, RunKind.REFRESH):
            stores.runs.begin(kind.value, kind, at=datetime(2026, 1, 1, tzinfo=UTC))
    database.close()

    def listed(*options: str) -> set[str]:
        return {each["run"] for each in json.loads(run("runs", "--db", sql_url, "--format", "json", *options)[1])}

    assert listed("--kind", "load", "--kind", "undo") == {"load", "undo"}
    assert len(listed()) == 3
    assert run("runs", "--db", sql_url, "--kind", "prune", "--require-running")[0] == 3
    assert run("runs", "--db", sql_url, "--require-running")[2] == "No run is running.\n"
