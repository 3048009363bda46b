"""Contract of the staging table of verdict spans."""

import pickle
import sqlite3
from contextlib import closing
from pathlib import Path

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports.database import Database
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME, VerdictSpan
from tests.strategies import HOME, NOON, OTHER, snapshot

SPANS = [
    VerdictSpan(HOME.text, MIN_TIME, NOON, snapshot()),
    VerdictSpan(HOME.text, NOON, MAX_TIME, Gap.EXPIRED),
    VerdictSpan(OTHER.text, MIN_TIME, MAX_TIME, Gap.NOTHING_KNOWN),
]


def begin(database: Database, run: str, *keep: str) -> None:
    with database.transaction() as stores:
        stores.verdict_spans.begin(run, keep=keep)


def stage(database: Database, run: str) -> None:
    """Stage spans that were encoded in another transaction, maybe of another process."""
    with database.view() as stores:
        encoded = pickle.dumps(stores.verdict_spans.encode(run, SPANS))
    with database.transaction() as stores:
        stores.verdict_spans.add(pickle.loads(encoded))


def runs_in(database: Database) -> set[str]:
    with database.view() as stores:
        return {run for run in "abc" if stores.verdict_spans.has_any(run)}


def test_without_staged_verdicts_there_is_nothing_to_delete(database: Database) -> None:
    """The table need not exist."""
    assert runs_in(database) == set()
    with database.transaction() as stores:
        stores.verdict_spans.delete("a")

    assert runs_in(database) == set()


def test_a_run_keeps_its_verdicts_until_they_are_deleted(database: Database) -> None:
    """Also in other transactions; those of other runs stay."""
    begin(database, "a")
    stage(database, "a")
    begin(database, "b", "a")
    stage(database, "b")
    assert runs_in(database) == {"a", "b"}

    with database.transaction() as stores:
        stores.verdict_spans.delete("a")
    assert runs_in(database) == {"b"}
    with database.transaction() as stores:
        stores.verdict_spans.delete("b")

    assert runs_in(database) == set()


def test_a_run_begins_without_its_old_verdicts_and_those_of_ended_runs(database: Database) -> None:
    """They were staged from other facts, or by a process that was killed."""
    begin(database, "a")
    for run in "abc":
        stage(database, run)

    begin(database, "b", "b", "c")

    assert runs_in(database) == {"c"}


def test_a_rolled_back_transaction_stages_nothing(database: Database) -> None:
    """The spans and the checkpoint are stored together."""
    begin(database, "a")
    with database.transaction(dry_run=True) as stores:
        stores.verdict_spans.add(stores.verdict_spans.encode("a", SPANS))

    assert runs_in(database) == set()


def test_the_file_stays_while_another_process_writes(migrated_sqlite: str) -> None:
    """It may have opened the file to create its table: writing to a deleted file fails."""
    database = SqlDatabase(migrated_sqlite)
    path = database.engine.url.database
    begin(database, "a")
    with database.transaction() as stores:
        stores.verdict_spans.delete("a")
    with closing(sqlite3.connect(str(path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        database.close()
        assert Path(f"{path}-spans").exists()
    database.close()
    assert not Path(f"{path}-spans").exists()


def test_nothing_is_left_when_the_database_is_closed(database: Database) -> None:
    """Neither a table nor a file next to the database."""
    if not isinstance(database, SqlDatabase):
        return
    begin(database, "a")
    stage(database, "a")
    path = database.engine.url.database if database.engine.dialect.name == "sqlite" else None
    database.close()
    with database.view() as stores:
        assert stores.verdict_spans.has_any("a")
    with database.transaction() as stores:
        stores.verdict_spans.delete("a")
    database.close()

    if path is not None:
        assert not Path(f"{path}-spans").exists()
    with database.view() as stores:
        assert not stores.verdict_spans.has_any("a")
