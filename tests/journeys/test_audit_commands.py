"""Correcting, pruning and verifying, as an operator does."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.guard_rules import PROTECTED
from snapshots.adapters.sql.schema.guard_trial import FORBIDDEN
from snapshots.adapters.sql.schema.tables import session_summaries
from tests.journeys.conftest import Run


@pytest.fixture
def url(sql_url: str, run: Run, logs: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A loaded database, which every command of the test uses."""
    monkeypatch.setenv("SNAPSHOTS_DB", sql_url)
    run("load", logs)
    return sql_url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A connection to it."""
    made = create_engine(url)
    yield made
    made.dispose()


def some_session(engine: Engine) -> str:
    with engine.connect() as connection:
        query = "SELECT min(session_id) FROM session_summaries WHERE snapshot_asn = 4134"
        return str(connection.execute(text(query)).scalar_one())


def test_a_correction_is_made_recorded_and_explained(run: Run, engine: Engine) -> None:
    """The old value stays readable, and the session verifies."""
    session = some_session(engine)

    code, out, _ = run("correct", session, "--reason", "wrong table", "--asn", "64500", "--ip-type", "tor")

    assert (code, out.splitlines()[:2]) == (0, ["ASN: 4134 -> 64500", "IP type: RESIDENTIAL -> TOR"])
    snapshot = json.loads(run("explain", session, "--format", "json")[1])["snapshot"]
    assert (snapshot["asn"], snapshot["country"], snapshot["method"]) == (64500, "CN", "corrected")
    with engine.connect() as connection:
        row = connection.execute(text("SELECT old_snapshot_asn, reason FROM snapshot_corrections")).one()
    assert tuple(row) == (4134, "wrong table")
    repeated = run("correct", session, "--reason", "wrong table", "--asn", "64500", "--ip-type", "tor")
    assert repeated == (0, f"{session} already has this correction; nothing was changed.\n", "")
    code, out, _ = run("verify")
    assert (code, "none changed without audit, the guard holds; 1 correction on record" in out) == (0, True)


def test_the_dry_run_of_a_pruning_equals_its_result(run: Run, engine: Engine) -> None:
    """The same sessions and events are deleted afterwards."""
    assert run("prune", "--before", "2026-11-24") == (0, "0 sessions with 0 events were deleted.\n", "")

    forecast = run("prune", "--before", "2026-11-25", "--dry-run")[1]
    done = run("prune", "--before", "2026-11-25")[1]

    assert forecast == "162 sessions with 981 events would be deleted.\n"
    assert done == "162 sessions with 981 events were deleted.\n"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT sum(session_count) FROM known_addresses")).scalar_one() == 0
        assert connection.execute(text("SELECT max(sessions), max(events) FROM snapshot_prunings")).one() == (162, 981)


def damage(engine: Engine, *statements: str) -> None:
    """Change rows while the guard is switched off."""
    with engine.begin() as connection:
        triggers.remove(connection)
        for statement in statements:
            connection.execute(text(statement))
    with engine.begin() as connection:
        triggers.install(connection)


def test_rows_changed_without_the_guard_are_listed(run: Run, engine: Engine) -> None:
    """Each with its violation."""
    with engine.connect() as connection:
        query = "SELECT session_id FROM session_summaries ORDER BY session_id LIMIT 4"
        changed, ranged, torn, fine = connection.execute(text(query)).scalars().all()
    damage(
        engine,
        f"UPDATE session_summaries SET snapshot_country = 'FR' WHERE session_id = '{changed}'",
        f"UPDATE session_summaries SET snapshot_country = 'XX' WHERE session_id = '{ranged}'",
        f"UPDATE session_summaries SET snapshot_source = NULL WHERE session_id = '{torn}'",
    )

    code, out, _ = run("verify")
    found = json.loads(run("verify", "--format", "json")[1])["invariants"]

    assert (code, found["violation_count"]) == (3, 4)
    assert [(v["invariant"], v["where"]) for v in found["violations"]] == [
        ("unchanged", changed),
        ("in_range", ranged),
        ("unchanged", ranged),
        ("whole", torn),
    ]
    assert f"{changed}  changed without audit" in out
    assert fine not in out


def test_a_missing_guard_is_reported(run: Run, engine: Engine) -> None:
    """Each column that it does not protect; the key of a session with login attempts has a foreign key, too."""
    with engine.begin() as connection:
        triggers.remove(connection)
        connection.execute(text("DELETE FROM session_logins"))

    code, out, _ = run("verify")

    assert code == 3
    for column in ("snapshot_asn", "enrichment_at", "source_ip", "session_id", "snapshot_seal"):
        assert f"{column}  unguarded" in out
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM session_summaries WHERE snapshot_asn = -1")).scalar() == 0


def test_a_forbidden_change_of_every_protected_column_is_tried() -> None:
    """A new column must not be forgotten."""
    assert {column.name for column in FORBIDDEN} | {"source_ip"} == set(PROTECTED)
    assert set(PROTECTED) <= set(session_summaries.columns.keys())


def test_many_violations_are_counted_and_some_are_listed(run: Run, engine: Engine) -> None:
    """A hundred names are enough to see what happened."""
    damage(engine, "UPDATE session_summaries SET snapshot_asn = 1")

    _, out, _ = run("verify")

    assert "162 violations found:" in out
    assert "and 62 more" in out


def test_a_database_without_sessions_verifies_and_is_empty(run: Run, tmp_path: Path) -> None:
    """There is nothing to try the guard on."""
    log = tmp_path / "cowrie.json"
    log.write_text("")
    database = f"sqlite:///{tmp_path}/empty.db"
    run("load", log, "--db", database)

    code, out, _ = run("verify", "--db", database)

    assert (code, "0 sealed sessions checked" in out) == (0, True)


def test_a_lone_sealed_session_is_guarded_too(run: Run, tmp_path: Path) -> None:
    """There is no other address to use for the trial."""
    log = tmp_path / "cowrie.json"
    log.write_text('{"eventid":"cowrie.x","session":"a","timestamp":"2026-11-01T00:00:00Z","src_ip":"8.8.8.8"}\n')
    database = f"sqlite:///{tmp_path}/one.db"
    run("load", log, "--db", database)

    assert run("verify", "--db", database)[0] == 0


def test_migrate_creates_and_drops_the_tables(run: Run, tmp_path: Path) -> None:
    """And prints the versions from and to."""
    database = f"sqlite:///{tmp_path}/new.db"

    assert "from version none to 0001" in run("migrate", "--db", database, "--to", "0001")[1]
    assert "from version 0001 to" in run("migrate", "--db", database)[1]
    assert "already" in run("migrate", "--db", database)[1]
    assert "to none" in run("migrate", "--db", database, "--to", "base", "--yes")[1]
    assert "no sessions yet" in run("report", "--db", database)[2]


def test_no_table_is_dropped_without_a_question(run: Run, logs: Path, sql_url: str) -> None:
    """It states how many sessions would be lost; without a terminal, --yes is needed."""
    run("load", logs, "--db", sql_url)
    with create_engine(sql_url, poolclass=NullPool).connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM session_summaries")).scalar_one()

    code, out, err = run("migrate", "--to", "base", "--db", sql_url)
    assert (code, out, f"with {count:,} sessions; to do that, add --yes" in err) == (2, "", True)
    assert run("migrate", "--to", "-12", "--db", sql_url)[0] == 2, "a version relative to this one"
    assert run("verify", "--db", sql_url)[0] == 0

    assert run("migrate", "--to", "base", "--yes", "--db", sql_url)[0] == 0
    assert run("migrate", "--to", "base", "--db", sql_url)[0] == 0, "nothing is left to lose"


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("y", 0)])
def test_the_confirmation_is_read_from_a_terminal(run: Run, logs: Path, tmp_path: Path, answer: str, code: int) -> None:
    """Only yes drops the tables."""
    run("load", logs)
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "snapshots", "migrate", "--to", "base", "--db", f"sqlite:///{tmp_path}/test.db"]

    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)

    os.close(ours)
    os.close(theirs)
    assert done.returncode == code
    assert "sessions. Continue? [y/N]" in done.stderr
    assert run("report")[0] == 1 - code


def test_a_read_only_file_can_be_read(run: Run, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report needs no write permission, and a load states what is missing."""
    run("load", logs, "-q")
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: not str(path).startswith(str(tmp_path)) and allowed(path, mode)
    )

    assert run("report")[0] == 0
    code, _, err = run("load", logs)
    assert (code, "cannot write to the database" in err, "cannot be written to" in err) == (1, True, True)


def test_a_migration_recreates_the_guard(url: str, run: Run) -> None:
    """The tables are changed first, then triggers are created."""
    database = SqlDatabase(url)
    database.migrate()
    database.close()

    assert run("verify")[0] == 0
