"""Damaged copies of SQLite databases, and copies that cannot be written."""

import os
import sqlite3
from pathlib import Path
from typing import cast

import pytest

from snapshots.adapters.sql.backup.postgresql_programs import running
from snapshots.adapters.sql.backup.sqlite_copies import SqliteCopies, _copy
from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import BackupFailed
from snapshots.app.ports.runs import RunKind
from snapshots.domain.facts.network_types import NetworkTypes
from tests.strategies import NOON


@pytest.fixture
def copies(migrated_sqlite: str) -> SqliteCopies:
    database = SqlDatabase(migrated_sqlite)
    with database.transaction() as stores:
        stores.runs.begin("a-name-in-an-index", RunKind.LOAD, at=NOON)
    database.close()
    return SqliteCopies(SqlDatabase(migrated_sqlite), NetworkTypes)


@pytest.fixture
def copy(copies: SqliteCopies, tmp_path: Path) -> Path:
    file = tmp_path / "copy"
    file.touch(0o600)
    copies.write(file, lambda _count: None)
    return file


def test_an_index_that_does_not_match_its_table_is_found_by_a_full_check(copies: SqliteCopies, copy: Path) -> None:
    """The quick one reads its structure only."""
    content = copy.read_bytes()
    assert content.count(b"a-name-in-an-index") == 2  # in the table and in the index of its key
    copy.write_bytes(content.replace(b"a-name-in-an-index", b"b-name-in-an-index", 1))

    copies.check(copy, full=False)
    with pytest.raises(BackupFailed, match="the copy is damaged, as the database may be: "):
        copies.check(copy, full=True)


def test_a_missing_column_is_a_violation(copies: SqliteCopies, copy: Path) -> None:
    """Seals cannot be checked then, and the result states it."""
    with sqlite3.connect(copy) as connection:
        connection.execute("ALTER TABLE dead_letters DROP COLUMN payload")
    connection.close()

    found = copies.check(copy, full=False)

    assert found.seals is not None
    assert (found.seals.sealed, found.seals.violations) == (0, 1)
    assert found.not_checked == ["the seals of sessions: columns are missing"]


class FullDisk:
    """A connection whose copy cannot be written."""

    def execute(self, _statement: str) -> "FullDisk":
        return self

    def fetchone(self) -> tuple[int]:
        return (4096,)

    def backup(self, _target: sqlite3.Connection, **_options: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """With its folder."""
    with pytest.raises(BackupFailed, match=f"the disk of {tmp_path} is full: database or disk is full"):
        _copy(cast("sqlite3.Connection", FullDisk()), tmp_path / "copy", lambda _count: None)


def test_a_database_is_copied_that_this_process_only_reads(migrated_sqlite: str, tmp_path: Path) -> None:
    """A backup needs no right to write."""
    database = SqlDatabase(migrated_sqlite, reading_only=ReadingOnly(60))
    file = tmp_path / "copy"
    file.touch(0o600)

    stored = SqliteCopies(database, NetworkTypes).write(file, lambda _count: None)
    database.close()

    assert stored.rows["runs"] == 0


def test_a_program_ends_with_the_block_that_runs_it(tmp_path: Path) -> None:
    """After Ctrl-C; otherwise pg_dump would continue to write a file that nothing needs."""
    never, pids = tmp_path / "never", []
    os.mkfifo(never)

    def interrupted() -> None:
        with running(Path("/bin/sh"), ["-c", f"echo $$; exec cat {never}"]) as output:
            pids.append(int(output.readline()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
