"""Several processes at once, and processes that die."""

import gzip
import os
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, select
from sqlalchemy.exc import DBAPIError

from snapshots.adapters.sql.connection.temporary_server import SERVER_USER, trial_server
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import runs, session_summaries
from tests.mangle import LOGS
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("SNAPSHOTS_KILLS", "3"))
VOLATILE = {"snapshot_run", "snapshot_seal", "created_at", "updated_at", "gap_checked_at", "gap_run"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with the events of both real logs under other session ids, so large that another process reads it."""
    content = b"".join(gzip.decompress(path.read_bytes()) for path in LOGS)
    path = tmp_path_factory.mktemp("log") / "cowrie.json"
    path.write_bytes(b"".join(content.replace(b'"session":"', b'"session":"%x' % n) for n in range(16)))
    return path


def start(url: str, *paths: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "snapshots", "load", "-q", "--db", url, *map(str, paths)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_names(url: str) -> set[str]:
    """Return the runs that a database has on record; none before its tables are created."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return set(connection.scalars(select(runs.c.run)))
    except DBAPIError:
        return set()  # not created yet, or the server is starting
    finally:
        engine.dispose()


def finish(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


def is_loading(process: subprocess.Popen[bytes], url: str, before: set[str], *, needs_rows: bool) -> bool:
    """Whether a load has begun its run, and stored rows if that is needed; also true when it has ended already."""
    has_begun = process.poll() is not None or bool(run_names(url) - before)
    return has_begun and (not needs_rows or process.poll() is not None or bool(rows(url)))


def rows(url: str) -> list[dict[str, object]]:
    database = SqlDatabase(url)
    with database.reading() as connection:
        found = connection.execute(select(session_summaries).order_by("session_id")).mappings().all()
    database.close()
    return [{name: value for name, value in row.items() if name not in VOLATILE} for row in found]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, log: Path) -> list[dict[str, object]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('undisturbed')}/test.db"
    finish(start(url, log))
    return rows(url)


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
    """While it reads or stores, and when the rows of a batch are there; SNAPSHOTS_KILLS is the number of kills."""
    exit_codes = []
    for number in range(ROUNDS):
        before, process = run_names(sql_url), start(sql_url, log)
        wait_until(partial(is_loading, process, sql_url, before, needs_rows=number % 2 == 1))
        process.kill()
        process.communicate()
        exit_codes.append(process.returncode)

    finish(start(sql_url, log))

    assert exit_codes[0] == -signal.SIGKILL
    assert rows(sql_url) == undisturbed


def restart(url: str, mode: str = "fast") -> None:
    """
    Restart the temporary server of a URL, which ends all connections.

    An update of the system does it in the mode "fast"; "immediate" is a crash of the server.
    """
    data = Path(str(make_url(url).query["host"])) / "data"
    server = shlex.split((data / "postmaster.opts").read_text())[0]
    control = str(Path(server).with_name("pg_ctl"))
    command = [control, "-D", str(data), "-w", "-m", mode, "-l", str(data.parent / "log"), "restart"]
    user = SERVER_USER if os.geteuid() == 0 else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, cwd=data)


def test_a_load_survives_a_restart_of_its_server(log: Path, undisturbed: list[dict[str, object]]) -> None:
    """While it reads or stores a batch, and while it connects again; SNAPSHOTS_KILLS is the number of restarts."""
    with trial_server() as url:
        process = start(url, log)
        wait_until(lambda: run_names(url) != set())
        for _ in range(ROUNDS):
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
        print("handled")
        return program.ExitCode.INTERRUPTED
program.main = main
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "handled\n", "")


def test_an_interruption_after_the_work_is_too_late() -> None:
    """A signal while the last output is flushed does not change the exit code."""
    child = """
import os, signal, sys
import snapshots.__main__ as program
class Last:
    def flush(self):
        os.kill(os.getpid(), signal.SIGINT)
sys.stdout = Last()
program.main = lambda: 0
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("output", ["full", "closed"])
@pytest.mark.parametrize(("raised", "code"), [("SnapshotsError('bad')", 1), ("KeyboardInterrupt", 130)])
def test_output_that_cannot_be_written_after_an_error_is_dropped(output: str, raised: str, code: int) -> None:
    """The message about the error is the only one."""
    child = f"""
import sys
import snapshots.__main__ as program
from snapshots.domain.errors import SnapshotsError
def run(arguments):
    sys.stdout.write("begun")
    raise {raised}
program._run = run
program.program()
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read, write = os.pipe()
    os.close(read)
    if output == "full":
        os.close(write)
        write = os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, "-c", child],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        check=False,
    )
    os.close(write)

    assert (done.returncode, done.stderr.count("\n")) == (code, 1)


def test_a_slow_reader_gets_all_output_of_a_stream_that_does_not_block() -> None:
    """Some programs share such a pipe; Python would drop what does not fit into it, without an error."""
    text = "x" * 1_000_000
    child = f"""
import snapshots.__main__ as program
def main():
    print("x" * {len(text)})
    return 0
program.main = main
program.program()
"""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with subprocess.Popen([sys.executable, "-c", child], stdout=write, stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        assert process.stderr is not None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)  # it waits for the reader
        with os.fdopen(read) as pipe:
            assert pipe.read() == f"{text}\n"
        assert (process.stderr.read(), process.wait(timeout=60)) == ("", 0)


def test_an_interruption_while_the_database_is_closed_prints_one_message() -> None:
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
        return program.ExitCode.INTERRUPTED
program.main = main
program.program()
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (130, "")


def test_logs_and_warnings_of_libraries_are_not_printed() -> None:
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


def test_an_interruption_has_its_own_exit_code_and_the_next_load_continues(
    sql_url: str, log: Path, undisturbed: list[dict[str, object]]
) -> None:
    """Ctrl-C during a batch."""
    process = start(sql_url, log)
    wait_until(lambda: run_names(sql_url) != set())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode in {0, 130}, err
    assert b"Traceback" not in err

    finish(start(sql_url, log))

    assert rows(sql_url) == undisturbed


SWALLOWED = """
import sys, threading
import snapshots.__main__ as program
sys.unraisablehook = program._repeat_interrupt
class Gone:
    def __del__(self):
        raise {error}
try:
    Gone()
    for timer in [each for each in threading.enumerate() if isinstance(each, threading.Timer)]:
        timer.join()
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("error", "ends"), [("KeyboardInterrupt", "interrupted"), ("ValueError", "went on")])
def test_an_interruption_that_python_swallows_is_raised_again(error: str, ends: str) -> None:
    """It arrived during a cleanup that cannot raise; other errors are reported as usual."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED.format(error=error)], check=True, capture_output=True, text=True
    )

    assert done.stdout.split("\n")[0] == ends
    assert ("ValueError" in done.stderr) == (error == "ValueError")
