"""Moving a whole database, as an operator who outgrew SQLite does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text

from snapshots.adapters.sql.adopt import copying
from snapshots.adapters.sql.adopt.copying import copy_database
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import StoreUnavailable
from tests.cowrieprocessor import AdoptableSchema
from tests.journeys.conftest import Run


class Interrupts:
    """Observe a copy, and interrupt it after some pages."""

    def __init__(self, after: int) -> None:
        self._left = after

    def table_opened(self, table: str, rows: int) -> None:
        pass

    def rows_copied(self, count: int) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


@contextmanager
def by_hand(url: str) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def first(url: str, query: str) -> str:
    """Query with a connection of our own."""
    with by_hand(url) as connection:
        return str(connection.execute(text(query)).scalar_one())


@pytest.fixture
def source(run: Run, logs: Path, tmp_path: Path) -> Iterator[SqlDatabase]:
    """A loaded SQLite database with a correction and a pruning on record."""
    run("load", logs)
    url = f"sqlite:///{tmp_path}/test.db"
    name = first(url, "SELECT min(session_id) FROM session_summaries")
    assert run("correct", name, "--asn", "64500", "--reason", "wrong")[0] == 0
    assert run("prune", "--before", "2020-01-01")[0] == 0
    database = SqlDatabase(url)
    yield database
    database.close()


@pytest.mark.usefixtures("source")
def test_a_copy_has_every_row_and_can_be_used(postgresql: str, run: Run, logs: Path) -> None:
    """Also its guard, its audit and its bookmarks."""
    code, out, err = run("copy", "--to", postgresql)

    assert (code, err) == (0, "")
    assert "session_summaries: 162 rows are equal, 162 of them copied now" in out
    code, out, err = run("copy", "--to", postgresql)
    assert (code, err) == (0, "")
    assert "Everything is already copied." in out
    assert "1 correction on record" in run("verify", "--db", postgresql)[1]
    assert run("verify", "--db", postgresql)[0] == 0
    assert "Nothing new" in run("load", logs, "--db", postgresql)[1]
    name = first(postgresql, "SELECT max(session_id) FROM session_summaries")
    assert run("correct", name, "--asn", "64500", "--reason", "wrong", "--db", postgresql)[0] == 0
    assert "is in use already" in run("copy", "--to", postgresql)[2]


def test_an_interrupted_copy_can_be_resumed_and_is_not_used_before(
    source: SqlDatabase, postgresql: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any page; no command accepts an incomplete copy as a database."""
    monkeypatch.setattr(copying, "PAGE", 40)
    target = SqlDatabase(postgresql)
    with pytest.raises(KeyboardInterrupt):
        copy_database(source, target, Interrupts(after=9))
    assert "holds no sessions yet" in run("report", "--db", postgresql)[2]

    copied = {table.table: table for table in copy_database(source, target, Interrupts(after=-1))}

    assert copied["session_summaries"].rows == 162
    assert sum(table.new for table in copied.values()) < sum(table.rows for table in copied.values())
    assert run("verify", "--db", postgresql)[0] == 0
    target.close()


def test_a_row_that_differs_is_named(source: SqlDatabase, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier copy wrote may have been changed since."""
    monkeypatch.setattr(copying, "PAGE", 40)
    target = SqlDatabase(postgresql)
    with pytest.raises(KeyboardInterrupt):
        copy_database(source, target, Interrupts(after=9))
    with target.engine.begin() as connection:
        change = "UPDATE known_networks SET organization_name = 'another' WHERE asn_number = 4134"
        assert connection.execute(text(change)).rowcount == 1

    with pytest.raises(StoreUnavailable, match="row 4134 of known_networks differs"):
        copy_database(source, target, Interrupts(after=-1))
    target.close()


@pytest.mark.usefixtures("source")
def test_a_target_with_tables_of_its_own_is_left_alone(postgresql: str, run: Run) -> None:
    """A table `runs` may belong to another program."""
    with by_hand(postgresql) as connection:
        connection.execute(text("CREATE TABLE runs (id INTEGER)"))

    assert "has tables of its own called runs" in run("copy", "--to", postgresql)[2]


def test_an_adopted_database_is_moved_by_its_own_tools(run: Run, tmp_path: Path, postgresql: str) -> None:
    """It has other tables, which would be lost."""
    url = f"sqlite:///{tmp_path}/theirs.db"
    with by_hand(url) as connection:
        AdoptableSchema(dialect="sqlite").make(connection)
    run("adopt", "--db", url)

    code, _, err = run("copy", "--db", url, "--to", postgresql)

    assert (code, "was made by cowrieprocessor" in err) == (1, True)
