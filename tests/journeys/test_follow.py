"""Following a folder while a writer appends, rotates and truncates, and the follower is killed."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import create_engine, text

from tests.journeys.conftest import NEW, OLD, Run
from tests.journeys.test_processes import rows
from tests.waiting import wait_until

TURNS = int(os.environ.get("SNAPSHOTS_TURNS", "25"))
DEADLINE = 60.0


class Follower:
    """A process that follows a folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.command = [
            sys.executable,
            "-m",
            "snapshots",
            "load",
            "--follow",
            "--poll-interval",
            "0.1",
            "--db",
            url,
            str(folder),
        ]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


@pytest.fixture
def lines() -> list[bytes]:
    return [line for log in (OLD, NEW) for line in gzip.decompress(log.read_bytes()).splitlines(keepends=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.mkdir()
    return made


@pytest.fixture
def follower(sql_url: str, folder: Path, run: Run) -> Iterator[Follower]:
    assert run("migrate", "--db", sql_url)[0] == 0
    made = Follower(sql_url, folder)
    yield made
    made.process.kill()
    made.process.wait()


def stored(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT coalesce(sum(event_count), 0) FROM session_summaries")).scalar_one()
    engine.dispose()
    return int(count)


def wait_for(url: str, events: int) -> None:
    wait_until(lambda: stored(url) >= events, seconds=DEADLINE)
    assert stored(url) == events


@pytest.mark.slow
def test_every_event_of_a_followed_log_counts_exactly_once(
    follower: Follower, sql_url: str, lines: list[bytes], run: Run, tmp_path: Path
) -> None:
    """Whatever the writer does with its files, and whenever the follower dies."""
    folder = tmp_path / "log"
    whole = tmp_path / "whole.json"
    whole.write_bytes(b"".join(lines))
    expected = f"sqlite:///{tmp_path}/expected.db"
    out = run("load", whole, "--db", expected)[1]
    chance, log, turn = Random(11), folder / "cowrie.json", 0
    rest = list(lines)
    while rest:
        turn += 1
        count = max(1, len(lines) // TURNS) if turn < TURNS else len(rest)
        data = b"".join(rest[:count])
        rest = rest[count:]
        cut, before = chance.randrange(len(data)), stored(sql_url)
        for part in (data[:cut], data[cut:]):
            with log.open("ab") as file:
                file.write(part)
        if chance.random() < 0.7:  # else the file changes while it is read
            wait_until(lambda before=before: stored(sql_url) > before, seconds=DEADLINE)  # type: ignore[misc]
        act = chance.choice(("rename", "copytruncate", "gzip", "kill", "nothing", "nothing"))
        if act == "rename":
            log.rename(folder / f"cowrie.json.{turn}")
        elif act == "copytruncate":
            shutil.copy(log, folder / f"cowrie.json.{turn}")
            os.truncate(log, 0)
        elif act == "gzip":
            (folder / f"cowrie.json.{turn}.gz").write_bytes(gzip.compress(log.read_bytes()))
            log.unlink()
        elif act == "kill" and rest:  # otherwise it would end before it handles the signal
            follower.kill()
            follower.start()

    wait_for(sql_url, stored(expected))
    code, output, err = follower.stop()

    assert (code, err) == (0, "")
    assert "Read" in out
    assert "Read" in output or "Nothing new" in output
    assert rows(sql_url) == rows(expected)
    assert "Nothing new" in run("load", folder, "--db", sql_url)[1]


def test_a_session_that_awaits_its_connect_is_shown_as_such(
    follower: Follower, sql_url: str, folder: Path, run: Run
) -> None:
    """Its address was looked up, and it is not sealed: neither `explain` nor `verify` claims otherwise."""
    event = {"eventid": "cowrie.login.failed", "session": "aa11bb22", "src_ip": "8.8.8.8"}
    (folder / "cowrie.json").write_text(json.dumps(event | {"timestamp": "2026-11-01T12:00:00Z"}) + "\n")
    wait_for(sql_url, 1)

    explained = run("explain", "aa11bb22", "--db", sql_url)[1]
    verified = run("verify", "--db", sql_url)[1]

    follower.stop()
    assert "awaiting_connect: Its connect event was not read yet" in explained
    assert "by another event; no connect read so far" in explained
    assert "asked" not in explained
    assert "without a snapshot, awaiting_connect: 1 session." in verified


def test_a_follower_whose_database_was_replaced_stops(
    tmp_path: Path, folder: Path, lines: list[bytes], run: Run
) -> None:
    """Rows in a deleted file would be lost; after a restart, the same lines are stored in the new one."""
    url, log = f"sqlite:///{tmp_path}/test.db", folder / "cowrie.json"
    assert run("migrate", "--db", url)[0] == 0
    shutil.copy(tmp_path / "test.db", tmp_path / "backup.db")
    log.write_bytes(b"".join(lines[:100]))
    made = Follower(url, folder)
    wait_for(url, 100)
    (tmp_path / "backup.db").rename(tmp_path / "test.db")
    with log.open("ab") as file:
        file.write(b"".join(lines[100:200]))

    _, err = made.process.communicate(timeout=DEADLINE)

    assert made.process.returncode == 1
    assert err.startswith("Error: ")
    assert "was deleted, moved or replaced" in err
    assert err.count("\n") == 1


def test_standard_input_is_not_followed(run: Run) -> None:
    """It ends by itself."""
    assert run("load", "--follow", "-")[0] == 2
