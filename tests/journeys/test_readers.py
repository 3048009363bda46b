"""Readers of a SQLite file that they may not write."""

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import StoreBusy, StoreUnavailable
from tests.journeys.conftest import OLD, Run
from tests.journeys.test_follow import Follower, wait_for

pytestmark = pytest.mark.slow

SERVER_USER = 65534
SESSIONS, EVENTS = 79, 472
"""What is in the log."""

AS_READER = """
import contextlib, json, os, sys
from snapshots.__main__ import main
known, user, commands = json.loads(sys.argv[1])
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
    for command, _ in commands:
        main([*command, "--db", known])  # imports what it needs: the user may not read the interpreter's own files
if user is not None:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
for command, url in commands:
    code = main([*command, "--db", url])
    print(f"exit code {code}", flush=True)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those of pytest."""
    made = Path(tempfile.mkdtemp(prefix="snapshots-readers-"))
    made.chmod(0o755)
    yield made
    for each in [made, *made.rglob("*")]:
        each.chmod(0o755)
    shutil.rmtree(made)


@pytest.fixture
def file(folder: Path, run: Run) -> Path:
    """A database that no process has open."""
    assert run("load", OLD, "--db", f"sqlite:///{folder}/test.db")[0] == 0
    return folder / "test.db"


@pytest.fixture
def database_with_writer(file: Path) -> Iterator[Path]:
    """A database whose newest change is only in its write-ahead log."""
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("UPDATE session_summaries SET matcher = 'changed'")
        yield file


def forbid_writing(file: Path) -> None:
    """Remove the write permission for all users but root."""
    for each in file.parent.glob(f"{file.name}*"):
        each.chmod(0o444)
    file.parent.chmod(0o555)


@pytest.fixture
def as_reader(file: Path, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Run commands on a file as a user who may only read, and return their output with exit codes, and stderr."""
    known = tmp_path / "known.db"
    shutil.copy(file, known)

    def _run(file: Path, *commands: str) -> tuple[str, str]:
        output = json.dumps(
            [
                f"sqlite:///{known}",
                SERVER_USER if os.geteuid() == 0 else None,
                [(command.split(), f"sqlite:///{file}") for command in commands],
            ]
        )
        done = subprocess.run([sys.executable, "-c", AS_READER, output], capture_output=True, text=True, check=False)
        return done.stdout, done.stderr

    return _run


AsReader = Callable[..., tuple[str, str]]


def test_a_read_only_user_sees_rows_that_a_follower_committed(as_reader: AsReader, folder: Path, run: Run) -> None:
    """Even if they are still only in the write-ahead log."""
    log, url = folder / "log", f"sqlite:///{folder}/followed.db"
    log.mkdir()
    (log / "cowrie.json").write_bytes(gzip.decompress(OLD.read_bytes()))
    assert run("migrate", "--db", url)[0] == 0
    follower = Follower(url, log)
    try:
        wait_for(url, EVENTS)
        forbid_writing(folder / "followed.db")
        session = run("query", "--limit", "1", "--format", "json", "--db", url)[1].split('"session_id": "')[1][:12]

        out, err = as_reader(
            folder / "followed.db", "report", "query --by asn", "export -", f"explain {session}", "runs"
        )
    finally:
        follower.kill()

    assert "Error" not in err
    assert out.count("exit code 0") == 5
    assert f"{SESSIONS} sessions" in out
    assert out.count('\n"') == SESSIONS + 1


def test_a_reader_changes_nothing_and_creates_nothing(as_reader: AsReader, database_with_writer: Path) -> None:
    """Not even an index that the owner could not write."""
    before = {file.name: file.stat().st_uid for file in database_with_writer.parent.iterdir()}
    forbid_writing(database_with_writer)
    database_with_writer.parent.chmod(0o777)  # the folder may be written, the files may not

    assert "exit code 0" in as_reader(database_with_writer, "query --by day")[0]

    assert {file.name: file.stat().st_uid for file in database_with_writer.parent.iterdir()} == before


def copied(file: Path, *endings: str) -> Path:
    """Return a copy of a database with its other files, as a killed process leaves them."""
    folder = file.parent / "copy"
    folder.mkdir()
    for ending in ("", *endings):
        shutil.copy(f"{file}{ending}", folder)
    forbid_writing(folder / file.name)
    return folder / file.name


def test_rows_committed_by_a_killed_writer_are_read(as_reader: AsReader, database_with_writer: Path) -> None:
    """Its write-ahead log and the index of that log still exist."""
    assert "changed" in as_reader(copied(database_with_writer, "-wal", "-shm"), "query --by sensor")[0]


def test_a_write_ahead_log_without_its_index_is_an_error(as_reader: AsReader, database_with_writer: Path) -> None:
    """Its changes cannot be read without writing: the message states this, and what to do."""
    out, err = as_reader(copied(database_with_writer, "-wal"), "query --by sensor")

    assert out == "exit code 1\n"
    assert "test.db-wal holds changes that cannot be read" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("ending", ["", "-shm"])
def test_an_unreadable_file_is_named(as_reader: AsReader, database_with_writer: Path, ending: str) -> None:
    """Whichever of the three it is."""
    forbid_writing(database_with_writer)
    hidden = Path(f"{database_with_writer}{ending}")
    hidden.chmod(0o000)

    out, err = as_reader(database_with_writer, "report")

    assert out == "exit code 1\n"
    assert f"{hidden} cannot be read: grant read permission" in err


def test_an_inaccessible_folder_is_not_reported_as_a_missing_database(as_reader: AsReader, file: Path) -> None:
    """The message does not propose to create one."""
    file.parent.chmod(0o000)

    out, err = as_reader(file, "report")

    assert (out, "cannot be reached: Permission denied" in err) == ("exit code 1\n", True)


def test_a_command_that_writes_is_refused_on_a_read_only_database(
    as_reader: AsReader, database_with_writer: Path
) -> None:
    """Also if it would only try a change and roll it back."""
    forbid_writing(database_with_writer)

    out, err = as_reader(database_with_writer, "verify", f"load {OLD}", "backfill", "undo x")

    assert out.count("exit code 1\n") == 4
    assert err.count("cannot write to the database") == err.count("cannot be written to") == 4


def test_a_file_without_a_write_ahead_log_is_read_in_a_read_only_folder(as_reader: AsReader, file: Path) -> None:
    """Such as on read-only media."""
    forbid_writing(file)

    assert f"{SESSIONS} sessions" in as_reader(file, "report")[0]


@pytest.fixture
def read_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlDatabase]:
    """A database for reading only, in this process, whatever rights it has."""
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and allowed(path, mode))
    made = SqlDatabase(f"sqlite:///{file}")
    yield made
    made.close()


def matchers(database: SqlDatabase) -> list[str]:
    with database.reading() as connection:
        return list(connection.exec_driver_sql("SELECT DISTINCT matcher FROM session_summaries").scalars())


@pytest.mark.parametrize("query", ["SELECT 1", "SELECT * FROM nowhere"])
def test_a_writer_that_starts_while_a_file_is_read_without_locks_is_detected(
    read_only: SqlDatabase, file: Path, query: str
) -> None:
    """The rows read may be partly old and partly new, and a database error is not damage."""

    def read_during_a_write() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer, read_only.reading() as connection:
            writer.execute("UPDATE session_summaries SET matcher = 'changed'")
            connection.exec_driver_sql(query)

    with pytest.raises(StoreBusy, match="while it was read"):
        read_during_a_write()


def test_a_file_deleted_while_it_is_read_is_an_error(read_only: SqlDatabase, file: Path) -> None:
    """The rows that were read are not used."""
    with pytest.raises(StoreUnavailable, match="cannot be read: No such file"), read_only.reading():
        file.unlink()


def test_every_transaction_decides_again_how_to_read_the_file(read_only: SqlDatabase, file: Path) -> None:
    """A writer may start and end between two of them."""
    before = matchers(read_only)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("UPDATE session_summaries SET matcher = 'changed'")
        other_process = matchers(read_only)

    assert "changed" not in before
    assert (other_process, matchers(read_only)) == (["changed"], ["changed"])


LOCKING = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.mark.parametrize("may_write", [True, False])
def test_a_second_connection_of_a_process_does_not_release_its_locks(
    file: Path, may_write: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a file releases all locks of the process on it; other programs can then damage it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = DELETE")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM session_summaries").fetchall()
        if not may_write:
            allowed = os.access
            monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and allowed(path, mode))
        with closing(SqlDatabase(f"sqlite:///{file}")) as database:
            matchers(database)
            command = [sys.executable, "-c", LOCKING, str(file)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "locked" in output


def test_a_writer_without_a_write_ahead_log_is_detected(read_only: SqlDatabase, file: Path) -> None:
    """Another loader may use another journal mode."""

    def read_during_a_write() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer, read_only.reading():
            writer.execute("UPDATE session_summaries SET matcher = 'changed'")

    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
    with pytest.raises(StoreBusy, match="while it was read"):
        read_during_a_write()
