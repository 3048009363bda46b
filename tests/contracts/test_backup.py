"""Contract of copies of a database in files."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from snapshots.adapters.sql.backup.postgresql_copies import PostgresqlCopies
from snapshots.adapters.sql.backup.sqlite_copies import SqliteCopies
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.admin.backup import DatabaseCopies
from snapshots.app.errors import BackupFailed
from snapshots.app.ports.database import Database
from snapshots.app.ports.runs import RunKind
from snapshots.domain.facts.network_types import NetworkTypes
from tests.fake_copies import InMemoryCopies
from tests.fakes import InMemoryDatabase
from tests.strategies import NOON


@dataclass
class Source:
    """A database, what copies it, and the size of each copy while it was written."""

    database: Database
    copies: DatabaseCopies
    sizes: list[int]


@pytest.fixture
def source(database: Database) -> Source:
    copies: DatabaseCopies
    if isinstance(database, InMemoryDatabase):
        copies = InMemoryCopies(database)
    elif isinstance(database, SqlDatabase) and database.engine.dialect.name == "sqlite":
        copies = SqliteCopies(database, NetworkTypes)
    else:
        assert isinstance(database, SqlDatabase)
        copies = PostgresqlCopies(database, lock_timeout=10)
    return Source(database, copies, [])


def begin_runs(database: Database, *names: str) -> None:
    with database.transaction() as stores:
        for name in names:
            stores.runs.begin(name, RunKind.LOAD, at=NOON)


def rows_of_runs(rows: dict[str, int]) -> int:
    """Return the rows of the table of runs; PostgreSQL names its schema."""
    (count,) = (count for table, count in rows.items() if table.removeprefix("public.") == "runs")
    return count


def test_a_copy_holds_what_the_database_held(source: Source, tmp_path: Path) -> None:
    """Also after the database has changed."""
    file = tmp_path / "copy"
    file.touch(0o600)
    begin_runs(source.database, "a", "b")

    stored = source.copies.write(file, source.sizes.append)
    begin_runs(source.database, "c")
    found = source.copies.check(file, full=False).contents

    assert found == stored
    assert rows_of_runs(dict(found.rows)) == 2
    assert found.version
    assert source.sizes[-1] > 0
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_copy_is_one_file_that_a_check_does_not_change(source: Source, tmp_path: Path) -> None:
    """Neither a log nor an index is next to it."""
    file = tmp_path / "folder" / "copy"
    file.parent.mkdir()
    file.touch(0o600)
    source.copies.write(file, source.sizes.append)
    before = file.read_bytes()

    source.copies.check(file, full=True)

    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_copy_is_damaged(source: Source, tmp_path: Path, share: float) -> None:
    """As a full disk or an interrupted transfer leaves it."""
    file = tmp_path / "copy"
    file.touch(0o600)
    begin_runs(source.database, "a")
    source.copies.write(file, source.sizes.append)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    with pytest.raises(BackupFailed):
        source.copies.check(file, full=False)


def test_a_copy_names_its_database_and_what_was_checked(source: Source, tmp_path: Path) -> None:
    """In words that can be a part of a file name, or of a sentence."""
    file = tmp_path / "copy"
    file.touch(0o600)
    source.copies.refuse(file)
    source.copies.write(file, source.sizes.append)

    found = source.copies.check(file, full=True)

    assert source.copies.name.replace("_", "a").isalnum()
    assert source.copies.suffix.startswith(".")
    assert any("number of rows" in each for each in found.checked)
