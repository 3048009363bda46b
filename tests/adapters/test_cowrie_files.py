"""Which files are logs, and in which order they were written."""

import gzip
import json
import os
from pathlib import Path

import pytest

from snapshots.adapters.cowrie.decode import LineDecoder
from snapshots.adapters.cowrie.files import find_logs
from snapshots.app.errors import NothingToRead, SourceUnreadable


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
    assert [path.name for path in logs.skipped] == ["notes.txt", "own.json.db", "pipe.json"]


def test_a_file_is_read_once_however_often_it_is_named(tmp_path: Path) -> None:
    """By itself, by its folder, by a pattern, by a link."""
    log = write(tmp_path / "cowrie.json", 1)
    (tmp_path / "link.json").symlink_to(log)
    (tmp_path / "sub").mkdir()

    assert len(found(log, tmp_path, tmp_path / "*.json", tmp_path / "sub" / ".." / "cowrie.json")) == 1


def test_standard_input_comes_last(tmp_path: Path) -> None:
    """When its events happened is not known before it is read."""
    assert found("-", write(tmp_path / "cowrie.json", 1)) == ["cowrie.json", "-"]


def test_a_pattern_finds_its_files(tmp_path: Path) -> None:
    """Also when the shell did not."""
    write(tmp_path / "a" / "cowrie.json", 1)

    assert found(f"{tmp_path}/**/*.json") == ["cowrie.json"]


def test_a_name_with_brackets_is_a_name(tmp_path: Path) -> None:
    """It is looked for as it stands before it is taken for a pattern."""
    assert found(write(tmp_path / "cowrie[1].json", 1)) == ["cowrie[1].json"]


def test_what_does_not_exist_is_told(tmp_path: Path) -> None:
    """In one sentence."""
    with pytest.raises(NothingToRead, match="there is no file or folder"):
        found(tmp_path / "gone")
    with pytest.raises(NothingToRead, match="there is no Cowrie log in the folder"):
        found(tmp_path)


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is passed over in silence."""

    def refuse(_path: str) -> None:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceUnreadable, match="secret cannot be read: Permission denied; nothing was loaded"):
        found(tmp_path)
