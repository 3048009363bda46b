"""The live page, served by real processes: alone, next to a load, by the demonstration and by a load."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.journeys.conftest import NEW, OLD, Run
from tests.served import Served, served
from tests.waiting import wait_until

SESSION_OF_NEW, SESSION_OF_OLD = "dd0250e0b850", "faa3d2874b79"
RECORDING_OF_NEW = "baef28cbc1639b6f581a95c0aa89bb9a90933328b4b2e993391e3019212d8e1c"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    return file


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def following(logs: Path, database: Path) -> AbstractContextManager[Served]:
    """Follow logs into a database, and serve its page."""
    return served("load", "--follow", "--serve", "--poll-interval", "0.1", "--db", database, logs)


def child_of(number: int) -> int:
    return int(Path(f"/proc/{number}/task/{number}/children").read_text().split()[0])


def test_the_page_shows_what_another_process_loads(sql_url: str, run: Run) -> None:
    """Without a restart, while it is served; SIGTERM ends it with exit code 0."""
    assert run("load", OLD, "--db", sql_url)[0] == 0
    with served("serve", "--db", sql_url) as page:
        assert page.url.startswith("http://127.0.0.1:")
        assert SESSION_OF_OLD in page.page(f"session/{SESSION_OF_OLD}")
        assert "AS" in page.page()

        assert run("load", NEW, "--db", sql_url)[0] == 0
        assert SESSION_OF_NEW in page.page(f"session/{SESSION_OF_NEW}")
        assert page.stop(signal.SIGTERM) == 0
    assert page.messages.count("\n") == 1


def test_ctrl_c_ends_the_page_without_a_traceback(migrated_sqlite: str) -> None:
    """With the exit code of an interruption."""
    with served("serve", "--db", migrated_sqlite) as page:
        assert page.stop(signal.SIGINT) == 130
    assert page.messages.count("\n") == 1


def test_an_option_that_cannot_be_used_is_an_error_at_once(
    run: Run, token: Path, used_port: int, tmp_path: Path
) -> None:
    """One sentence that names the value; 2 for usage, 1 for what is missing."""
    files = {
        "short": b"secret",
        "spaced": b"0123456789abcdef 0123456789abcdef",
        "other": "ä".encode() * 20,
        "empty": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cases: list[tuple[int, str, tuple[object, ...]]] = [
        (2, "other machines can connect to 0.0.0.0", ("--listen", "0.0.0.0:0")),
        (2, "other machines can connect to ::", ("--listen", "[::]:0")),
        (2, "is not an address with a port", ("--listen", "127.0.0.1:http")),
        (2, "is not an address with a port", ("--listen", "127.0.0.1:65536")),
        (2, f"cannot listen on 127.0.0.1 port {used_port}", ("--listen", f"127.0.0.1:{used_port}")),
        (2, "cannot listen on 192.0.2.1", ("--listen", "192.0.2.1:0", "--token-file", token)),
        (1, "missing cannot be read", ("--token-file", tmp_path / "missing")),
        (2, "at least 16 characters", ("--token-file", tmp_path / "short")),
        (2, "at least 16 characters", ("--token-file", tmp_path / "spaced")),
        (2, "at least 16 characters", ("--token-file", tmp_path / "empty")),
        (1, "it is not ASCII text", ("--token-file", tmp_path / "other")),
        (1, "there is no database", ("--db", tmp_path / "missing.db")),
        (2, "does not exist", ("--tty", tmp_path / "missing")),
        (2, "is a file", ("--tty", token)),
    ]
    for code, sentence, options in cases:
        found, out, err = run("serve", *options)
        assert (found, out) == (code, ""), (options, err)
        assert sentence in err, err
        assert err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "missing.db").exists()


def test_a_load_serves_the_page_of_what_it_loads(logs: Path, tmp_path: Path) -> None:
    """From a database that does not exist yet; SIGTERM ends both, with the exit code of the load."""
    with following(logs, tmp_path / "new.db") as page:
        wait_until(lambda: page.answers(f"session/{SESSION_OF_OLD}") and page.answers(f"session/{SESSION_OF_NEW}"))
        assert (tmp_path / "new.db").exists()
        assert page.stop(signal.SIGTERM) == 0
        wait_until(lambda: not page.answers("healthz"))
    assert "no longer served" not in page.messages


@pytest.mark.slow
def test_the_page_of_a_load_has_the_settings_of_the_configuration_file(logs: Path, tmp_path: Path) -> None:
    """Those of `serve`, and the database of both."""
    config, recordings = tmp_path / "snapshots.toml", tmp_path / "tty"
    recordings.mkdir()
    (recordings / RECORDING_OF_NEW).write_bytes(b"\1" + bytes(23))
    config.write_text(f'db = "{tmp_path}/new.db"\n[serve]\ntty = "{recordings}"\n')

    with served("--config", config, "load", "--follow", "--serve", logs) as page:
        wait_until(lambda: page.answers(f"session/{SESSION_OF_NEW}/replay"))
        assert page.stop(signal.SIGTERM) == 0


@pytest.mark.slow
def test_the_page_of_a_load_that_is_killed_ends_too(logs: Path, tmp_path: Path) -> None:
    """No process is left that serves old data."""
    with following(logs, tmp_path / "new.db") as page:
        assert page.stop(signal.SIGKILL) == -signal.SIGKILL
        wait_until(lambda: not page.answers("healthz"))


@pytest.mark.slow
def test_a_load_continues_when_its_page_ends(logs: Path, tmp_path: Path) -> None:
    """With a warning."""
    with following(logs, tmp_path / "new.db") as page:
        os.kill(child_of(page.process.pid), signal.SIGKILL)
        wait_until(lambda: not page.answers("healthz"))
        warning = page.next_message()
        assert page.stop(signal.SIGTERM) == 0
    assert warning.startswith("Warning: the page is no longer served (its process ended with exit code -9)")


def test_a_load_whose_page_cannot_be_served_loads_nothing(run: Run, logs: Path, used_port: int) -> None:
    """The message and the exit code are those of `serve`."""
    code, _, _ = run("load", "--follow", "--serve", "--listen", f"127.0.0.1:{used_port}", logs)

    assert code == 2
    assert run("explain", SESSION_OF_NEW)[0] == 1


def test_options_of_the_page_need_it(run: Run, logs: Path, token: Path) -> None:
    """And the page needs --follow, and a database that another process can open."""
    for sentence, options in (
        ("add --follow", ("--serve",)),
        ("add --serve", ("--follow", "--listen", "127.0.0.1:0")),
        ("add --serve", ("--token-file", token)),
        ("--db trial", ("--follow", "--serve", "--db", "trial")),
    ):
        code, _, err = run("load", *options, logs)
        assert (code, sentence in err) == (2, True), err


def test_the_demonstration_serves_the_bundled_log() -> None:
    """And deletes its temporary database at the end."""
    with served("demo", "--serve") as page:
        database = page.messages.partition("sqlite:///")[2].partition(" at ")[0]
        assert Path(database).exists()
        assert SESSION_OF_NEW in page.page(f"session/{SESSION_OF_NEW}")
        assert page.stop(signal.SIGTERM) == 0
    assert not Path(database).parent.exists()


def test_the_demonstration_serves_only_this_machine(run: Run) -> None:
    """It has no token."""
    for sentence, options in (
        ("demo serves only this machine", ("--listen", "0.0.0.0:0")),
        ("--db trial", ("--db", "trial")),
    ):
        code, _, err = run("demo", "--serve", *options)
        assert (code, sentence in err) == (2, True), err
