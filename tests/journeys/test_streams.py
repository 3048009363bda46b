"""Standard streams: closed, full, without a reader, or a terminal that hostile text could steer."""

import errno
import gzip
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snapshots.__main__ import main
from tests.journeys.conftest import NEW, Run

pytestmark = pytest.mark.slow

SNAPSHOTS = f"{sys.executable} -m snapshots"
HOSTILE = "\x1b]0;owned\x07\u202etxt\x9b31m"
ESCAPED = "\\x1b]0;owned\\x07\\u202etxt\\x9b31m"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "cowrie.json"
    path.write_bytes(gzip.decompress(NEW.read_bytes()))
    return path


@pytest.fixture(scope="module")
def loaded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the sessions of that log. Copying it is faster than loading."""
    path = tmp_path_factory.mktemp("loaded") / "test.db"
    assert main(["load", "-q", "--db", str(path), str(NEW)]) == 0
    return path


@pytest.fixture
def loaded(tmp_path: Path, loaded_template: Path) -> Path:
    """A folder with that database."""
    shutil.copyfile(loaded_template, tmp_path / "test.db")
    return tmp_path


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {
        **os.environ,
        "SNAPSHOTS_DB": f"sqlite:///{folder}/test.db",
        "PYTHONPATH": str(Path("src").resolve()),
    }
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, cwd=folder, env=environment, check=False, timeout=120
    )


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", ">&- 2>/dev/full"])
def test_commands_complete_with_closed_streams(log: Path, closed: str) -> None:
    """A line of a crontab may end in 2>&-: the load is done, and no message lands in the database."""
    done = shell(f"{SNAPSHOTS} load -v {log} {closed}; echo $?; {SNAPSHOTS} verify >/dev/null; echo $?", log.parent)

    assert done.stdout.split()[-2:] == [b"0", b"0"]
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&1 | head -1", ">/dev/full"])
def test_every_command_bears_any_stream(loaded: Path, closed: str) -> None:
    """A closed pipe is not an error; a result that cannot be written is."""
    commands = ["report --format json", "query", "export -", "nonsense"]
    script = "; ".join(f"{SNAPSHOTS} {command} {closed}; echo $? >&9" for command in commands)
    done = shell(f"exec 9>codes; {script}", loaded)
    codes = (loaded / "codes").read_text().split()

    assert b"Traceback" not in done.stdout + done.stderr
    assert b"Exception ignored" not in done.stderr
    expected = ["1" if closed == ">/dev/full" else "0"] * 3
    assert codes == [*expected, "0" if "|" in closed else "2"]


@pytest.mark.parametrize("command", ["report", "query", "export -", "runs", "sources"])
def test_a_failure_to_write_the_output_is_reported_with_its_reason(loaded: Path, command: str) -> None:
    """By every command that has results."""
    done = shell(f"{SNAPSHOTS} {command} >/dev/full", loaded)

    assert (done.returncode, done.stderr) == (1, b"Error: the output cannot be written: No space left on device\n")


def test_an_error_of_a_file_is_not_blamed_on_the_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an error of the output stream is reported as one."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("snapshots.composition.application.open_application", fail)

    assert run("report")[::2] == (1, "Error: Input/output error\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["load", f"no{HOSTILE}file"],
        ["load", f"--no{HOSTILE}"],
        ["load", "x", "--max-lag", HOSTILE],
        [HOSTILE],
        ["explain", HOSTILE],
        ["query", "--since", HOSTILE],
        ["query", "--asn", HOSTILE],
        ["inventory", "show", HOSTILE],
        ["inventory", "import", HOSTILE],
        ["export", f"no{HOSTILE}folder/x"],
        ["report", "--db", f"postgresql{HOSTILE}://h/x"],
        ["report", "--db", f"sqlite:///{HOSTILE}.db"],
        ["undo", HOSTILE],
        ["migrate", "--to", HOSTILE],
        ["load", "-v", "\udc80\ud800"],
    ],
)
def test_arguments_cannot_control_the_terminal(run: Run, log: Path, arguments: list[str]) -> None:
    """Also a path that a script passes from elsewhere."""
    run("load", "-q", log)

    _, out, err = run(*arguments)

    assert (out + err).replace("\n", "").replace("\t", "").isprintable()
    assert "Error: " in err


def test_a_line_break_in_a_name_cannot_forge_a_message(run: Run) -> None:
    """A sentence is one line."""
    _, _, err = run("load", "x\nError: all is lost")

    assert err.count("\n") == 1


def test_a_terminal_receives_our_colors_and_no_control_characters_of_a_log(log: Path) -> None:
    """The name and the content of a file appear as text, next to a progress bar."""
    hostile = log.with_name(f"{HOSTILE}.json")
    hostile.write_bytes(log.read_bytes().replace(b'"username":"root"', b'"username":"\\u001b]0;owned\\u0007"'))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "snapshots", "load", "-v", "--db", f"sqlite:///{log.parent}/t.db", str(hostile)]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:
        pass  # the terminal is gone
    assert process.wait(timeout=60) == 0
    os.close(ours)

    assert b"\x1b[" in seen
    assert b"]0;owned\x07" not in seen
    assert b"\x1b]0;owned" not in seen
    assert "\u202e".encode() not in seen


def test_an_internal_error_is_one_line_and_with_v_a_traceback_without_passwords(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, an unexpected error of a library."""

    def fail(*_: object) -> None:
        raise RuntimeError("at postgresql://u:hunter2@h/x\nand below")

    monkeypatch.setattr("snapshots.composition.application.open_application", fail)

    code, _, err = run("report")
    assert (code, err) == (
        1,
        "Error: internal error, please report it: RuntimeError: at postgresql://u:***@h/x and below\n",
    )
    _, _, err = run("load", "-v", "x")
    assert "Traceback" in err
    assert "hunter2" not in err
