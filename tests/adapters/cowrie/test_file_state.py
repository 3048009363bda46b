"""Recognizing files that have not changed since they were loaded."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files.file_state import COARSEST_NS, FINEST_NS, SECOND, FileStates
from snapshots.adapters.cowrie.files.find_logs import FoundLogs, find_logs
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.ports.log_source import Layout, LineOptions

NOW_NS = 1_700_000_000 * SECOND
LINE = b'{"session":"s1","eventid":"cowrie.session.connect","timestamp":"2026-03-01T12:00:00.000001Z"}\n'


class Status:
    """A status of a file, with times before NOW_NS in nanoseconds."""

    def __init__(self, age_ns: int, *, mode: int = stat.S_IFREG, **parts: int) -> None:
        self.st_mode, self.st_dev, self.st_ino, self.st_size = mode, 1, 2, 3
        self.st_mtime_ns = self.st_ctime_ns = NOW_NS - age_ns
        self.__dict__.update(parts)


def state(status: object, layout: Layout = Layout.AUTO) -> str:
    return FileStates(layout, NOW_NS).of(status)  # type: ignore[arg-type]  # has what is needed of a status


@given(step=st.sampled_from([SECOND, 2 * SECOND, 10_000_000, 1]), data=st.data())
def test_two_changes_that_one_time_stamp_hides_leave_no_state_behind(step: int, data: st.DataObject) -> None:
    """A file is changed, read and changed again; if both changes have equal time stamps, it had no state."""
    first = data.draw(st.integers(NOW_NS - 10 * SECOND, NOW_NS))
    second = data.draw(st.integers(NOW_NS, NOW_NS + 10 * SECOND))
    stamp = first - first % step

    if stamp == second - second % step:
        assert state(Status(NOW_NS - stamp)) == ""


def test_a_file_has_a_state_once_its_time_stamp_has_passed() -> None:
    """Whole seconds may be steps of two seconds, fractions are steps of ten milliseconds at most."""
    assert state(Status(COARSEST_NS)) == ""
    assert state(Status(COARSEST_NS + SECOND)) != ""
    assert state(Status(FINEST_NS)) == ""
    assert state(Status(FINEST_NS + 1)) != ""
    assert state(Status(-SECOND - 1)) == ""


@pytest.mark.parametrize("part", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_each_part_of_the_state_counts(part: str) -> None:
    """Another file, another size or another time is another state."""
    old = Status(60 * SECOND)

    assert state(old) == state(Status(60 * SECOND))
    assert state(old) != state(Status(60 * SECOND, **{part: getattr(old, part) - 1}))
    assert state(old) != state(old, Layout.JSON)


def test_only_regular_files_have_a_state() -> None:
    """A pipe yields other bytes each time."""
    assert state(Status(60 * SECOND, mode=stat.S_IFIFO)) == ""


def search(folder: Path, known: set[str], *, options: LineOptions | None = None, hours: int = 1) -> FoundLogs:
    """Search when the files are an hour old, and know those in *known*."""
    return find_logs(
        [str(folder)],
        LineDecoder(options),
        loaded=lambda states: known & set(states),
        searched_at=datetime.now(UTC) + timedelta(hours=hours),
    )


def load(found: FoundLogs) -> set[str]:
    """Read all contents, and return their states."""
    states = set()
    for content in found.contents:
        content.resume([])
        assert list(content.lines())
        states.add(content.state)
    return states


def test_a_file_that_was_loaded_is_not_opened_again(tmp_path: Path) -> None:
    """It is counted once, however many names it has; a copy is another file."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(LINE)
    known = load(search(tmp_path, set()))

    found = search(tmp_path, known)
    assert (len(found.contents), found.unchanged, found.problems, found.skipped) == (0, 1, (), ())

    (tmp_path / "copy.json").write_bytes(LINE)
    found = search(tmp_path, known)
    assert ([content.path for content in found.contents], found.unchanged) == ([tmp_path / "copy.json"], 1)

    assert len(search(tmp_path, known, options=LineOptions(layout=Layout.JSON)).contents) == 2


def test_a_file_that_was_rewritten_with_the_same_size_and_time_is_read(tmp_path: Path) -> None:
    """Its modification time can be set, the time of the status change cannot."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(LINE)
    before = log.stat()
    known = load(search(tmp_path, set()))

    while log.stat().st_ctime_ns == before.st_ctime_ns:  # the file system's time stamps advance in steps
        with log.open("r+b") as file:
            file.write(LINE.replace(b"s1", b"s2"))
        os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))

    after = log.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert len(search(tmp_path, known).contents) == 1


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    """It may be rewritten within the same step of the time stamps; its content is compared."""
    (tmp_path / "cowrie.json").write_bytes(LINE)

    assert load(search(tmp_path, set(), hours=0)) == {""}


def test_the_state_is_that_of_the_file_that_was_read(tmp_path: Path) -> None:
    """A file that changed between the search and its reading is not taken for the one that was found."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(LINE)
    found = search(tmp_path, set())
    log.rename(tmp_path / "old")
    log.write_bytes(LINE + LINE)

    (read,) = load(found)
    (tmp_path / "old").unlink()

    assert search(tmp_path, {read}).unchanged == 1
