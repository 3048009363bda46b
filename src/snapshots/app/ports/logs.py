"""Ports for lines: bookmarks of contents, dead letters, and stored events."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.app.ports.log_source import Mark, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A line that is not a valid event.

    Attributes:
        identity: Hash of the line in hexadecimal, the same in every file.
        source: File name as given, or "-" for standard input.
        offset: Byte offset of the line in the decompressed, line-based content.
        reason: Why it is invalid.
        payload: The first 64 KiB of the line.
    """

    identity: str
    source: str
    offset: int
    reason: Reason
    payload: bytes


class DeadLetters(Protocol):
    """
    The lines that are not valid events.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def store_dead_letters(self, rejected: Collection[DeadLetter], *, run: str, stored_at: datetime) -> int:
        """
        Upsert dead letters, and return the number of new ones.

        An existing one takes the new reason and payload, because its number of skipped lines may have grown.
        """
        ...

    def remove(self, identities: Collection[str]) -> None:
        """Delete dead letters whose lines were loaded since."""
        ...

    def page(self, *, after: str, limit: int, reason: Reason | None = None) -> Sequence["StoredDeadLetter"]:
        """Return a page of dead letters in the order of identities after *after*; None for *reason* means all."""
        ...

    def find_by_prefix(self, beginning: str) -> Sequence["StoredDeadLetter"]:
        """Return at most two dead letters whose identity has this prefix."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDeadLetter:
    """A dead letter with the run that stored it and the time."""

    dead_letter: DeadLetter
    run: str
    stored_at: datetime


class EventPart(NamedTuple):
    """
    The lines of a session in one batch, byte for byte.

    Attributes:
        session_id: Key of the session.
        lines: Lines without newlines, in the order of event times.
    """

    session_id: str
    lines: Sequence[bytes]


class EventLines(Protocol):
    """
    Stored lines of events (--store-events); deleted together with their session.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def store_lines(self, parts: Collection[EventPart], *, run: str) -> None:
        """Add parts to stored sessions, each once; a part without lines is ignored."""
        ...

    def of(self, session_id: str) -> Sequence[bytes]:
        """Return every stored line of a session, its parts in any order; empty if there is none."""
        ...


class Bookmark(NamedTuple):
    """
    A read position in a content.

    Attributes:
        head: Hash of the head of the content, or the state of a file that was read to its end.
        mark: The position.
        source: Name of the content, for people.
    """

    head: str
    mark: Mark
    source: str


class Bookmarks(Protocol):
    """
    Read positions of contents, which are identified by a hash of their head, not by their path.

    A file that was read to its end is identified by its state, too.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def marks_of(self, heads: Collection[str]) -> Mapping[str, Sequence[Mark]]:
        """Return all bookmarks of contents with these heads, by ascending offset; a head without any is missing."""
        ...

    def put(self, new: Collection[Bookmark], *, run: str, stored_at: datetime) -> None:
        """Store bookmarks; one that is stored already is ignored, and none is ever deleted."""
        ...
