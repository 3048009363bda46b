"""What is recorded of lines: how far contents were read, what could not be loaded, and what is kept as it was."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.app.ports.log_source import Mark, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A line that could not be loaded.

    Attributes:
        identity: A hash of the line in hexadecimal, the same in every file.
        source: The file as it was named, or "-".
        offset: Where the line starts, in bytes of the content, decompressed and unfolded.
        reason: What is wrong with it.
        payload: The line, at most 64 KiB of it.
    """

    identity: str
    source: str
    offset: int
    reason: Reason
    payload: bytes


class DeadLetters(Protocol):
    """
    The lines that could not be loaded.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def store_letters(self, letters: Collection[DeadLetter], *, run: str, stored_at: datetime) -> int:
        """
        Upsert dead letters, and return how many were new.

        An existing one takes the new reason and payload, because the number of lines that were not kept may grow.
        """
        ...

    def remove(self, identities: Collection[str]) -> None:
        """Remove dead letters whose lines were loaded since."""
        ...

    def page(self, *, after: str, limit: int, reason: Reason | None = None) -> Sequence["StoredDeadLetter"]:
        """Return letters in the order of their identities, behind *after*; of one reason, or of all if it is None."""
        ...

    def find_by_prefix(self, beginning: str) -> Sequence["StoredDeadLetter"]:
        """Return the letters whose identity begins so; two at most."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDeadLetter:
    """A letter, the run that kept it, and when it did."""

    letter: DeadLetter
    run: str
    stored_at: datetime


class EventPart(NamedTuple):
    """
    What one batch read of a session, as it was written.

    Attributes:
        session_id: The session's name in the store.
        lines: Of the log, in the order of time; none holds a newline.
    """

    session_id: str
    lines: Sequence[bytes]


class EventLines(Protocol):
    """
    The lines of events, of sessions whose operator wants them; they leave with their session.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def store_lines(self, parts: Collection[EventPart], *, run: str) -> None:
        """Store each part of a stored session beside others, once; one without lines is passed over."""
        ...

    def of(self, session_id: str) -> Sequence[bytes]:
        """Return every line of a session, its parts in any order; none if none was kept."""
        ...


class Bookmarks(Protocol):
    """
    How far each content was read; a content is known by its head, not by a path.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def marks_of(self, head: str) -> Sequence[Mark]:
        """Return every mark ever set in contents with this head, by ascending offset."""
        ...

    def put(self, head: str, mark: Mark, *, source: str, run: str, stored_at: datetime) -> None:
        """Set a mark; marks are never removed."""
        ...
