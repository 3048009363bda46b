"""Files that commands write: whole, with the right mode, and without leftovers."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from snapshots.adapters.cli.output.atomic_output import opened_whole, written_whole
from tests.journeys.conftest import Run

WRITER = """
import sys
from pathlib import Path
from snapshots.adapters.cli.output.atomic_output import opened_whole
with opened_whole(Path(sys.argv[1])) as to:
    to.write(b"half")
    to.flush()
    print("begun", flush=True)
    sys.stdin.read()
"""


def begin(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def test_temporary_files_of_a_killed_process_are_removed_and_those_of_a_live_one_are_not(tmp_path: Path) -> None:
    """The next process that writes the same file removes them."""
    path = tmp_path / "out [1].csv"
    killed, living = begin(path), begin(path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (tmp_path / ".notes.part").touch()

    with opened_whole(path) as to:
        to.write(b"whole")

    assert path.read_bytes() == b"whole"
    assert len(list(tmp_path.glob(".out*.part"))) == 1
    assert (tmp_path / ".notes.part").exists()
    living.kill()
    living.communicate()
    killed.communicate()


def test_a_temporary_file_that_another_process_removes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one writes the same file at the same time, and takes it for one of a killed process."""
    path, flock = tmp_path / "out.db", fcntl.flock
    removed: list[Path] = []

    def lock_late(file: BinaryIO, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.glob("*.part"))
            removed[0].unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with written_whole(path, overwrites=False) as part:
        assert part.exists()
        part.write_text("whole")

    assert len(removed) == 1
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("whole", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    """An error leaves the old one, and no part of the new one."""
    path = tmp_path / ("long" * 60)
    path.write_bytes(b"old")

    with pytest.raises(TypeError), opened_whole(path) as to:
        to.writelines([b"new", "no bytes"])  # type: ignore[list-item]

    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_page_with_passwords_is_for_its_owner_alone(run: Run, logs: Path, tmp_path: Path) -> None:
    """Kept only where the operator asked for them."""
    run("load", "-q", logs)
    run("report", "--html", tmp_path / "plain.html")
    run("load", "-q", "--keep-passwords", "--db", tmp_path / "kept.db", logs)
    run("report", "--db", tmp_path / "kept.db", "--html", tmp_path / "secret.html")

    assert (tmp_path / "plain.html").stat().st_mode & 0o077
    assert not (tmp_path / "secret.html").stat().st_mode & 0o077


@pytest.mark.parametrize("name", ["", "/cowrie.json", "/*.json"])
def test_a_folder_that_exists_is_taken_literally(run: Run, logs: Path, name: str) -> None:
    """Brackets in it are not a pattern; the rest of the path may be one."""
    folder = logs.rename(logs.with_name("my logs #1 100% [x]"))

    assert run("load", f"{folder}{name}")[0] == 0
