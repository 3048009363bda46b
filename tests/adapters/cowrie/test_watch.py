"""Logs that grow, and are rotated, truncated, deleted and recreated."""

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.adapters.cowrie.files import watch as watching
from snapshots.adapters.cowrie.files.growing_content import GrowingContent
from snapshots.adapters.cowrie.files.watch import FolderWatch
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import LogEvent, Mark


def line(n: int) -> bytes:
    event = {"session": f"s{n}", "eventid": "cowrie.session.connect", "timestamp": f"2026-03-01T12:00:00.{n:06}Z"}
    return json.dumps(event).encode() + b"\n"


class Follower:
    """Reads new events, and stores the bookmarks as a database would."""

    def __init__(self, *paths: Path) -> None:
        self.warnings: list[str] = []
        self.watch = FolderWatch([str(path) for path in paths], LineDecoder(), self.warnings.append)
        self.marks: dict[str, list[Mark]] = {}

    def look(self) -> list[int]:
        """Return the numbers of the events that one poll read."""
        found = []
        for content in self.watch.changed():
            content.resume(sorted(self.marks.get(content.head, []), key=lambda mark: mark.offset))
            for part in content.lines():
                assert isinstance(part, LogEvent), part
                found.append(int(part.logged_id[1:]))
            if content.head:
                self.marks.setdefault(content.head, []).append(content.mark())
        return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "cowrie.json"


@pytest.fixture
def follower(log: Path) -> Iterator[Follower]:
    made = Follower(log.parent)
    yield made
    made.watch.close()


def add(log: Path, *numbers: int) -> None:
    with log.open("ab") as file:
        file.writelines(line(n) for n in numbers)


def test_only_new_events_are_read(follower: Follower, log: Path) -> None:
    """The folder may still be empty, and the file may still have no event."""
    assert follower.look() == []
    log.touch()
    assert follower.look() == []
    add(log, 1, 2)
    assert follower.look() == [1, 2]
    assert follower.look() == []
    add(log, 3)
    assert follower.look() == [3]


def test_a_line_that_is_still_being_written_is_read_later(follower: Follower, log: Path) -> None:
    """It does not become a dead letter."""
    whole = line(1)
    for part, expected in ((whole[:20], []), (whole[20:-1], []), (b"\n" + line(2)[:5], [1]), (line(2)[5:], [2])):
        with log.open("ab") as file:
            file.write(part)
        assert follower.look() == expected


def test_a_renamed_file_is_read_to_its_end_together_with_the_new_one(follower: Follower, log: Path) -> None:
    """Cowrie rotates its logs like this."""
    add(log, 1)
    assert follower.look() == [1]
    log.rename(log.with_name("cowrie.json.2026-03-01"))
    add(log.with_name("cowrie.json.2026-03-01"), 2)
    add(log, 3)

    assert follower.look() == [2, 3]


def test_a_named_file_is_read_to_its_end_after_a_rename(tmp_path: Path) -> None:
    """Its new name is not among the paths, but it is still open."""
    log = tmp_path / "here" / "cowrie.json"
    log.parent.mkdir()
    follower = Follower(log)
    add(log, 1)
    assert follower.look() == [1]
    old = log.rename(tmp_path / "old")
    add(old, 2)
    add(log, 3)
    assert sorted(follower.look()) == [2, 3]
    old.unlink()
    assert follower.look() == []
    follower.watch.close()


@pytest.mark.parametrize("others", [(), (4, 5)])
def test_a_truncated_file_is_another_content(follower: Follower, log: Path, others: tuple[int, ...]) -> None:
    """Its copy has the lines not yet read; a file that has grown past its old size is detected too."""
    add(log, 1)
    assert follower.look() == [1]
    add(log, 2)
    shutil.copy(log, log.with_name("cowrie.json.1"))
    os.truncate(log, 0)
    add(log, 3, *others)

    assert sorted(follower.look()) == [2, 3, *others]
    assert follower.look() == []


def test_a_recreated_file_is_read_from_its_beginning(follower: Follower, log: Path) -> None:
    """Even if it has the same inode."""
    add(log, 1)
    assert follower.look() == [1]
    log.unlink()
    assert follower.look() == []
    add(log, 2)

    assert follower.look() == [2]


def test_an_archive_of_a_loaded_log_adds_nothing(follower: Follower, log: Path) -> None:
    """It is identified by its bookmarks."""
    add(log, 1, 2)
    assert follower.look() == [1, 2]
    log.with_name("cowrie.json.1.gz").write_bytes(gzip.compress(log.read_bytes() + line(3)))

    assert [follower.look() for _ in range(3)] == [[], [3], []]


def test_a_growing_archive_does_not_delay_other_files(follower: Follower, log: Path) -> None:
    """It is read when it is complete; otherwise each poll would read it again from its beginning."""
    whole = gzip.compress(b"".join(line(n) for n in range(9)))
    archive = log.with_name("cowrie.json.1.gz")
    assert follower.look() == []
    for written in (10, 20, 30):
        archive.write_bytes(whole[:written])
        add(log, written)
        assert follower.look() == [written]
    archive.write_bytes(whole)

    assert [follower.look() for _ in range(3)] == [[], [*range(9)], []]


def test_a_partly_loaded_archive_resumes_at_its_last_bookmark(follower: Follower, log: Path) -> None:
    """Its content was loaded before it was compressed, so it has no new events."""
    add(log, *range(500))
    assert len(follower.look()) == 500
    (head,) = follower.marks
    whole = gzip.compress(log.read_bytes())
    archive = log.with_name("cowrie.json.1.gz")
    archive.write_bytes(whole[: len(whole) // 2])
    reads = [[*follower.watch.changed()] for _ in range(2)]
    assert [len(found) for found in reads] == [0, 1]
    (content,) = reads[1]
    content.resume(follower.marks[head])
    assert sum(isinstance(part, LogEvent) for part in content.lines()) < 500
    follower.marks[head].append(content.mark())
    archive.write_bytes(whole)

    assert [follower.look() for _ in range(3)] == [[], [], []]


def test_a_renamed_archive_is_read_again_after_a_reset(follower: Follower, log: Path) -> None:
    """Otherwise its old path would block every later read."""
    archive = log.with_name("cowrie.json.1.gz")
    archive.write_bytes(gzip.compress(line(1)))
    add(log, 2)
    assert [sorted(follower.look()) for _ in range(2)] == [[1, 2], []]
    archive.rename(log.with_name("cowrie.json.2.gz"))
    assert follower.look() == []
    follower.watch.forget()
    add(log, 3)

    assert follower.look() == [3]


def test_a_deleted_file_is_not_read_after_a_reset(follower: Follower, log: Path) -> None:
    """It was read and closed, because a newer file exists."""
    old = log.with_name("cowrie.json.1")
    add(old, 1)
    os.utime(old, (1, 1))
    add(log, 2)
    assert sorted(follower.look()) == [1, 2]
    old.unlink()
    follower.watch.forget()
    add(log, 3)

    assert follower.look() == [3]


def test_a_file_that_was_idle_is_closed_and_opened_again(
    follower: Follower, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of years are not all held open."""
    monkeypatch.setattr(watching, "IDLE_LOOKS", 2)
    add(log, 1)
    assert [follower.look() for _ in range(4)] == [[1], [], [], []]
    (followed,) = follower.watch._followed.values()
    assert followed.content._stream is None
    add(log, 2)
    assert follower.look() == [2]
    log.unlink()
    assert [follower.look() for _ in range(3)] == [[], [], []]
    assert not follower.watch._followed


def test_after_a_reset_every_file_is_read_from_its_bookmark(follower: Follower, log: Path) -> None:
    """Events that were read but not stored are read again."""
    add(log, 1)
    assert follower.look() == [1]
    add(log, 2)
    marks = {head: list(found) for head, found in follower.marks.items()}
    assert follower.look() == [2]
    follower.marks = marks

    follower.watch.forget()

    assert follower.look() == [2]


def test_files_that_are_unreadable_or_not_logs_are_skipped(follower: Follower, log: Path) -> None:
    """The other files are still followed."""
    (log.parent / "cowrie.json.db").write_bytes(b"SQLite format 3\x00")
    other = log.with_name("eve.json")
    other.write_text('{"event_type":"alert"}\n')
    log.with_name("empty.json").touch()
    add(log, 1)

    assert follower.look() == [1]
    assert follower.warnings == [
        f"skipped 1 file (a SQLite database; it is not a log), such as {log}.db",
        f"skipped 1 file without Cowrie events, such as {other}",
    ]
    with other.open("a") as file:
        file.write('{"event_type":"flow"}\n')
    assert follower.look() == []
    add(log.with_name("empty.json"), 2)
    assert follower.look() == [2]
    assert len(follower.warnings) == 2


def test_files_of_the_database_are_not_followed(log: Path) -> None:
    """Though they are named, and would be read as logs."""
    add(log, 1)
    database = log.with_name("snapshots.db")
    add(database, 2)
    status = database.stat()
    warnings: list[str] = []
    watch = FolderWatch(
        [str(log), str(database)], LineDecoder(), warnings.append, lambda: {(status.st_dev, status.st_ino)}
    )

    assert [content.path for content in (*watch.changed(), *watch.changed())] == [log]
    assert warnings == [f"skipped 1 file (part of the database in use; it is not a log), such as {database}"]
    watch.close()


def test_a_named_file_that_is_not_a_log_is_reported_once_and_checked_again(tmp_path: Path) -> None:
    """The path may contain a log later."""
    log, archive = tmp_path / "cowrie.json", tmp_path / "logs.tar.gz"
    archive.write_bytes(b"PK\x03\x04" + b"0" * 40)
    follower = Follower(log, archive)
    add(log, 1)

    assert [follower.look(), follower.look()] == [[1], []]
    assert follower.warnings == [f"{archive} is a zip archive; extract it and load the files; will try again"]
    archive.write_bytes(gzip.compress(line(2) * 2))
    follower.look()
    assert follower.look() == [2, 2]
    follower.watch.close()


@pytest.mark.parametrize("looks", [1, 3])
def test_an_unreadable_log_is_reported_once(
    follower: Follower, log: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """With wrong permissions it could never be read; the others are read."""
    secret = log.with_name("cowrie.json.1")
    add(secret, 1)
    add(log, 2)
    opened = Path.open

    def refusing(path: Path, *_: str) -> object:
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return opened(path, "rb")

    monkeypatch.setattr(Path, "open", refusing)

    assert [follower.look() for _ in range(looks)] == [[2], [], []][:looks]
    assert follower.warnings == [f"{secret} cannot be read: Permission denied; will try again"]


def test_an_archive_that_is_seen_before_it_is_written_is_an_archive(follower: Follower, log: Path) -> None:
    """Its bytes once were taken for lines, because it was empty at first."""
    archive = log.with_name("cowrie.json.1.gz")
    archive.touch()
    assert follower.look() == []
    archive.write_bytes(gzip.compress(line(1)))

    assert [follower.look() for _ in range(2)] == [[], [1]]


def test_a_file_without_a_name_is_read_again_after_a_reset(tmp_path: Path) -> None:
    """The database was away while the file was renamed."""
    log = tmp_path / "here" / "cowrie.json"
    log.parent.mkdir()
    follower = Follower(log)
    add(log, 1)
    assert follower.look() == [1]
    log.unlink()
    follower.marks.clear()

    follower.watch.forget()

    assert follower.look() == [1]
    follower.watch.close()


def test_many_old_files_are_not_held_open(follower: Follower, log: Path) -> None:
    """Cowrie rotates every day and deletes nothing; there are only so many descriptors."""
    for n in range(100):
        old = log.with_name(f"cowrie.json.{n:03}")
        add(old, n)
        os.utime(old, (n, n))
    add(log, 100)

    assert sorted(follower.look()) == list(range(101))

    opened = [f for f in follower.watch._followed.values() if f.content._stream is not None]
    assert len(opened) == 1


def test_the_bookmark_of_an_old_file_is_at_its_end(follower: Follower, log: Path) -> None:
    """Although the file is closed as soon as it was read."""
    for number in range(3):
        name = log.with_name(f"cowrie.json.{number + 1}")
        add(name, number)
        os.utime(name, (number, number))

    assert follower.look() == [0, 1, 2]
    assert [mark.offset for marks in follower.marks.values() for mark in marks] == [len(line(1))] * 3

    add(log.with_name("cowrie.json.1"), 7)
    assert follower.look() == [7]


def test_a_file_that_could_not_be_read_is_read_at_the_next_poll(
    follower: Follower, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if nothing was appended in between."""
    add(log, 1)

    def gone(_: GrowingContent) -> None:
        raise LogUnreadable("renamed in between")

    with monkeypatch.context() as patch:
        patch.setattr(GrowingContent, "_opened", gone)
        assert follower.look() == []

    assert follower.look() == [1]


def test_an_incomplete_element_of_an_array_is_read_later(follower: Follower, log: Path) -> None:
    """An export is copied into the folder bit by bit: no event becomes a dead letter, and each is read in the end."""
    text = b"[" + b",\n".join(line(n).strip() for n in range(3)) + b"]"
    read = set[int]()
    for end in range(1, len(text) + 1, 7):
        log.write_bytes(text[:end])
        read |= set(follower.look())
    log.write_bytes(text)

    assert read | set(follower.look()) == {0, 1, 2}
