"""Waiting for other processes, on both databases: reported, bounded, and only for errors that waiting can solve."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from snapshots.adapters.sql.connection.driver_errors import is_gone
from snapshots.adapters.sql.connection.lock_waits import WaitPolicy
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import LockTimeout, StoreGone, StoreUnavailable
from tests.journeys.conftest import Run

pytestmark = pytest.mark.slow

Release = Callable[[], object]

HOLD = [
    "LOCK TABLE runs IN ACCESS EXCLUSIVE MODE",
    "SELECT pg_advisory_xact_lock(hashtext('snapshots'))",
    "SELECT * FROM session_summaries FOR UPDATE",
]


def hold(url: str, how: str) -> Release:
    """Hold a lock as another program does, and return a function that releases it."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        other = sqlite3.connect(str(parsed.database), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        return other.close
    connection = psycopg.connect(
        host=str(parsed.query["host"]), user=parsed.username, dbname=parsed.database, application_name="nightly-job"
    )
    connection.execute(how)
    return connection.close


def use(database: SqlDatabase) -> None:
    """Write as a load does: a row of a run."""
    with database.transaction() as stores:
        stores.connection.exec_driver_sql("UPDATE runs SET checkpoint = 'x'")
        stores.connection.exec_driver_sql("UPDATE session_summaries SET duration_ms = 1")


@pytest.fixture(params=["sqlite", *HOLD])
def held(request: pytest.FixtureRequest, run: Run, logs: Path, tmp_path: Path) -> tuple[str, Release]:
    """A database with sessions, and a function that releases the lock of another program in it."""
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/test.db" if is_sqlite else str(request.getfixturevalue("postgresql"))
    assert run("load", "-q", "--db", url, logs / "cowrie.json")[0] == 0
    return url, hold(url, request.param)


def test_the_holder_of_a_lock_is_reported_and_work_continues_after_its_release(held: tuple[str, Release]) -> None:
    """With process and application, if the database reports them."""
    reports: list[str] = []
    url, release = held

    def record(sentence: str) -> None:
        reports.append(sentence)
        release()

    database = SqlDatabase(url, policy=WaitPolicy(report_after=0.2, report=record))
    use(database)
    database.close()

    assert len(reports) == 1
    assert "for up to 600 s (--lock-timeout)" in reports[0]
    expected = (
        "another process that is writing to" if url.startswith("sqlite") else "(nightly-job, snapshots, idle in tran"
    )
    assert expected in reports[0]


def test_waiting_for_a_lock_ends(held: tuple[str, Release]) -> None:
    """After --lock-timeout, with an error that states it; the cleanup then waits only briefly."""
    url, release = held
    database = SqlDatabase(url, policy=WaitPolicy(lock_timeout=0.2))
    with pytest.raises(LockTimeout, match="--lock-timeout"):
        use(database)
    release()
    use(database)
    database.close()


def test_connections_of_one_process_are_not_reported_to_each_other(postgresql: str) -> None:
    """A backfill has several, and they wait for each other rightly."""
    reports: list[str] = []
    policy = WaitPolicy(lock_timeout=2.5, report_after=0.2, report=reports.append)
    one, two = SqlDatabase(postgresql, policy=policy), SqlDatabase(postgresql, policy=policy)
    with two.transaction():
        pass
    with one.transaction(), pytest.raises(LockTimeout):
        use(two)
    one.close()
    two.close()

    assert reports == []


WRITERS = [
    ["load", "-q", "LOG"],
    ["verify"],
    ["backfill"],
    ["prune", "--before", "2020-01-01"],
    ["correct", "--sentinels", "--reason", "x"],
    ["inventory", "refresh"],
    ["inventory", "retract", "dbip@2026-09-01"],
    ["undo", "x"],
    ["migrate"],
    ["dead-letters", "replay"],
]


@pytest.mark.parametrize("command", WRITERS, ids=lambda command: command[0])
def test_every_writer_times_out_with_one_message(run: Run, logs: Path, tmp_path: Path, command: list[str]) -> None:
    """And with exit code 1."""
    assert run("load", "-q", logs / "cowrie.json")[0] == 0
    release = hold(f"sqlite:///{tmp_path}/test.db", "")
    arguments = [str(logs / "cowrie.json") if part == "LOG" else part for part in command]

    code, _, err = run(*arguments, "--lock-timeout", "0.1")
    release()

    assert (code, err.count("\n")) == (1, 1), err
    assert "timed out waiting for a lock in sqlite:///" in err


def test_a_load_does_not_wait_after_a_permanent_error(run: Run, logs: Path, postgresql: str) -> None:
    """It prints one line at once."""
    no_address = make_url(postgresql).set(database="nowhere").render_as_string(hide_password=False)

    code, _, err = run("load", logs, "--db", no_address)

    assert (code, err.count("\n")) == (1, 1)
    assert 'database "nowhere" does not exist' in err


def test_permanent_connection_errors_differ_from_temporary_ones(postgresql: str) -> None:
    """A wrong name is an error at once; a stopped server may be started."""
    url = make_url(postgresql)
    never = [
        url.set(database="nowhere"),
        url.set(username="stranger"),
        make_url("postgresql://u:hunter2@no-such-host.invalid/x"),
    ]
    later = [make_url("postgresql://u:hunter2@127.0.0.1:1/x"), url.set(query={"host": "/nowhere"})]
    for expected, urls in ((False, never), (True, later)):
        for each in urls:
            database = SqlDatabase(each.render_as_string(hide_password=False))
            with pytest.raises(StoreUnavailable) as failed, database.transaction():
                pass
            database.close()
            assert isinstance(failed.value, StoreGone) is expected, failed.value
            assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    ("message", "may_come"),
    [
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved for roles with", True),
        ("connection timeout expired", True),
        ('FATAL:  password authentication failed for user "u"', False),
        ('FATAL:  Datenbank "x" existiert nicht', False),
        ("[Errno -3] Temporary failure in name resolution", False),
        ("no pg_hba.conf entry for host", False),
    ],
)
def test_the_error_of_a_connection_is_classified(message: str, *, may_come: bool) -> None:
    """Once there was one, everything may pass: the names are right."""
    error = psycopg.OperationalError(message)

    assert is_gone(error, was_reached=False) is may_come
    assert is_gone(error, was_reached=True)


def test_a_server_that_does_not_respond_is_reported(postgresql: str) -> None:
    """A host that drops packets looks the same as a wrong one."""
    reports: list[str] = []
    database = SqlDatabase(postgresql, policy=WaitPolicy(report_after=0.0, report=reports.append))
    with database._watch():
        while not reports:  # the watch does so from its own thread
            pass
    database.close()

    assert set(reports) == {f"waiting for {database} to respond"}
