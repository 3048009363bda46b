"""Backups that a timer or an operator makes: files, folders, refusals and errors."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from snapshots.__main__ import main
from snapshots.adapters.sql.backup.postgresql_programs import find_program
from tests.journeys.conftest import OLD, SQLITE_BY_DEFAULT, Run
from tests.journeys.test_copy import by_hand, first
from tests.waiting import wait_until

NO_ROWS = "CREATE TABLE other (id INTEGER)"


@pytest.fixture(scope="module")
def loaded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the sessions of a log."""
    path = tmp_path_factory.mktemp("loaded") / "test.db"
    assert main(["load", "-q", str(OLD), "--db", str(path)]) == 0
    return path


@pytest.fixture
def loaded(run: Run, loaded_file: Path, tmp_path: Path) -> Run:
    """Commands on a copy of it."""
    shutil.copyfile(loaded_file, tmp_path / "test.db")
    return run


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name != "test.db")


def test_a_backup_is_a_private_database_that_can_be_used_at_once(loaded: Run, tmp_path: Path) -> None:
    """The output names what was checked."""
    code, out, err = loaded("backup", "--full", tmp_path / "copy.db")

    assert (code, err) == (0, "")
    assert "test.db was copied to" in out
    assert "Checked: the structure of the file (SQLite's integrity_check); the number of rows of each table;" in out
    assert "the seals of 79 of 79 sealed sessions" in out
    assert "Not checked" not in out
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert files(tmp_path) == ["copy.db"]
    assert loaded("verify", "--full", "--db", tmp_path / "copy.db")[0] == 0


def test_programs_read_the_result_as_json(loaded: Run, tmp_path: Path) -> None:
    """With the rows of each table."""
    document = json.loads(loaded("backup", "--format", "json", tmp_path / "copy.db")[1])

    assert document["file"] == str(tmp_path / "copy.db")
    assert document["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert document["tables"]["session_summaries"] == int(
        first(f"sqlite:///{tmp_path}/copy.db", "SELECT count(*) FROM session_summaries")
    )
    assert document["seals"]["violations"] == 0
    assert document["seals"]["checked"] == document["seals"]["of"] > 0
    assert document["checked"]
    assert document["not_checked"] == document["deleted"] == []


def test_an_existing_file_is_replaced_only_on_request(run: Run, tmp_path: Path) -> None:
    """Otherwise it stays as it is."""
    copy = tmp_path / "copy.db"
    copy.write_text("mine")

    code, _, err = run("backup", copy)
    assert (code, copy.read_text()) == (1, "mine")
    assert "copy.db exists: name another file, or replace it with --overwrite" in err
    assert run("backup", "--overwrite", copy)[0] == 0
    assert run("runs", "--db", copy)[0] == 0


def test_the_files_of_the_database_are_no_target(run: Run, tmp_path: Path) -> None:
    """Also not those that do not exist at present, and not by another name."""
    (tmp_path / "link").symlink_to(tmp_path / "test.db-wal")
    (tmp_path / "same").hardlink_to(tmp_path / "test.db")

    for name in ("test.db", "test.db-wal", "test.db-shm", "test.db-journal", "test.db-spans", "link", "same"):
        code, _, err = run("backup", "--overwrite", tmp_path / name)
        assert (code, "is a file of the database itself" in err) == (2, True), name


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_backup_is_not_put_next_to_the_log_of_another_database(run: Run, tmp_path: Path, ending: str) -> None:
    """SQLite would apply it to the backup, such as after a crash of the program that used the other one."""
    copy, left = tmp_path / "copy.db", tmp_path / f"copy.db{ending}"
    copy.write_text("other")
    left.write_text("changes of the other database")

    code, _, err = run("backup", "--overwrite", copy)

    assert (code, f"copy.db{ending} exists, and SQLite would apply it to the backup" in err) == (2, True), err
    assert (copy.read_text(), left.read_text()) == ("other", "changes of the other database")


def test_a_folder_keeps_the_newest_backups(run: Run, tmp_path: Path) -> None:
    """A daily timer needs no more; other files stay."""
    folder = tmp_path / "backups"
    folder.mkdir()
    older = [f"test-202611{day}T030000Z.db" for day in ("20", "21", "22")]
    for name in [*older, "notes.txt", "other-20261120T030000Z.db"]:
        (folder / name).touch()

    code, out, _ = run("backup", "--keep", "2", f"{folder}/")

    assert code == 0
    assert f"Deleted {folder}/{older[0]}." in out
    assert f"Deleted {folder}/{older[1]}." in out
    assert {*files(folder)} > {older[2], "notes.txt", "other-20261120T030000Z.db"}
    assert len(files(folder)) == 4


def test_how_many_backups_to_keep_may_be_set_for_folders(run: Run, tmp_path: Path) -> None:
    """The settings of a daily timer do not forbid a copy into a file."""
    config = tmp_path / "snapshots.toml"
    config.write_text("[backup]\nkeep = 1\n")
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "test-20261120T030000Z.db").touch()

    assert run("--config", config, "backup", tmp_path / "copy.db")[0] == 0
    assert run("--config", config, "backup", f"{folder}/")[0] == 0
    assert len(files(folder)) == 1


def test_a_new_backup_stays_when_the_clock_was_ahead(run: Run, tmp_path: Path) -> None:
    """The backups of that time have later names; a folder with such a name is no backup at all."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("test-20980101T030000Z.db", "test-20990101T030000Z.db"):
        (folder / name).touch()
    (folder / "test-20261120T030000Z.db").mkdir()

    code, out, err = run("backup", "--keep", "1", "--format", "json", f"{folder}/")

    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["deleted"] == []
    assert Path(document["file"]).stat().st_size == document["bytes"]


def test_a_folder_is_created_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    """If its name ends with a slash; without one, the backup is a file."""
    assert run("backup", f"{tmp_path}/backups/")[0] == 0
    assert run("backup", f"{tmp_path}/file")[0] == 0

    assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700
    assert len(files(tmp_path / "backups")) == 1
    assert (tmp_path / "file").is_file()


def test_what_killed_backups_left_in_a_folder_is_removed(run: Run, tmp_path: Path) -> None:
    """Their names have other times."""
    left = tmp_path / "backups" / ".test-20261120T030000Z.db.abcdefgh.part"
    left.parent.mkdir()
    for ending in ("", "-journal"):
        left.with_name(left.name + ending).touch()

    assert run("backup", left.parent)[0] == 0

    assert [name for name in files(left.parent) if ".part" in name] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-"], "not standard output"),
        ([""], "name a FILE or a FOLDER/"),
        (["\udcff.db"], "is not UTF-8"),
        (["--keep", "3", "copy.db"], "--keep needs a folder: write copy.db/"),
        (["--keep", "0", "."], "0 is not in the range"),
        (["--db", "sqlite://", "copy.db"], "a database in memory cannot be backed up"),
    ],
)
def test_a_usage_error_states_what_to_write(run: Run, arguments: list[str], words: str) -> None:
    """Nothing is written."""
    code, _, err = run("backup", *arguments)

    assert (code, words in err) == (2, True), err
    assert not Path("copy.db").exists()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("missing/copy.db", "cannot be written: No such file or directory"),
        ("missing/folder/", "cannot be used: No such file or directory"),
        ("test.db/copy.db", "cannot be written: Not a directory"),
        ("pipe", "is not a regular file"),
        ("loop", "cannot be written"),
    ],
)
def test_a_target_that_cannot_be_written_is_an_error(run: Run, tmp_path: Path, target: str, words: str) -> None:
    """In one line."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")

    code, _, err = run("backup", f"{tmp_path}/{target}")

    assert (code, words in err, err.count("\n")) == (1, True, 1), err


@pytest.mark.parametrize("kind", SQLITE_BY_DEFAULT)
def test_a_database_without_tables_has_no_backup(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, kind: str
) -> None:
    """A restore of it would lose everything."""
    url = f"sqlite:///{tmp_path}/other.db" if kind == "sqlite" else request.getfixturevalue("postgresql")
    with by_hand(url) as connection:
        connection.exec_driver_sql(NO_ROWS)

    code, _, err = run("backup", "--db", url, tmp_path / "copy")

    assert (code, "holds no sessions yet; there is nothing to back up" in err) == (1, True)
    assert not (tmp_path / "copy").exists()


def test_an_older_database_can_be_backed_up_before_it_is_migrated(run: Run, tmp_path: Path) -> None:
    """Its seals are not checked, and the output states that."""
    assert run("migrate", "--to", "0019")[0] == 0

    code, out, _ = run("backup", tmp_path / "copy.db")

    assert code == 0
    assert "Not checked: the seals of sessions: the tables have version 0019." in out
    assert run("migrate", "--db", tmp_path / "copy.db")[0] == 0


def change_sealed_sessions(path: Path) -> None:
    """Change them without an audit row, after removing the guard."""
    with by_hand(f"sqlite:///{path}") as connection:
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        for name in triggers:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("UPDATE session_summaries SET snapshot_asn = 1 WHERE snapshot_asn IS NOT NULL")


def test_a_backup_with_changed_sessions_replaces_and_deletes_none(loaded: Run, tmp_path: Path) -> None:
    """The older ones may be the only ones with the true values."""
    good, folder = tmp_path / "good.db", tmp_path / "backups"
    assert loaded("backup", good)[0] == loaded("backup", f"{folder}/")[0] == 0
    before = good.read_bytes()
    old = folder / files(folder)[0]
    old.rename(folder / "test-20261120T030000Z.db")
    change_sealed_sessions(tmp_path / "test.db")

    code, _, err = loaded("backup", "--overwrite", good)
    assert (code, "was not replaced" in err, good.read_bytes() == before) == (3, True, True)
    code, out, err = loaded("backup", "--keep", "1", f"{folder}/")
    assert (code, "violations in the copy, and so in the database" in err) == (3, True)
    assert "was copied to" in out
    assert len(files(folder)) == 2


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from snapshots.__main__ import program
sys.argv = ["snapshots", *sys.argv[1:]]
program()
"""


@pytest.mark.usefixtures("loaded")
def test_a_copy_that_cannot_be_completed_leaves_nothing(tmp_path: Path) -> None:
    """Such as beyond a limit, or on a full disk."""
    folder = tmp_path / "backups"
    folder.mkdir()
    command = [sys.executable, "-c", LIMITED, "backup", "--db", str(tmp_path / "test.db"), str(folder / "copy.db")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("Error: the copy failed: ")
    assert files(folder) == []


Programs = Callable[[str], Path]


def client_programs(url: str) -> Path:
    """Return the folder of PostgreSQL's programs that are not older than a server."""
    return find_program("pg_dump", at_least=int(first(url, "SHOW server_version_num")) // 10_000).parent


@pytest.fixture
def programs(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Put a script in place of pg_dump, which may call the real one as "$REAL/pg_dump"."""

    def put(script: str) -> Path:
        folder = tmp_path / "programs"
        folder.mkdir()
        real = client_programs(server)
        (folder / "pg_restore").symlink_to(real / "pg_restore")
        path = folder / "pg_dump"
        path.write_text(f'#!/bin/sh\nREAL={real}\n[ "$1" = --version ] && exec "$REAL/pg_dump" --version\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setenv("SNAPSHOTS_PG_BIN", str(folder))
        return folder

    return put


RECORD = """printf '%s\\n' "$@" > {0}-arguments; echo "$PGPASSWORD" > {0}-password; exec "$REAL/pg_dump" "$@\""""


def with_password(url: str) -> str:
    """Add a password, and that of a key."""
    named = make_url(url).set(password="s3cret-p@ss").update_query_dict({"sslpassword": "s3cret-key"})
    return named.render_as_string(hide_password=False)


def test_a_postgresql_database_is_dumped_and_read_back(
    migrated_postgresql: str, run: Run, tmp_path: Path, programs: Programs
) -> None:
    """The password is in no argument: it is in the environment of pg_dump."""
    programs(RECORD.format(tmp_path / "seen"))
    url = with_password(migrated_postgresql)
    assert run("load", "-q", OLD, "--db", url)[0] == 0

    code, out, err = run("backup", "--db", url, tmp_path / "copy.dump")

    assert (code, err) == (0, "")
    assert "Checked: that pg_restore can read every row; the number of rows of each table." in out
    assert "Not checked: the seals of sessions" in out
    assert "s3cret" not in out
    assert (tmp_path / "seen-password").read_text() == "s3cret-p@ss\n"
    arguments = (tmp_path / "seen-arguments").read_text()
    assert "s3cret" not in arguments
    assert "--format=custom" in arguments
    assert (tmp_path / "copy.dump").stat().st_mode & 0o777 == 0o600


def test_a_service_file_names_the_database(
    migrated_postgresql: str, run: Run, tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, where the password is a file; of several hosts, the one that answers is dumped."""
    url = make_url(migrated_postgresql)
    service = tmp_path / "pg_service.conf"
    service.write_text(
        f"[snapshots]\nhost=/nonexistent,{url.query['host']}\ndbname={url.database}\nuser={url.username}\npassword=x\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    programs(RECORD.format(tmp_path / "seen"))

    code, _, err = run("backup", "--db", "postgresql:///?service=snapshots", f"{tmp_path}/backups/")

    assert (code, err) == (0, "")
    assert files(tmp_path / "backups")[0].startswith(f"{url.database}-")
    assert (tmp_path / "seen-password").read_text() == "x\n"
    assert "nonexistent" not in (tmp_path / "seen-arguments").read_text()


def test_a_failing_pg_dump_is_one_line(migrated_postgresql: str, run: Run, programs: Programs) -> None:
    """With its last words; no file is left."""
    folder = programs('echo "pg_dump: error: permission denied for table x" >&2; echo half > "${6#--file=}"; exit 1')

    code, _, err = run("backup", "--db", migrated_postgresql, folder / "copy.dump")

    assert (code, err) == (1, "Error: pg_dump failed: pg_dump: error: permission denied for table x\n")
    assert files(folder) == ["pg_dump", "pg_restore"]


def test_a_dump_that_lacks_rows_is_no_backup(migrated_postgresql: str, run: Run, programs: Programs) -> None:
    """Its rows are counted."""
    folder = programs('exec "$REAL/pg_dump" --exclude-table-data=runs "$@"')
    run("load", "-q", OLD, "--db", migrated_postgresql)

    code, _, err = run("backup", "--db", migrated_postgresql, folder / "copy.dump")

    assert (code, "public.runs has no table in the copy and 1 rows in the database" in err) == (1, True), err
    assert files(folder) == ["pg_dump", "pg_restore"]


def test_without_pg_dump_the_message_states_what_to_install(
    migrated_postgresql: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is older than the server."""
    (tmp_path / "programs").mkdir()
    monkeypatch.setenv("SNAPSHOTS_PG_BIN", str(tmp_path / "programs"))

    code, _, err = run("backup", "--db", migrated_postgresql, tmp_path / "copy.dump")
    assert (code, "or newer was not found: install the PostgreSQL client" in err) == (1, True)

    path = tmp_path / "programs" / "pg_dump"
    path.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    path.chmod(0o755)
    code, _, err = run("backup", "--db", migrated_postgresql, tmp_path / "copy.dump")
    assert (code, "pg_dump is older than the server, version" in err, "is version 9;" in err) == (1, True, True)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_ended_backup_leaves_no_file_under_its_name(
    migrated_postgresql: str, tmp_path: Path, programs: Programs, number: int, code: int
) -> None:
    """After Ctrl-C there is nothing; what a killed one left is removed by the next."""
    never = tmp_path / "never"
    os.mkfifo(never)
    programs(f'echo half > "${{6#--file=}}"; touch {tmp_path}/begun; exec cat {never}')
    folder = tmp_path / "backups"
    command = [sys.executable, "-m", "snapshots", "backup", "--db", migrated_postgresql, f"{folder}/"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)

    process.send_signal(number)
    process.communicate()
    os.close(os.open(never, os.O_RDWR | os.O_NONBLOCK))  # ends what a killed process left

    assert process.returncode == code
    assert [name for name in files(folder) if not name.startswith(".")] == []
    if number == signal.SIGINT:
        assert files(folder) == []
