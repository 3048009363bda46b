"""Commands on tables of an older or a newer version: followers wait for the upgrade, all others refuse."""

import gzip
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast
from urllib.error import HTTPError

import pytest
from sqlalchemy import NullPool, create_engine, text

from snapshots.adapters.sql.schema import versions
from tests.journeys.conftest import BOTH, OLD, Run
from tests.journeys.test_follow import Follower, stored, wait_for
from tests.journeys.test_processes import rows
from tests.old_databases import KINDS, VERSION, all_rows, extract_logs
from tests.served import served

READING = [
    ["report"],
    ["verify"],
    ["query"],
    ["query", "--by", "asn"],
    ["export", "-"],
    ["explain", "s"],
    ["events", "s"],
    ["abuse-report", "AS1"],
    ["drift"],
    ["news"],
    ["runs"],
    ["sources"],
    ["facts", "status"],
    ["facts", "show", "8.8.8.8"],
    ["dead-letters", "list"],
    ["serve", "--listen", "127.0.0.1:0"],
    ["migrate", "--dry-run"],
]
WRITING = [
    ["load", str(OLD)],
    ["load", "--follow", str(OLD)],
    ["load", "--follow", "--serve", "--listen", "127.0.0.1:0", str(OLD)],
    ["backfill"],
    ["backfill", "--dry-run"],
    ["backfill", "--resume"],
    ["backfill", "--improve"],
    ["undo", "20261124T000000-000000"],
    ["correct", "s", "--country", "DE", "--reason", "r"],
    ["correct", "--sentinels", "--reason", "r"],
    ["prune", "--before", "2027-01-01"],
    ["facts", "refresh"],
    ["facts", "import", "TABLE"],
    ["facts", "retract", "dbip@2026-09-01"],
    ["dead-letters", "replay"],
    ["indexes"],
    ["indexes", "--drop"],
    ["migrate"],
    ["migrate", "--to", VERSION],
    ["migrate", "--to", "base", "--yes"],
]
ADOPTING = [["adopt"], ["adopt", "--dry-run"], ["adopt", "--undo"], ["adopt", "--undo", "--dry-run"]]


def set_version(url: str, version: str) -> None:
    """Change the version of the tables, as a program of that version would."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def refusals(run: Run, commands: Iterable[Sequence[str]], folder: Path) -> Mapping[str, str]:
    """Run commands, each of which must fail, and return the last line of their errors."""
    table, messages = folder / "asn-2026-01-01.csv", {}
    table.write_text("8.0.0.0,8.255.255.255,64500,NET\n")
    for command in commands:
        code, _, err = run(*(table if word == "TABLE" else word for word in command))
        assert code == 1, command
        messages[" ".join(command)] = err.splitlines()[-1]
    return messages


@pytest.mark.parametrize("old_copies", BOTH, indirect=True)
def test_every_command_refuses_tables_of_a_newer_version(old: str, run: Run, tmp_path: Path) -> None:
    """With both versions and what to do; nothing is changed."""
    set_version(old, "9999")
    before = all_rows(old)

    messages = refusals(run, [*READING, *WRITING], tmp_path)

    for command, message in messages.items():
        assert f"have version 9999, and this program works with {versions.newest()}" in message, command
        assert "Install that version, or restore a backup from before the upgrade" in message, command
    assert all_rows(old) == before


@pytest.mark.parametrize("old_copies", BOTH, indirect=True)
def test_every_command_refuses_tables_of_an_older_version(old: str, run: Run, tmp_path: Path) -> None:
    """The message has the command to run; nothing is changed. Followers wait instead."""
    before = all_rows(old)
    commands = [each for each in (*READING, *WRITING) if each[0] != "migrate" and each[:2] != ["load", "--follow"]]
    advice = f"have version {VERSION}, this program works with {versions.newest()}: run `snapshots migrate`"

    messages = refusals(run, commands, tmp_path)

    assert [command for command, message in messages.items() if advice not in message] == []
    assert all_rows(old) == before


@pytest.mark.parametrize("kind", [KINDS[1]])
def test_tables_of_another_version_are_neither_adopted_nor_given_back(old: str, run: Run, tmp_path: Path) -> None:
    """Their rows are in other tables than this program expects."""
    for version, advice in ((VERSION, "run `snapshots migrate`"), ("9999", "Install that version")):
        set_version(old, version)
        before = all_rows(old)

        messages = refusals(run, ADOPTING, tmp_path)

        assert [command for command, message in messages.items() if advice not in message] == []
        assert all_rows(old) == before


def test_a_database_is_not_copied_from_or_to_another_version(old: str, run: Run, tmp_path: Path) -> None:
    """In either direction."""
    assert "run `snapshots migrate`" in run("copy", "--to", tmp_path / "copy.db")[2]
    assert run("migrate", "--db", tmp_path / "new.db")[0] == 0
    assert "is in use already" in run("copy", "--db", tmp_path / "new.db", "--to", old)[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The logs of the older version, with the rest of the one that was incomplete."""
    extract_logs(tmp_path)
    with (tmp_path / "log/cowrie.json").open("ab") as file:
        file.write((tmp_path / "rest").read_bytes())
    return tmp_path / "log"


@pytest.fixture
def follower(old: str, folder: Path) -> Iterator[Follower]:
    made = Follower(old, folder)
    yield made
    made.process.kill()
    made.process.wait()


def message_of(process: "subprocess.Popen[str]") -> str:
    """Return the next line on standard error."""
    return cast("IO[str]", process.stderr).readline()


def completed_log(url: str) -> list[dict[str, object]]:
    """Return the sessions of the log that was completed after the older version had loaded its beginning."""
    return [row for row in rows(url) if str(row["session_id"]).startswith("b")]


def events(url: str) -> dict[object, object]:
    return {row["session_id"]: row["event_count"] for row in rows(url)}


def test_a_follower_waits_for_the_upgrade_and_continues_from_the_old_bookmarks(
    old: str, old_copies: Callable[[], str], folder: Path, follower: Follower, run: Run
) -> None:
    """Every event is stored once, as by a load after the upgrade."""
    undisturbed = old_copies()
    assert run("migrate", "--db", undisturbed)[0] == 0
    assert run("load", "-q", folder, "--db", undisturbed) == (0, "", "")
    warning = message_of(follower.process)
    assert f"have version {VERSION}" in warning
    assert "run `snapshots migrate`; retrying until it succeeds" in warning

    assert run("migrate")[0] == 0

    assert "recovered; loading continues" in message_of(follower.process)
    wait_for(old, stored(undisturbed))
    assert follower.stop()[0] == 0
    assert events(old) == events(undisturbed)
    assert completed_log(old) == completed_log(undisturbed)
    assert run("verify", "--full")[0] == 0


def test_a_running_follower_stops_when_a_newer_version_upgrades_the_tables(
    sql_url: str, tmp_path: Path, run: Run
) -> None:
    """Before it stores rows that the newer version would not understand; after a restart nothing is missing."""
    log, lines = tmp_path / "cowrie.json", gzip.decompress(OLD.read_bytes()).splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:200]))
    follower = Follower(sql_url, log)
    wait_for(sql_url, 200)
    set_version(sql_url, "9999")

    with log.open("ab") as file:
        file.write(b"".join(lines[200:]))
    _, err = follower.process.communicate(timeout=60)

    assert follower.process.returncode == 1
    assert err.splitlines()[-1].startswith("Error: the tables of ")
    assert "have version 9999" in err
    assert stored(sql_url) == 200
    set_version(sql_url, versions.newest())
    assert run("load", "-q", log, "--db", sql_url)[0] == 0
    assert run("load", "-q", log, "--db", f"sqlite:///{tmp_path}/undisturbed.db")[0] == 0
    assert rows(sql_url) == rows(f"sqlite:///{tmp_path}/undisturbed.db")


def test_the_page_of_a_running_server_reports_a_newer_version(sql_url: str, run: Run) -> None:
    """Its pages are errors until it is restarted; none shows rows that it would misread."""
    assert run("load", "-q", OLD, "--db", sql_url)[0] == 0
    with served("serve", "--db", sql_url) as page:
        assert page.answers("")
        set_version(sql_url, "9999")
        with pytest.raises(HTTPError) as answer:
            page.page("sessions")
        assert answer.value.code == 503
        assert "have version 9999" in answer.value.read().decode()
