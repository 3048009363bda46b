"""Ctrl-C and SIGTERM end long commands after the current batch, each with its own exit code."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.journeys.conftest import OLD, Run
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 0)]
LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_lock(hashtext('snapshots'))"}


@contextmanager
def signal_while_locked(url: str, number: int) -> Iterator[None]:
    """Hold the write lock of a database until the command of the block can stop after a batch, and send it a signal."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    before = signal.getsignal(signal.SIGINT)
    connection = engine.connect()
    connection.execute(text(LOCK[engine.dialect.name]))

    def send() -> None:
        wait_until(lambda: signal.getsignal(signal.SIGINT) != before)
        os.kill(os.getpid(), number)
        wait_until(lambda: signal.getsignal(signal.SIGINT) == before)  # the handler has run
        connection.invalidate()

    sender = Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        connection.close()
        engine.dispose()


@pytest.fixture
def loaded(sql_url: str, run: Run) -> tuple[str, str]:
    """The URL of a database with a backfill that can be undone, and its run."""
    assert run("load", OLD, "--db", sql_url)[0] == 0
    assert run("backfill", "--db", sql_url)[0] == 0
    engine = create_engine(sql_url, poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT run FROM runs WHERE kind = 'backfill'")).scalar_one()
    return sql_url, str(found)


@pytest.mark.parametrize(("number", "code"), ENDINGS)
@pytest.mark.parametrize("command", ["load", "backfill", "improve", "undo"])
def test_a_signal_has_its_own_exit_code(
    loaded: tuple[str, str], run: Run, command: str, number: int, code: int
) -> None:
    """Wherever the command waits; it states how to continue, and its run is ended."""
    url, undoable = loaded
    arguments = {
        "load": ["load", "--follow", str(OLD)],
        "backfill": ["backfill"],
        "improve": ["backfill", "--improve"],
        "undo": ["undo", undoable],
    }[command]

    with signal_while_locked(url, number):
        done, _, err = run(*arguments, "--db", url)

    assert done == code
    assert "Traceback" not in err
    assert command == "load" or "nterrupted" in err
    assert "running" not in run("runs", "--db", url)[1]


SIGNAL_WHILE_STARTING = """
import os, signal, sys

number = int(sys.argv.pop(1))

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "click":
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Finder())
from snapshots.__main__ import program
program()
"""


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        ("load --follow logs", signal.SIGTERM, 0),
        ("backfill", signal.SIGTERM, 0),
        ("undo some-run", signal.SIGTERM, 0),
        ("load logs", signal.SIGTERM, -signal.SIGTERM),
        ("load --follow logs", signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_a_command_that_is_still_starting(command: str, number: int, code: int) -> None:
    """The code is that of a signal during the work: a service manager may stop a service at any moment."""
    arguments = [sys.executable, "-c", SIGNAL_WHILE_STARTING, str(int(number)), *command.split()]

    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == code
    assert "Traceback" not in done.stderr
