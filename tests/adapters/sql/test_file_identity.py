"""A database that is deleted, moved, or replaced by a restored backup while it is written."""

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from snapshots.adapters.clock import SystemClock
from snapshots.adapters.sql.adopt.adoption import SqlAdoption
from snapshots.adapters.sql.adopt.copying import copy_database
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import StoreReplaced, StoreUnavailable
from snapshots.app.ports.runs import RunKind
from tests.cowrieprocessor import AdoptableSchema
from tests.strategies import NOON


def begin(database: SqlDatabase, run: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    with database.transaction() as stores:
        stores.runs.begin(run, RunKind.LOAD, at=NOON + timedelta(seconds=int(run)))
        meanwhile()


def runs(database: SqlDatabase) -> list[str]:
    with database.view() as stores:
        return [record.run for record in stores.runs.latest(limit=9)]


def delete(file: Path) -> None:
    file.unlink()


def move(file: Path) -> None:
    file.rename(file.with_name("moved.db"))


def replace(file: Path) -> None:
    """Put a backup in its place, as an operator does who forgets the loader."""
    shutil.copy(file, file.with_name("backup.db"))
    file.with_name("backup.db").rename(file)


LOSSES = pytest.mark.parametrize("lose", [delete, move, replace])


@LOSSES
@pytest.mark.parametrize("in_the_middle", [False, True])
def test_a_file_that_is_no_longer_at_its_path_is_not_written(
    tmp_path: Path, lose: Callable[[Path], None], in_the_middle: bool
) -> None:
    """Before or during a batch: its changes would be lost."""
    file = tmp_path / "test.db"
    with closing(SqlDatabase(f"sqlite:///{file}")) as database:
        begin(database, "1")
        if not in_the_middle:
            lose(file)
        with pytest.raises(StoreReplaced, match="deleted, moved or replaced"):
            begin(database, "2", lambda: lose(file) if in_the_middle else None)
        with pytest.raises(StoreReplaced):
            begin(database, "3")

    assert file.exists() == (lose is replace)  # and no empty one is made in its place


def test_a_replaced_file_is_opened_again_by_readers(tmp_path: Path) -> None:
    """For example by a web page that stays open for days."""
    file, other = tmp_path / "test.db", tmp_path / "other.db"
    for each, run in ((file, "1"), (other, "2")):
        with closing(SqlDatabase(f"sqlite:///{each}")) as made:
            begin(made, run)
    with closing(SqlDatabase(f"sqlite:///{file}")) as database:
        assert runs(database) == ["1"]
        other.rename(file)
        assert runs(database) == ["2"]
        file.unlink()
        with pytest.raises(StoreUnavailable, match="there is no database"):
            runs(database)


def test_a_recreated_database_on_a_server_is_a_different_one(postgresql: str) -> None:
    """Dropped and created again by a restore; a lost connection alone is not an error."""
    server = make_url(postgresql)
    admin = create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with closing(SqlDatabase(postgresql)) as database, admin.connect() as connection:
        begin(database, "1")
        database.engine.dispose()
        begin(database, "2")
        database.engine.dispose()
        connection.execute(text(f"DROP DATABASE {server.database}"))
        connection.execute(text(f"CREATE DATABASE {server.database} TEMPLATE template0"))
        with closing(SqlDatabase(postgresql)) as restored:
            restored.migrate()
        with pytest.raises(StoreReplaced):
            begin(database, "3")
    admin.dispose()


class Loses:
    """Observes a copy, and removes its target after the first page."""

    def __init__(self, lose: Callable[[], object]) -> None:
        self._lose = lose

    def table_opened(self, table: str, rows: int) -> None:
        pass

    def rows_copied(self, count: int) -> None:
        if count:
            self._lose()


@LOSSES
def test_a_copy_fails_when_its_target_is_removed(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """Otherwise it would report success for a deleted file."""
    file = tmp_path / "target.db"
    with (
        closing(SqlDatabase(f"sqlite:///{tmp_path}/source.db")) as source,
        closing(SqlDatabase(f"sqlite:///{file}")) as target,
    ):
        begin(source, "1")
        with pytest.raises(StoreReplaced, match="deleted, moved or replaced"):
            copy_database(source, target, Loses(lambda: lose(file)))

    assert file.exists() == (lose is replace)


def change_tables(database: SqlDatabase) -> None:
    with database.changing_tables():
        pass


WRITERS = pytest.mark.parametrize(
    "write",
    [
        change_tables,
        SqlDatabase.migrate,
        SqlDatabase.build_indexes,
        SqlDatabase.drop_query_indexes,
        SqlDatabase.refresh_statistics,
    ],
)


@LOSSES
@WRITERS
def test_no_writer_continues_with_a_removed_file(
    tmp_path: Path, lose: Callable[[Path], None], write: Callable[[SqlDatabase], object]
) -> None:
    """Tables, indexes and statistics change in the file that was written before, or not at all."""
    file = tmp_path / "test.db"
    with closing(SqlDatabase(f"sqlite:///{file}")) as database:
        begin(database, "1")
        lose(file)
        with pytest.raises(StoreReplaced):
            write(database)

    assert file.exists() == (lose is replace)


@LOSSES
def test_a_schema_change_of_a_removed_file_fails(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """As `migrate` and `adopt` change them; the first step of a new process is no exception."""
    file = tmp_path / "test.db"
    with closing(SqlDatabase(f"sqlite:///{file}")) as made:
        begin(made, "1")
    with (
        closing(SqlDatabase(f"sqlite:///{file}")) as database,
        pytest.raises(StoreReplaced),
        database.changing_tables(),
    ):
        lose(file)

    assert file.exists() == (lose is replace)


@LOSSES
def test_an_adoption_of_a_removed_file_fails(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """Adoption and its undo."""
    file = tmp_path / "theirs.db"
    with closing(SqlDatabase(f"sqlite:///{file}")) as database:
        with database.changing_tables() as connection:
            AdoptableSchema(dialect="sqlite").make(connection)
        adoption = SqlAdoption(database, SystemClock())
        adoption.adopt(widen=False)
        lose(file)
        with pytest.raises(StoreReplaced):
            adoption.adopt(widen=False)
        with pytest.raises(StoreReplaced):
            adoption.undo()
