"""What a content of log lines is, and what its lines say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from snapshots.domain.session.session import SessionEvent


class Reason(Enum):
    """Why a line of a log is no event."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NOT_COWRIE = "not_cowrie"
    """No `eventid`, or one that is not Cowrie's: another program wrote it."""
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
    """How events stand in a content."""

    AUTO = "auto"
    """As its beginning says."""
    LINES = "lines"
    """One in each line, as Cowrie writes them."""
    JSON = "json"
    """As JSON objects, in an array or one after the other, over any number of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """
    How lines are read.

    Attributes:
        sensor: The honeypot's name, in place of what the lines say; None to believe them.
        keeps_passwords: Whether passwords are kept beside their hashes.
        keeps_lines: Whether every event keeps its line, to be stored.
        layout: How events stand in the contents.
    """

    sensor: str | None = None
    keeps_passwords: bool = False
    keeps_lines: bool = False
    layout: Layout = Layout.AUTO


@dataclass(frozen=True, slots=True)
class Mark:
    """
    A place in a source of lines up to which everything was loaded.

    Attributes:
        offset: How many bytes of the content come before it, decompressed and unfolded.
        digest: A hash of every byte before it, so that the content is known again.
    """

    offset: int
    digest: str


class LogEvent(NamedTuple):
    """
    An event under the session id that was logged. A tuple, because there is one for each line.

    Attributes:
        logged_id: The session id.
        event: What the line says.
        line: The line, if it is to be kept.
    """

    logged_id: str
    event: SessionEvent
    line: bytes | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """
    A line that is no event.

    Attributes:
        reason: What is wrong with it.
        payload: The line, at most 64 KiB of it.
        offset: Where it starts, in bytes of the content, decompressed and unfolded.
    """

    reason: Reason
    payload: bytes
    offset: int


class LogSource(Protocol):
    """
    One content of log lines: a file, or a stream that can be read once.

    Every implementation passes tests/adapters/cowrie/test_log_file.py.
    """

    @property
    def name(self) -> str:
        """Return the source as a user knows it."""
        ...

    @property
    def head(self) -> str:
        """Return what its beginning is known by, in hexadecimal; "" if it cannot be known again."""
        ...

    @property
    def size(self) -> int | None:
        """Return its bytes as it lies, compressed or not; None for a stream."""
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
        Go to the last of *marks* up to which this content is byte for byte what was read then.

        Args:
            marks: By ascending offset.

        Returns:
            The offset to go on from; 0 if not even the first mark fits.

        Raises:
            SourceUnreadable: The content cannot be read.
        """
        ...

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """
        Yield what every line says, from where `resume` went or else from the beginning.

        A content that breaks off in the middle, such as a damaged archive, ends with a BadLine.

        Raises:
            SourceUnreadable: The content cannot be read at all.
        """
        ...

    def mark(self) -> Mark:
        """Return the mark behind the last line that `lines` yielded; before it, if that was unfinished."""
        ...

    def progress(self) -> int:
        """Return how many of `size` bytes were read."""
        ...
