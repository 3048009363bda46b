"""Port for a source of log lines, and the values that it yields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import repeat
from typing import NamedTuple, Protocol

from snapshots.domain.session.event_record import EventRecord, event_of
from snapshots.domain.session.session import SessionEvent

HEAD_BYTES = 64 * 1024
"""Maximum length of the beginning by which a content is recognized; every reader of logs must use the same."""

FOLDERS_OF_ATTACKERS = frozenset({"downloads", "tty"})
"""Cowrie's folders for files of attackers; a file in them may look like a log, and is never loaded with its folder."""


class Reason(Enum):
    """Why a line is not a valid event."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NOT_COWRIE = "not_cowrie"
    """No `eventid`, or not one of Cowrie: another program wrote the line."""
    NO_SESSION = "no_session"
    NO_TIME = "no_time"
    NUL_BLOCK = "nul_block"
    TOO_LONG = "too_long"
    UNFINISHED_LINE = "unfinished_line"
    """The last line is incomplete; it may still be written."""
    UNFINISHED_FILE = "unfinished_file"
    """Compressed data is truncated; it may still be written."""
    DAMAGED_FILE = "damaged_file"
    NOT_KEPT = "not_kept"
    """Not a line, but the number of lines of a content that were not stored, because there were too many."""


class Layout(Enum):
    """How events are laid out in a content."""

    AUTO = "auto"
    """Detected from the first bytes."""
    LINES = "lines"
    """One event per line, as Cowrie writes them."""
    JSON = "json"
    """JSON objects, in an array or one after the other, over any number of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """
    How lines are read.

    Attributes:
        sensor: Name of the honeypot, which overrides the one in the lines; None to use that.
        keeps_passwords: Whether passwords are stored in addition to their hashes.
        keeps_lines: Whether events carry their lines, to be stored.
        layout: Layout of the contents.
    """

    sensor: str | None = None
    keeps_passwords: bool = False
    keeps_lines: bool = False
    layout: Layout = Layout.AUTO


@dataclass(frozen=True, slots=True)
class Mark:
    """
    A position in a content up to which everything was loaded.

    Attributes:
        offset: Byte offset in the decompressed, line-based content.
        digest: Hash of all bytes before the offset, to recognize the content.
    """

    offset: int
    digest: str


class LogEvent(NamedTuple):
    """
    An event under the session id that was logged. A tuple, because there is one for each line.

    Attributes:
        logged_id: The session id.
        record: The decoded event, in primitive values.
        line: The line, if it is to be stored.
    """

    logged_id: str
    record: EventRecord
    line: bytes | None = None

    @property
    def event(self) -> SessionEvent:
        """Return the decoded event."""
        return event_of(self.record)


class EventLines(NamedTuple):
    """
    The events of consecutive lines, in their order.

    Attributes:
        logged_ids: The session id of each.
        records: The decoded events.
        lines: The lines, if they are to be stored.
    """

    logged_ids: Sequence[str]
    records: Sequence[EventRecord]
    lines: Sequence[bytes] | None = None

    def one_by_one(self) -> Iterator[LogEvent]:
        """Yield each event."""
        return map(LogEvent, self.logged_ids, self.records, self.lines or repeat(None))


@dataclass(frozen=True, slots=True)
class BadLine:
    """
    A line that is not a valid event.

    Attributes:
        reason: Why it is invalid.
        payload: The first 64 KiB of the line.
        offset: Byte offset of the line in the decompressed, line-based content.
    """

    reason: Reason
    payload: bytes
    offset: int


class Content(Protocol):
    """One content of log lines: a file, or a stream that can be read once."""

    @property
    def name(self) -> str:
        """Return the name for messages, such as the path as given."""
        ...

    @property
    def head(self) -> str:
        """Return the hash of the head in hexadecimal; "" if the content cannot be recognized later."""
        ...

    @property
    def state(self) -> str:
        """
        Return a hash in hexadecimal that stays equal as long as the file is not changed; "" if there is none.

        It is of the file as it was opened; reading it again under the same state yields the same lines.
        """
        ...

    @property
    def size(self) -> int | None:
        """Return the size of the file in bytes, compressed or not; None for a stream."""
        ...

    @property
    def modified_at(self) -> datetime | None:
        """Return the modification time of the file in UTC; None for a stream."""
        ...

    @property
    def hint(self) -> str:
        """Return the likely format of a content without events, and what to do; "" if unknown."""
        ...

    @property
    def is_named(self) -> bool:
        """Return whether a user named the file itself, rather than a folder or a pattern."""
        ...

    def resume(self, marks: Sequence[Mark]) -> int:
        """
        Seek to the last of *marks* whose digest matches this content.

        Args:
            marks: By ascending offset.

        Returns:
            The offset; 0 if no mark matches.

        Raises:
            SourceUnreadable: The content cannot be read.
        """
        ...

    def mark(self) -> Mark:
        """Return the bookmark after the last line that was yielded; before that line if it was incomplete."""
        ...

    def progress(self) -> int:
        """Return the number of bytes read, out of `size`."""
        ...


class LogSource(Content, Protocol):
    """
    A content that this process reads.

    Every implementation passes tests/adapters/cowrie/test_log_file.py.
    """

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """
        Yield the decoded lines, from the offset of `resume` or from the start.

        A content that is truncated or damaged, such as an archive, ends with a BadLine.

        Raises:
            SourceUnreadable: The content cannot be read at all.
        """
        ...

    def parts(self) -> Iterator[LogEvent | EventLines | BadLine]:
        """Yield what `lines` yields, in less time: consecutive events may come together."""
        ...
