"""Read recordings of terminals that Cowrie made, and convert them to asciicast."""

import codecs
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from struct import Struct
from typing import BinaryIO, NamedTuple

NAME = re.compile("[0-9a-f]{64}")
"""Cowrie names a recording by the SHA-256 of what was typed in it."""

RECORD = Struct("<iLiiLL")
"""Head of a record: operation, terminal, bytes of data, direction, and time in seconds and microseconds since 1970."""

OPENED, CLOSED, WRITTEN = 1, 2, 3
OUTPUT, EXECUTED = 2, 3
"""What the terminal showed, and a command that was sent without a terminal."""

MOST_BYTES = 8 * 2**20
MOST_EVENTS = 50_000
LONGEST_PAUSE = 600.0
"""Seconds; the player shortens every pause to a few."""

WIDTH, HEIGHT = 80, 24
"""Size of the screen: Cowrie does not record it."""

SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""Control sequences and characters, except tab and line feed."""


class Recording(NamedTuple):
    """
    What a terminal showed.

    Attributes:
        began_at: Time of the first record, in UTC.
        events: Texts, each with the seconds since the first record; the seconds never decrease.
        is_cut: Whether the recording is longer than the limits of this module, or has no end.
    """

    began_at: datetime
    events: Sequence[tuple[float, str]]
    is_cut: bool

    @property
    def text(self) -> str:
        """Return all text without control sequences, and with spaces for tabs."""
        return SEQUENCE.sub("", "".join(text for _, text in self.events)).expandtabs()

    @property
    def asciicast(self) -> str:
        """Return the recording in version 2 of asciinema's format."""
        head = {"version": 2, "width": WIDTH, "height": HEIGHT, "timestamp": int(self.began_at.timestamp())}
        events = (json.dumps([round(at, 6), "o", text]) for at, text in self.events)
        return "\n".join((json.dumps(head), *events, ""))


class Recordings:
    """
    The recordings in a folder.

    Only regular files in the folder itself are read, only by the SHA-256 that is their name, and only those that begin
    like a recording: nothing else that lies there, such as a file of an attacker, is returned.

    Args:
        folder: The folder; None for no recordings.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def has(self, name: str) -> bool:
        """Whether there is a recording of that name."""
        file = self._opened(name)
        if file is None:
            return False
        with file:
            return _began_at(file.read(RECORD.size)) is not None

    def read(self, name: str) -> Recording | None:
        """Return a recording, at most its first MOST_BYTES; None if there is none of that name."""
        file = self._opened(name)
        if file is None:
            return None
        with file:
            return decoded(file.read(MOST_BYTES))

    def _opened(self, name: str) -> BinaryIO | None:
        if self._folder is None or not NAME.fullmatch(name):
            return None
        try:
            # A symbolic link is refused; a named pipe does not block.
            number = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        if S_ISREG(os.fstat(number).st_mode):
            return os.fdopen(number, "rb")
        os.close(number)
        return None


def decoded(content: bytes) -> Recording | None:
    """Return the recording in a file of any content, up to its first invalid record; None if it begins with none."""
    began_at = _began_at(content[: RECORD.size])
    if began_at is None:
        return None
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    events: list[tuple[float, str]] = []
    seconds, last = 0.0, began_at
    for operation, direction, moment, data in _records(content):
        if operation == CLOSED:
            return Recording(began_at, events, is_cut=False)
        if operation != WRITTEN or direction not in {OUTPUT, EXECUTED}:
            continue
        if len(events) >= MOST_EVENTS:
            break
        seconds += min(max((moment - last).total_seconds(), 0.0), LONGEST_PAUSE)
        last = moment
        text = decode(b"$ " + data + b"\n" if direction == EXECUTED else data)
        # Cowrie records a line feed where a terminal receives a carriage return, too.
        events.append((seconds, text.replace("\r\n", "\n").replace("\n", "\r\n")))
    return Recording(began_at, events, is_cut=True)


def _records(content: bytes) -> Iterator[tuple[int, int, datetime, bytes]]:
    """Yield operation, direction, time and data of each record until one is invalid or incomplete."""
    at = 0
    while at + RECORD.size <= len(content):
        operation, _, length, direction, seconds, microseconds = RECORD.unpack_from(content, at)
        at += RECORD.size
        if not 0 <= length <= len(content) - at or microseconds >= 1_000_000:
            return
        yield operation, direction, _moment(seconds, microseconds), content[at : at + length]
        at += length


def _began_at(head: bytes) -> datetime | None:
    """Return the time in the first record; None if a file that begins with these bytes is not a recording."""
    if len(head) < RECORD.size:
        return None
    operation, terminal, length, direction, seconds, microseconds = RECORD.unpack(head)
    is_valid = (operation, terminal, length, direction) == (OPENED, 0, 0, 0) and microseconds < 1_000_000
    return _moment(seconds, microseconds) if is_valid else None


def _moment(seconds: int, microseconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
