"""An upgrade that is interrupted, killed or out of space leaves the tables as they were, and can be repeated."""

import signal
import subprocess
import sys
from itertools import count
from typing import IO, Any, cast

import pytest
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.exc import OperationalError

from snapshots.adapters.sql.connection.lock_waits import WaitPolicy, only_index_builder
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import versions
from snapshots.app.errors import LockTimeout, StoreUnavailable
from tests.journeys.conftest import Run
from tests.old_databases import KINDS, VERSION, all_rows

STOPS = """
import sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from snapshots.__main__ import program
left = int(sys.argv.pop(1))
def stop(*_):
    global left
    left -= 1
    if left == 0:
        print("stopped", flush=True)
        sys.stdin.read()
event.listen(Engine, "before_cursor_execute", stop)
program()
"""
"""Runs a command that waits before a statement until its standard input ends."""


class Stopped:
    """A `migrate` that waits before one of its statements."""

    def __init__(self, url: str, statement: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", STOPS, str(statement), "migrate", "--db", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert cast("IO[str]", self.process.stdout).readline() == "stopped\n"

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Send a signal, or let it continue; return exit code, output and errors."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def statements_of_an_upgrade(old: str) -> int:
    """Count the statements of an upgrade that is rolled back."""
    database, counted = SqlDatabase(old), []
    event.listen(database.engine, "before_cursor_execute", lambda *_: counted.append(1))

    def upgrade_and_fail() -> None:
        with database.changing_tables() as connection:
            versions.upgrade(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        upgrade_and_fail()
    database.close()
    return len(counted)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_any_statement_leaves_the_database_as_it_was(old: str) -> None:
    """Every 25th statement; the same command then completes the upgrade."""
    before, statements = all_rows(old), statements_of_an_upgrade(old)
    assert statements > 60

    for number in [*range(5, statements, 25), statements - 1]:
        database, left = SqlDatabase(old), [number]

        def fail(*_: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise OperationalError("statement", None, Exception("injected"))

        event.listen(database.engine, "before_cursor_execute", fail)
        with pytest.raises(StoreUnavailable, match="injected"):
            database.migrate()
        database.close()
        assert all_rows(old) == before, number

    database = SqlDatabase(old)
    assert database.migrate() == (VERSION, versions.newest())
    database.close()


@pytest.mark.parametrize("old_copies", ["sqlite"], indirect=True)
def test_an_upgrade_without_free_space_changes_nothing_and_names_the_reason(old: str) -> None:
    """SQLite itself reports a full disk, at several sizes; the same command then completes the upgrade."""
    before, reached, messages = all_rows(old), set(), set()
    for more in count(0, 4):
        database = SqlDatabase(old)

        def limit(connection: Any, _record: Any, more: int = more) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0] + more
            connection.execute(f"PRAGMA max_page_count = {pages}")

        event.listen(database.engine, "connect", limit)
        try:
            database.migrate()
        except StoreUnavailable as error:
            messages.add(str(error).partition(":")[0])
        else:
            database.close()
            break
        with database.reading_any_version() as connection:
            found = versions.version(connection)
        database.close()
        reached.add(found)
        assert found == versions.newest() or all_rows(old) == before, more
    assert all(message.startswith("the disk of the database sqlite") for message in messages), messages
    assert reached == {VERSION, versions.newest()}, "the disk is full in a step, or while indexes are built"

    database = SqlDatabase(old)
    assert database.schema_state().missing_indexes == []
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_a_killed_upgrade_changes_nothing_and_is_repeated(old: str, run: Run, number: int, code: int) -> None:
    """In the middle of its transaction, also by Ctrl-C."""
    before = all_rows(old)
    upgrade = Stopped(old, statement=60)

    returned, _, err = upgrade.end(number)

    assert returned == code
    assert "Traceback" not in err
    assert all_rows(old) == before
    assert f"from version {VERSION}" in run("migrate")[1]
    assert run("verify", "--full")[0] == 0


def test_an_upgrade_that_was_killed_before_its_indexes_is_completed_by_the_next(old: str, run: Run) -> None:
    """The tables have their version then, and `migrate` builds what is missing."""
    assert run("migrate")[0] == 0
    index = "ix_session_summaries_by_address_facts"
    engine = create_engine(old, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"DROP INDEX {index}"))
    assert f"build the index {index}" in run("migrate", "--dry-run")[1]

    assert "already have version" in run("migrate")[1]

    assert "build the index" not in run("migrate", "--dry-run")[1]


@pytest.mark.slow
def test_of_two_upgrades_at_once_one_waits_for_the_other(old: str) -> None:
    """Both end well, and one of them finds nothing to do."""
    first = Stopped(old, statement=60)
    second = subprocess.Popen(
        [sys.executable, "-m", "snapshots", "migrate", "--db", old],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    done = first.end()
    out, err = second.communicate(timeout=60)

    assert (done[0], second.returncode) == (0, 0), (done, err)
    assert f"from version {VERSION} to" in done[1]
    assert "already have version" in out


@pytest.mark.parametrize("old_copies", ["postgresql"], indirect=True)
def test_indexes_are_built_by_one_process_at_a_time(old: str) -> None:
    """Another one would drop an index that is not finished yet."""
    reports: list[str] = []
    policy = WaitPolicy(lock_timeout=0, report_after=0, report=reports.append)
    builder, waiting = SqlDatabase(old), SqlDatabase(old, policy=policy)
    builder.migrate()
    builder.drop_query_indexes()
    autocommitting = builder.engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommitting.connect() as connection, only_index_builder(connection, "the database", policy):
        with pytest.raises(LockTimeout, match="another process builds indexes"):
            waiting.build_indexes()

        assert not waiting.has_query_indexes()
    assert waiting.build_indexes()
    builder.close()
    waiting.close()
