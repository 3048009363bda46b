"""A version of the data that costs nothing to read."""

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.database import SqlDatabase
from tests.adapters.sql.test_reading_only import url_of


def write(database: SqlDatabase) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS written (number INTEGER)"))
        connection.execute(text("INSERT INTO written VALUES (1)"))


def test_it_stays_until_a_change_is_committed(sql_database: SqlDatabase) -> None:
    """By another process, as `load` is one."""
    reader = SqlDatabase(url_of(sql_database), reading_only=ReadingOnly(60))
    try:
        first = reader.data_version()
        again = reader.data_version()
        with sql_database.engine.connect() as connection, connection.begin() as begun:
            connection.execute(text("CREATE TABLE never (number INTEGER)"))
            begun.rollback()
        write(sql_database)
        changed = reader.data_version()
        write(sql_database)

        assert first == again
        assert len({first, changed, reader.data_version()}) == 3
    finally:
        reader.close()


def test_a_file_that_this_process_may_not_write_has_a_version_for_each_change(
    migrated_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if no process had it open at first, so that it is read without locks."""
    allowed = os.access
    writer = SqlDatabase(migrated_sqlite)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and allowed(path, mode))
    reader = SqlDatabase(migrated_sqlite, reading_only=ReadingOnly(60))
    try:
        versions = [reader.data_version(), reader.data_version()]
        for _ in range(2):
            write(writer)
            versions.append(reader.data_version())
        writer.close()  # SQLite deletes the write-ahead log
        versions.append(reader.data_version())
        write(writer)
        versions.append(reader.data_version())
    finally:
        reader.close()
        writer.close()

    assert versions[0] == versions[1]
    assert len({*versions[1:4], versions[5]}) == 4


def test_a_replaced_file_has_another_version(migrated_sqlite: str, tmp_path: Path) -> None:
    """Such as a restored backup, whose number of changes may be the same."""
    path = Path(migrated_sqlite.removeprefix("sqlite:///"))
    shutil.copyfile(path, tmp_path / "backup.db")
    reader = SqlDatabase(migrated_sqlite, reading_only=ReadingOnly(60))
    try:
        first = reader.data_version()
        (tmp_path / "backup.db").replace(path)

        assert reader.data_version() != first
    finally:
        reader.close()
