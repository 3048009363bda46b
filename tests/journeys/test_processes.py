"""Several processes at once, and processes that die."""

import gzip
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import make_url, select

from snapshots.adapters.sql.connection.temporary_server import SERVER_USER, trial_server
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import session_summaries
from tests.mangle import LOGS

ROUNDS = int(os.environ.get("SNAPSHOTS_KILLS", "3"))
VOLATILE = {"snapshot_run", "snapshot_seal", "created_at", "updated_at", "gap_checked_at", "gap_run"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Both real logs many times over, each time an hour later: long enough to be interrupted."""
    lines = [line for path in LOGS for line in gzip.decompress(path.read_bytes()).splitlines(keepends=True)]
    many = (line.replace(b'"session":"', b'"session":"%x' % n) for n in range(12) for line in lines)
    path = tmp_path / "cowrie.json"
    path.write_bytes(b"".join(many))
    return path


def start(url: str, *paths: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "snapshots", "load", "-q", "--db", url, *map(str, paths)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        _, output = process.communicate(timeout=120)
        assert process.returncode == 0, output


def rows(url: str) -> list[dict[str, object]]:
    database = SqlDatabase(url)
    with database.reading() as connection:
        found = connection.execute(select(session_summaries).order_by("session_id")).mappings().all()
    database.close()
    return [{name: value for name, value in row.items() if name not in VOLATILE} for row in found]


@pytest.fixture
def undisturbed(tmp_path: Path, log: Path) -> list[dict[str, object]]:
    finish(start(f"sqlite:///{tmp_path}/undisturbed.db", log))
    return rows(f"sqlite:///{tmp_path}/undisturbed.db")


def test_loaders_of_the_same_and_of_other_files_at_once_store_each_event_once(
    sql_url: str, log: Path, tmp_path: Path, undisturbed: list[dict[str, object]]
) -> None:
    """They wait for each other and finish: no deadlock, no lost row, no doubled event."""
    content = log.read_bytes().splitlines(keepends=True)
    halves = [tmp_path / "one.json", tmp_path / "two.json"]
    halves[0].write_bytes(b"".join(content[: len(content) // 2 + 500]))
    halves[1].write_bytes(b"".join(content[len(content) // 2 - 500 :]))

    finish(start(sql_url, log), start(sql_url, *halves), start(sql_url, halves[1]))

    assert [(row["session_id"], row["event_count"]) for row in rows(sql_url)] == [
        (row["session_id"], row["event_count"]) for row in undisturbed
    ]


def test_after_a_kill_the_next_load_completes_the_rows(
    sql_url: str, log: Path, undisturbed: list[dict[str, object]]
) -> None:
    """At any moment, as often as it happens. SNAPSHOTS_KILLS says how often."""
    random = Random(5)
    for _ in range(ROUNDS):
        process = start(sql_url, log)
        time.sleep(random.uniform(0.3, 1.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()

    finish(start(sql_url, log))

    assert rows(sql_url) == undisturbed


def restart(url: str, mode: str = "fast") -> None:
    """
    Restart the trial server behind a URL: all connections are closed.

    An update of the system does it in the mode "fast"; "immediate" is a crash of the server.
    """
    data = Path(str(make_url(url).query["host"])) / "data"
    server = shlex.split((data / "postmaster.opts").read_text())[0]
    control = str(Path(server).with_name("pg_ctl"))
    command = [control, "-D", str(data), "-w", "-m", mode, "-l", str(data.parent / "log"), "restart"]
    user = SERVER_USER if os.geteuid() == 0 else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, cwd=data)


def test_a_load_outlives_a_restart_of_its_server(log: Path, undisturbed: list[dict[str, object]]) -> None:
    """In the middle of a batch or between two, as often as it happens. SNAPSHOTS_KILLS says how often."""
    random = Random(6)
    with trial_server() as url:
        process = start(url, log)
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.5, 1.5))
            restart(url)
        finish(process)

        assert rows(url) == undisturbed


def test_an_interruption_in_the_middle_of_an_import_ends_with_its_own_code_too() -> None:
    """Python remembers that it went through a text that was being run, and once ended by the signal all the same."""
    child = """
import snapshots.__main__ as program
def main():
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        print("done")
        return program.INTERRUPTED
program.main = main
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "done\n", "")


def test_an_interruption_after_the_work_is_too_late() -> None:
    """A finished command ends with its exit code, whatever Python does at exit."""
    child = """
import os, signal
import snapshots.__main__ as program
class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGINT):
        kill(me, number)
last = Last()
program.main = lambda: 0
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_interruption_while_the_database_is_closed_is_told_in_our_sentence_alone() -> None:
    """SQLAlchemy logs it with a traceback, and raises it as well."""
    child = """
import sqlite3
from sqlalchemy import QueuePool, create_engine
import snapshots.__main__ as program
class Closing(sqlite3.Connection):
    def close(self):
        raise KeyboardInterrupt
def connection():
    return sqlite3.connect(":memory:", factory=Closing)
def main():
    engine = create_engine("sqlite://", creator=connection, poolclass=QueuePool)
    engine.connect().close()
    try:
        engine.dispose()
    except KeyboardInterrupt:
        return program.INTERRUPTED
program.main = main
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (130, "")


def test_what_libraries_log_and_warn_of_stays_off_stderr() -> None:
    """The message to the user is one of ours; psycopg also logs the errors of a rollback."""
    child = """
import logging, warnings
import snapshots.__main__ as program
def main():
    logging.getLogger("psycopg").warning("error ignored in rollback on <psycopg.Connection [BAD]>")
    logging.getLogger("psycopg.pool").warning("discarding closed connection")
    warnings.warn("connection was deleted while still open", ResourceWarning)
    warnings.warn("Skipped unsupported reflection of expression-based index", UserWarning)
    return 0
program.main = main
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_interruption_ends_with_its_own_code_and_the_next_load_goes_on(
    sql_url: str, log: Path, undisturbed: list[dict[str, object]]
) -> None:
    """Ctrl-C."""
    process = start(sql_url, log)
    time.sleep(0.8)
    process.send_signal(signal.SIGINT)
    _, output = process.communicate()
    assert process.returncode in {0, 130}, output
    assert b"Traceback" not in output

    finish(start(sql_url, log))

    assert rows(sql_url) == undisturbed


SWALLOWED = """
import sys, time
import snapshots.__main__ as program
sys.unraisablehook = program._interrupt_again
class Gone:
    def __del__(self):
        raise {error}
try:
    Gone()
    time.sleep(1)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("error", "ends"), [("KeyboardInterrupt", "interrupted"), ("ValueError", "went on")])
def test_an_interruption_that_python_swallows_comes_again(error: str, ends: str) -> None:
    """It came while something was cleaned up, from where nothing can be raised; other errors are reported as usual."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED.format(error=error)], check=True, capture_output=True, text=True
    )

    assert done.stdout.split("\n")[0] == ends
    assert ("ValueError" in done.stderr) == (error == "ValueError")
