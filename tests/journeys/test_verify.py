"""verify on databases without manipulation after many operations, and where not everything can be checked."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from snapshots.adapters.sql.database import SqlDatabase
from tests.journeys.conftest import NEW, OLD, Run


@pytest.fixture
def db(sql_url: str, run: Run) -> str:
    """A database with stored events."""
    assert run("load", OLD, "-q", "--store-events", "--db", sql_url)[0] == 0
    return sql_url


def verified(run: Run, url: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = run("verify", "--full", "--format", "json", "--db", url)
    return code, json.loads(out)["invariants"]


def is_whole(run: Run, url: str) -> bool:
    code, found = verified(run, url)
    return (code, found["violations"], found["not_checked"]) == (0, [], [])


@pytest.mark.slow
def test_no_sequence_of_commands_is_reported_as_a_violation(run: Run, db: str, tmp_path: Path) -> None:
    """Loaded with events, corrected, undone, backfilled, improved, pruned, migrated, copied and loaded again."""
    session = run("query", "--limit", "1", "--format", "json", "--db", db)[1].split('"session_id": "')[1].split('"')[0]
    copied = f"sqlite:///{tmp_path}/copy.db"
    steps = (
        ("correct", session, "--asn", "1", "--reason", "wrong"),
        ("load", NEW, "-q", "--max-lag", "0"),
        ("backfill", "--rejudge-all", "-q"),
        ("undo", "the last run"),
        ("backfill", "-q"),
        ("backfill", "--improve", "-q"),
        ("prune", "--before", "2026-09-01"),
        ("migrate", "--to", "0007"),
        ("migrate",),
        ("prune", "--before", "2026-11-25"),
        ("load", OLD, NEW, "-q"),
    )
    assert is_whole(run, db)
    for step in steps:
        last = last_run(run, db) if "the last run" in step else ""
        code, _, err = run(*(last if word == "the last run" else word for word in step), "--db", db)
        assert code == 0, (step, err)
        if step != ("migrate", "--to", "0007"):
            assert is_whole(run, db), step
    assert run("copy", "--db", db, "--to", copied)[0] == 0
    assert is_whole(run, copied)


def last_run(run: Run, url: str) -> str:
    words = run("runs", "--top", "1", "--db", url)[1].split()
    return next(word for word in words if word[:8].isdigit() and "T" in word)


def test_a_change_refused_by_another_constraint_is_reported_as_such(run: Run, postgresql: str) -> None:
    """PostgreSQL checks the foreign key of stored events before the guard; this is not a violation."""
    assert run("load", OLD, "-q", "--store-events", "--db", postgresql)[0] == 0

    code, found = verified(run, postgresql)

    assert (code, found["violations"]) == (0, [])
    assert found["trials"].pop("session_id") == "refused otherwise"
    assert set(found["trials"].values()) == {"refused"}


@pytest.fixture
def others(postgresql: str, run: Run) -> Iterator[dict[str, str]]:
    """URLs of a role that may only read, and of one whose transactions do."""
    assert run("load", OLD, "-q", "--db", postgresql)[0] == 0
    role = f"reader_of_{make_url(postgresql).database}"
    engine = create_engine(postgresql, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
        yield {
            "permission denied": make_url(postgresql).set(username=role).render_as_string(hide_password=False),
            "read-only transaction": make_url(postgresql)
            .update_query_dict({"options": "-c default_transaction_read_only=on"})
            .render_as_string(hide_password=False),
        }
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.parametrize("why", ["permission denied", "read-only transaction"])
def test_a_check_that_is_impossible_is_an_error_and_not_a_violation(run: Run, others: dict[str, str], why: str) -> None:
    """The other checks are made, and the reason is printed once."""
    code, out, err = run("verify", "--db", others[why])

    assert code == 1
    assert "none changed without audit, whether the guard holds was not checked" in out
    assert (err.count("not checked: whether the guard refuses a change"), err.count(why)) == (1, 1)


def test_a_read_only_medium_is_an_error_and_not_a_violation(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a role without rights is."""
    run("load", OLD, "-q")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and allowed(path, mode))

    code, out, err = run("verify")

    assert (code, "none changed without audit" in out, err.count("cannot write to the database")) == (1, True, 1)


def test_violations_are_reported_even_if_some_checks_are_impossible(run: Run, others: dict[str, str]) -> None:
    """Exit code 3 takes precedence over 1."""
    url = others["read-only transaction"]
    database = SqlDatabase(make_url(url).difference_update_query(["options"]).render_as_string(hide_password=False))
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE session_summaries DISABLE TRIGGER snapshot_guard"))
    database.close()

    code, out, _ = run("verify", "--db", url)

    assert (code, "snapshot_guard on session_summaries is disabled  not intact" in out) == (3, True)


def test_a_database_without_its_columns_is_named_and_not_a_failure(run: Run, db: str) -> None:
    """No other check is possible then."""
    engine = create_engine(db, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE session_summaries RENAME COLUMN snapshot_gap TO mine"))

    code, out, _ = run("verify", "--db", db)

    assert (code, "the column snapshot_gap of session_summaries is missing  not intact" in out) == (3, True)
    assert run("verify", "--format", "json", "--db", db)[0] == 3
