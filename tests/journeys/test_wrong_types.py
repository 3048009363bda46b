"""Values of a type that their column does not have: SQLite stores what any program writes."""

import sqlite3
from pathlib import Path

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import triggers
from tests.journeys.conftest import Run

pytestmark = pytest.mark.slow

COMMANDS = [
    "report --format json",
    "query --by asn",
    "export -",
    "drift",
    "inventory show {address}",
    "backfill --rejudge-all",
    "copy --to {tmp}/copy.db",
    "load -q {log}",
]

VALUES = [
    ("session_summaries", "snapshot_asn", "xyz"),
    ("session_summaries", "snapshot_country", b"\xff\x00"),
    ("session_summaries", "snapshot_method", b"asof"),
    ("session_summaries", "event_count", "many"),
    ("session_summaries", "first_event_at", b"noon"),
    ("session_summaries", "enrichment_at", 20261001),
    ("session_summaries", "behaviour", b"{}"),
    ("session_summaries", "event_fingerprints", "text"),
    ("session_summaries", "session_id", b"id"),
    ("known_addresses", "current_asn", "xyz"),
    ("known_addresses", "session_count", "many"),
    ("known_addresses", "last_seen", b"noon"),
    ("ip_observations", "country", b"\xff"),
    ("fact_sources", "built_at", "yesterday"),
    ("runs", "began_at", b"noon"),
]


def spoil(path: Path, table: str, column: str, value: object) -> None:
    """Write a value into one row, as a program without the guard does."""
    database = SqlDatabase(str(path))
    with database.transaction() as stores:
        triggers.remove(stores.connection)
    database.close()
    other = sqlite3.connect(path)
    (row,) = other.execute(f"SELECT min({column}) FROM {table} WHERE {column} IS NOT NULL").fetchone()
    other.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {column} = ?", (value, row))
    other.commit()
    other.close()
    with database.transaction() as stores:
        triggers.install(stores.connection)
    database.close()


@pytest.mark.parametrize("wrong", VALUES, ids=lambda wrong: wrong[1])
def test_a_value_of_a_wrong_type_is_a_clean_error_and_listed_by_verify(
    run: Run, logs: Path, tmp_path: Path, wrong: tuple[str, str, object]
) -> None:
    """Every command does its work, or names the row and the column."""
    table, column, value = wrong
    log = logs / "cowrie.json"
    run("load", "-q", log)
    address = sqlite3.connect(tmp_path / "test.db").execute("SELECT min(ip_address) FROM known_addresses").fetchone()[0]
    spoil(tmp_path / "test.db", table, column, value)

    code, out, err = run("verify")
    assert code in {1, 3}, (out, err)
    assert column in out + err

    for command in COMMANDS:
        words = command.format(tmp=tmp_path, address=address, log=log).split()
        code, _, err = run(*words)
        assert "Traceback" not in err
        assert "fault in snapshots" not in err, (command, err)
        assert code in {0, 1}, (command, err)
        assert code == 0 or column in err, (command, err)


def test_a_session_that_cannot_be_read_is_named_by_explain(run: Run, logs: Path, tmp_path: Path) -> None:
    """With its column."""
    run("load", "-q", logs / "cowrie.json")
    spoil(tmp_path / "test.db", "session_summaries", "snapshot_asn", "xyz")
    other = sqlite3.connect(tmp_path / "test.db")
    (name,) = other.execute("SELECT session_id FROM session_summaries WHERE snapshot_asn = 'xyz'").fetchone()
    other.close()

    code, _, err = run("explain", name)

    assert code == 1
    assert f"session_summaries {name}: snapshot_asn holds text (xyz) instead of a number" in err


def test_an_unchanged_database_has_no_wrong_types(run: Run, logs: Path) -> None:
    """There is no false alarm."""
    run("load", "-q", "--store-events", "--keep-passwords", logs)

    code, out, _ = run("verify", "--full")
    assert (code, "wrong type" in out) == (0, False)
