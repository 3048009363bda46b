"""Ctrl-C and SIGTERM end long commands after the current batch, each with its own exit code."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.journeys.conftest import OLD, Run

ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 0)]
LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_lock(hashtext('snapshots'))"}


@contextmanager
def signal_while_locked(url: str, number: int) -> Iterator[None]:
    """Hold the write lock of a database until the command of the block listens for signals, and send it one."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    before = signal.getsignal(number)
    connection = engine.connect()
    connection.execute(text(LOCK[engine.dialect.name]))

    def send() -> None:
        while signal.getsignal(number) == before:
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        while signal.getsignal(number) != before:  # its handler has run
            time.sleep(0.01)
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
def test_a_signal_ends_with_its_own_code(
    loaded: tuple[str, str], run: Run, command: str, number: int, code: int
) -> None:
    """Whatever the command waits for at that moment; it says how to go on, and its run is over."""
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
