"""Lines that could not be loaded, looked at and loaded later."""

import gzip
import json
import os
import sqlite3
from pathlib import Path

import pytest

from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.ports.log_source import LogEvent, Reason
from tests.journeys.conftest import NEW, Run

BROKEN = b'{"session": "a0", "eventid": "cowrie.session.connect", "src_ip": "8.8.8.8", "timestamp": "yesterday"}'
HOSTILE = b"\x1b[31mred <script>\x00\xff"


@pytest.fixture
def loaded(run: Run, tmp_path: Path) -> Path:
    log = tmp_path / "cowrie.json"
    log.write_bytes(BROKEN + b"\n" + HOSTILE + b"\n")
    assert run("load", log)[0] == 1
    return log


def test_dead_letters_are_shown_without_control_characters(loaded: Path, run: Run) -> None:
    """With offset, reason and beginning; as bytes only on request."""
    listed = json.loads(run("dead-letters", "list", "--format", "json")[1])
    by_reason = {dead_letter["reason"]: dead_letter for dead_letter in listed}

    assert set(by_reason) == {"no_time", "not_json"}
    assert by_reason["not_json"]["offset"] == len(BROKEN) + 1
    _, out, _ = run("dead-letters", "list")
    assert "no_time" in out
    assert "\x1b" not in out
    assert "not_json" not in run("dead-letters", "list", "--reason", "no_time")[1]
    name = by_reason["not_json"]["id"]
    _, out, _ = run("dead-letters", "show", name[:9])
    assert str(loaded) in out
    assert "\x1b" not in out
    assert run("dead-letters", "show", "nothing")[0] == 1


def test_dead_letters_are_replayed_when_they_can_be_decoded(
    loaded: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version decodes more formats; every line counts once."""
    assert loaded.exists()
    assert "0 of 2 dead letters can be decoded" in run("dead-letters", "replay", "--dry-run")[1]
    decode = LineDecoder.decode

    def understanding(self: LineDecoder, line: bytes) -> LogEvent | Reason:
        return decode(self, line.replace(b"yesterday", b"2026-03-01T12:00:00Z"))

    monkeypatch.setattr(LineDecoder, "decode", understanding)

    assert "1 of 2 dead letters were loaded: 1 new events" in run("dead-letters", "replay")[1]
    assert "0 of 1 dead letters were loaded: 0 new events" in run("dead-letters", "replay")[1]
    assert "AS15169" in run("report")[1]


def test_an_archive_that_is_still_being_written_creates_no_dead_letters(run: Run, tmp_path: Path) -> None:
    """It is reported, and read again. If the file is no longer written, its truncated last line is stored once."""
    folder = tmp_path / "log"
    folder.mkdir()
    archive = folder / "cowrie.json.1.gz"
    whole = gzip.compress(gzip.decompress(NEW.read_bytes()))
    archive.write_bytes(whole[: len(whole) // 2])

    _, out, err = run("load", folder)
    assert "1 source with an incomplete last line or archive" in out
    assert "is truncated" in err
    assert json.loads(run("dead-letters", "list", "--format", "json")[1]) == []

    os.utime(archive, (1, 1))
    for name in ("cowrie.json.1.gz", "cowrie.json.2.gz"):
        archive = archive.rename(folder / name)
        run("load", folder)
    dead_letters = json.loads(run("dead-letters", "list", "--format", "json")[1])
    assert sorted(dead_letter["reason"] for dead_letter in dead_letters) == ["unfinished_file", "unfinished_line"]

    archive.write_bytes(whole)
    run("load", folder)
    with sqlite3.connect(tmp_path / "test.db") as connection:
        assert connection.execute("SELECT sum(event_count) FROM session_summaries").fetchone() == (509,)
    connection.close()


def test_a_damaged_archive_is_named_on_stderr(run: Run, tmp_path: Path) -> None:
    """With the kind of damage; everything before it is loaded, and the exit code is 0."""
    log = tmp_path / "cowrie.json.gz"
    log.write_bytes(NEW.read_bytes()[:-20])

    code, out, err = run("load", log)

    assert (code, "0 new events" in out) == (0, False)
    assert err.count("Warning: ") == 1
    assert f"{log} is damaged: the compressed data is truncated" in err
