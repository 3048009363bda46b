"""Which files are logs, and in which order they were written."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.adapters.cowrie.files.find_logs import files_named, find_logs
from snapshots.adapters.cowrie.lines.decode import LineDecoder


def write(path: Path, day: int, *, packed: bool = False) -> Path:
    text = (
        json.dumps({"eventid": "cowrie.x", "session": "s", "timestamp": f"2026-03-{day:02}T00:00:00Z"}).encode() + b"\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def found(*paths: Path | str) -> list[str]:
    return [Path(content.name).name for content in find_logs([str(p) for p in paths], LineDecoder()).contents]


def test_the_active_file_is_the_newest_though_its_name_sorts_first(tmp_path: Path) -> None:
    """Else every session over midnight closes before it connects."""
    for name, day in (("cowrie.json", 3), ("cowrie.json.2026-03-01", 1), ("cowrie.json.2026-03-02", 2)):
        write(tmp_path / name, day)

    assert found(tmp_path) == ["cowrie.json.2026-03-01", "cowrie.json.2026-03-02", "cowrie.json"]


def test_files_that_begin_at_one_time_are_ordered_by_rotation(tmp_path: Path) -> None:
    """logrotate numbers the older ones higher."""
    for name in ("cowrie.json", "cowrie.json.1", "cowrie.json.10", "cowrie.json.2.gz", "cowrie.json.2026-03-01"):
        write(tmp_path / name, 1, packed=name.endswith(".gz"))

    assert found(tmp_path) == [
        "cowrie.json.10",
        "cowrie.json.2.gz",
        "cowrie.json.1",
        "cowrie.json.2026-03-01",
        "cowrie.json",
    ]


def test_a_folder_is_searched_for_logs_under_any_name(tmp_path: Path) -> None:
    """What attackers left behind is not a log, though it may look like one."""
    write(tmp_path / "sub" / "renamed.txt", 1)
    write(tmp_path / "sub" / "downloads" / "looks-like.json", 2)
    write(tmp_path / "tty" / "log.json", 2)
    write(tmp_path / ".hidden" / "cowrie.json", 2)
    write(tmp_path / ".cowrie.json", 2)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "own.json.db").write_bytes(b"SQLite format 3\x00")
    os.mkfifo(tmp_path / "pipe.json")

    logs = find_logs([str(tmp_path)], LineDecoder())

    assert [Path(content.name).name for content in logs.contents] == ["renamed.txt"]
    assert [path.name for path in logs.skipped] == ["notes.txt", "pipe.json"]
    assert logs.foreign == {"a SQLite database; it is not a log": [tmp_path / "own.json.db"]}


@pytest.mark.parametrize(
    ("magic", "reason"),
    [
        (b"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it first; plain, gzip, bzip2 and xz logs are read"),
        (b"\x04\x22\x4d\x18", "compressed with lz4; decompress it first; plain, gzip, bzip2 and xz logs are read"),
        (b"PK\x03\x04", "a zip archive; extract it and load the files"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive; extract it and load the files"),
        (b"Rar!\x1a\x07", "a rar archive; extract it and load the files"),
    ],
)
def test_an_archive_in_a_folder_is_skipped_with_its_reason(tmp_path: Path, magic: bytes, reason: str) -> None:
    """It may hold events, so "without Cowrie events" was wrong."""
    write(tmp_path / "cowrie.json", 1)
    archive = tmp_path / "cowrie.json.1.packed"
    archive.write_bytes(magic + b"\0" * 99)

    logs = find_logs([str(tmp_path)], LineDecoder())

    assert (logs.skipped, logs.problems) == ((), ())
    assert logs.foreign == {reason: [archive]}


def test_files_of_the_database_are_never_opened(tmp_path: Path) -> None:
    """Under any name; here each looks like a log, so it would be read if it were opened."""
    write(tmp_path / "cowrie.json", 1)
    database = write(tmp_path / "snapshots.db", 1)
    (tmp_path / "link.json").symlink_to(database)
    (tmp_path / "other-name.json").hardlink_to(database)
    status = database.stat()
    own = {(status.st_dev, status.st_ino)}

    logs = find_logs([str(tmp_path), str(tmp_path / "link.json")], LineDecoder(), lambda: own)

    assert [Path(content.name).name for content in logs.contents] == ["cowrie.json"]
    assert [path.name for paths in logs.foreign.values() for path in paths] == [
        "link.json",
        "other-name.json",
        "snapshots.db",
    ]
    assert logs.problems == (f"{tmp_path}/link.json is part of the database in use; it is not a log",)


def test_a_file_is_read_once_however_often_it_is_named(tmp_path: Path) -> None:
    """Whether it is named directly, by its folder, by a pattern or by a link."""
    log = write(tmp_path / "cowrie.json", 1)
    (tmp_path / "link.json").symlink_to(log)
    (tmp_path / "sub").mkdir()

    assert len(found(log, tmp_path, tmp_path / "*.json", tmp_path / "sub" / ".." / "cowrie.json")) == 1


def test_standard_input_is_read_last(tmp_path: Path) -> None:
    """The times of its events are not known before it is read."""
    assert found("-", write(tmp_path / "cowrie.json", 1)) == ["cowrie.json", "-"]


def test_a_pattern_is_expanded(tmp_path: Path) -> None:
    """If the shell did not expand it."""
    write(tmp_path / "a" / "cowrie.json", 1)

    assert found(f"{tmp_path}/**/*.json") == ["cowrie.json"]


def test_an_existing_name_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    """A path is checked literally before it is used as a pattern."""
    assert found(write(tmp_path / "cowrie[1].json", 1)) == ["cowrie[1].json"]


def problems(*paths: Path | str) -> list[str]:
    return list(find_logs([str(p) for p in paths], LineDecoder()).problems)


def test_paths_that_cannot_be_loaded_are_reported_and_the_others_are_loaded(tmp_path: Path) -> None:
    """A wrong name, a folder or a pattern without a log, a file of another kind, a broken link."""
    log = write(tmp_path / "cowrie.json", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "lost").symlink_to(tmp_path / "gone")
    (tmp_path / "own.db").write_bytes(b"SQLite format 3\x00")
    names = ["gone", "empty", "*.txt", "own.db", "lost"]
    paths = [tmp_path / name for name in names]

    assert found(*paths, log) == ["cowrie.json"]
    assert [problem.replace(f"{tmp_path}/", "") for problem in problems(*paths, log)] == [
        "there is no file or folder gone",
        "there is no Cowrie log in the folder empty",
        "there is no Cowrie log among the files matching *.txt",
        "own.db is a SQLite database; it is not a log",
        "lost cannot be read: No such file or directory",
    ]


def test_only_logs_are_read_from_a_pattern(tmp_path: Path) -> None:
    """As from a folder; skipped files are listed."""
    write(tmp_path / "cowrie.json", 1)
    write(tmp_path / "sub" / "a.json", 2)
    (tmp_path / "eve.json").write_text('{"event_type":"alert","timestamp":"2026-03-01T00:00:00Z"}\n')

    logs = find_logs([f"{tmp_path}/*"], LineDecoder())

    assert [Path(content.name).name for content in logs.contents] == ["cowrie.json", "a.json"]
    assert ([path.name for path in logs.skipped], logs.problems) == (["eve.json"], ())


def test_a_log_without_an_event_at_its_beginning_is_recognized_by_its_name(tmp_path: Path) -> None:
    """An attacker can make the first line longer than the part that is inspected."""
    for name in ("cowrie.json.2026-03-01", "eve.json"):
        (tmp_path / name).write_bytes(b"x" * 100_000 + b"\n")

    assert found(tmp_path) == ["cowrie.json.2026-03-01"]


def test_links_are_followed_to_files_and_not_to_folders(tmp_path: Path) -> None:
    """A link may point to the parent folder, to itself, or to nothing; the search always ends."""
    write(tmp_path / "log" / "cowrie.json", 1)
    write(tmp_path / "elsewhere" / "other.json", 2)
    (tmp_path / "log" / "above").symlink_to(tmp_path)
    (tmp_path / "log" / "itself.json").symlink_to(tmp_path / "log" / "itself.json")
    (tmp_path / "log" / "lost.json").symlink_to(tmp_path / "gone")
    (tmp_path / "log" / "linked.json").symlink_to(tmp_path / "elsewhere" / "other.json")

    logs = find_logs([str(tmp_path / "log")], LineDecoder())

    assert [Path(content.name).name for content in logs.contents] == ["cowrie.json", "linked.json"]
    assert [path.name for path in logs.skipped] == ["above", "itself.json", "lost.json"]
    assert problems(tmp_path / "log" / "itself.json")[0].endswith("cannot be read: Too many levels of symbolic links")


def test_a_named_file_that_is_also_in_a_named_folder_counts_as_named(tmp_path: Path) -> None:
    """In any order; otherwise a file without an event would not be an error."""
    log = write(tmp_path / "cowrie.json", 1)

    for paths in ([tmp_path, log], [log, tmp_path], ["-", log]):
        assert all(content.is_named for content in find_logs(map(str, paths), LineDecoder()).contents)
    assert not any(content.is_named for content in find_logs([str(tmp_path)], LineDecoder()).contents)


@pytest.mark.parametrize("is_named", [True, False])
def test_an_unreadable_log_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_named: bool) -> None:
    """It may contain events; the other logs are loaded."""
    secret = write(tmp_path / "cowrie.json.1", 1)
    write(tmp_path / "cowrie.json", 2)
    opened = open

    def refusing(path: str, mode: str = "r") -> object:
        if path == str(secret):
            raise PermissionError(13, "Permission denied")
        return opened(path, mode)

    monkeypatch.setattr("builtins.open", refusing)
    logs = find_logs([str(tmp_path), *([str(secret)] if is_named else [])], LineDecoder())

    assert [Path(content.name).name for content in logs.contents] == ["cowrie.json"]
    assert set(logs.problems) == {f"{secret} cannot be read: Permission denied"}


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is skipped silently."""

    def refuse(_path: str) -> None:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr(os, "scandir", refuse)

    assert problems(tmp_path) == ["secret cannot be read: Permission denied"]


@pytest.fixture
def deepest(tmp_path: Path) -> Iterator[Path]:
    """The deepest of 1,500 folders, each in the one before."""
    made, path = list[Path](), tmp_path / "log"
    for _ in range(1500):
        path.mkdir()
        made.append(path)
        path /= "d"
    yield made[-1]
    for each in reversed(made):  # shutil.rmtree calls itself for each level
        for path in each.glob("*.json"):
            path.unlink()
        each.rmdir()


def test_a_folder_of_1500_levels_is_searched_completely(tmp_path: Path, deepest: Path) -> None:
    """By a load and by a follower, however it is named."""
    write(tmp_path / "log" / "cowrie.json", 1)
    write(deepest / "deep.json", 2)

    assert found(tmp_path / "log") == ["cowrie.json", "deep.json"]
    assert found(f"{tmp_path}/log/**/*.json") == ["cowrie.json", "deep.json"]
    assert [path.name for path in files_named([str(tmp_path / "log")])] == ["cowrie.json", "deep.json"]


def test_a_folder_whose_path_is_too_long_is_named_and_the_rest_is_loaded(tmp_path: Path) -> None:
    """No system call takes a path of more than 4,095 bytes."""
    write(tmp_path / "cowrie.json", 1)
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=folder)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)

    logs = find_logs([str(tmp_path)], LineDecoder())

    assert [content.name for content in logs.contents] == [str(tmp_path / "cowrie.json")]
    assert [problem.endswith("cannot be read: File name too long") for problem in logs.problems] == [True]
    assert [path.name for path in files_named([str(tmp_path)])] == ["cowrie.json"]


@pytest.mark.parametrize("name", ["x" * 300, "loop/x", "loop/*"])
def test_an_inaccessible_path_is_not_reported_as_missing(tmp_path: Path, name: str) -> None:
    """The message has the reason of the operating system."""
    (tmp_path / "loop").symlink_to("loop")

    (problem,) = find_logs([f"{tmp_path}/{name}"], LineDecoder()).problems

    assert problem.startswith(f"{tmp_path}/{name} cannot be read: ")
