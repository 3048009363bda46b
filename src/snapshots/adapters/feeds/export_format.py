"""What a format of `snapshots export` declares, and the sessions that it is given to write."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

from snapshots.app.queries.paging import ACTIVITY_PAGE, every_address, every_line
from snapshots.app.queries.session_queries import SessionFilter, SessionQueries, SessionRow
from snapshots.app.wording import count_of

T = TypeVar("T")

PROGRESS_EVERY = 1000
"""Rows between two calls of `on_read`."""


@dataclass(slots=True, kw_only=True)
class Export:
    """
    One export: what it selects, and the values of its options.

    Attributes:
        session_queries: The queries.
        session_filter: The filter.
        options: Values of the options of all formats, by their names.
        now: The present time in UTC.
        replaced: The file with content that the export replaces; None for a new file, an empty one or a stream.
        on_read: Called from time to time with the number of rows that were read.
        on_empty: Called if the filter selects nothing; may raise InvalidQuery.
        count: Sessions or addresses read so far.
    """

    session_queries: SessionQueries
    session_filter: SessionFilter
    options: Mapping[str, Any]
    now: datetime
    replaced: Path | None
    on_read: Callable[[int], None]
    on_empty: Callable[[], None]
    count: int = 0

    def sessions(self) -> Iterator[SessionRow]:
        """
        Yield the sessions with what was done in them, the newest first.

        Raises:
            InvalidQuery: The filter selects nothing, and no session has one of its values.
        """
        queries, session_filter = self.session_queries, self.session_filter
        return self._counted(every_line(queries, session_filter, page=ACTIVITY_PAGE, with_activity=True))

    def addresses(self, *, at_least: int = 1) -> Iterator[str]:
        """
        Yield the routable addresses with at least so many sessions, in text order.

        Raises:
            InvalidQuery: As for `sessions`.
        """
        return self._counted(every_address(self.session_queries, self.session_filter, at_least=at_least))

    def _counted(self, rows: Iterable[T]) -> Iterator[T]:
        for row in rows:
            yield row
            self.count += 1
            if self.count % PROGRESS_EVERY == 0:
                self.on_read(self.count)
        if not self.count:
            self.on_empty()


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOption:
    """
    An option that only some formats have.

    Formats that share an option declare it with the same values.

    Attributes:
        name: Its name on the command line, without dashes.
        help: Its help text: complete sentences, of which the first follows "With FORMAT:".
        default: Its value if it is not given, whose type is that of the option: False for a switch, a number of at
            least 1, one of the *choices*, or None for the path of a file.
        choices: The texts that are accepted.
    """

    name: str
    help: str
    default: bool | int | str | None = None
    choices: tuple[str, ...] = ()


Writer = Callable[[Export, BinaryIO], Sequence[str]]
"""Writes an export to a stream, which stays open, and returns messages for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """
    A format of `snapshots export`. Every module in `formats` has one, named FORMAT.

    A package that only this format needs is imported by its writer: help is printed without it.

    Attributes:
        name: The value of `--format`.
        summary: What is written, as a sentence.
        write: Writes an export.
        url: Where the format is described; "" if it needs no description.
        extra: The extra of this package that installs what the format needs; "" if it needs nothing.
        options: Its own options.
        is_binary: Whether it cannot be shown in a terminal.
        is_public: Whether it never contains texts of passwords. The files of all other formats are readable by their
            owner only.
    """

    name: str
    summary: str
    write: Writer
    url: str = ""
    extra: str = ""
    options: Sequence[FormatOption] = ()
    is_binary: bool = False
    is_public: bool = False

    @property
    def description(self) -> str:
        """Return the summary, with the extra that the format needs."""
        return f"{self.summary.removesuffix('.')}; needs the extra {self.extra}." if self.extra else self.summary


def line_format(*, name: str, summary: str, line: Callable[[SessionRow], str], **more: Any) -> Format:
    """
    Return a format with one line for each session.

    Args:
        name: As for `Format`.
        summary: As for `Format`.
        line: Returns the line of a session, without its end. Texts of a session were chosen by attackers: the line must
            escape those that would end it or begin another field.
        more: As for `Format`.
    """

    def write(export: Export, to: BinaryIO) -> Sequence[str]:
        with text_stream(to) as text:
            text.writelines(f"{line(session)}\n" for session in export.sessions())
        return [sessions_written(export.count)]

    return Format(name=name, summary=summary, write=write, **more)


@contextmanager
def text_stream(to: BinaryIO) -> Iterator[TextIO]:
    """Open a text stream in UTF-8 on a binary stream, which stays open."""
    text = io.TextIOWrapper(to, encoding="utf-8", newline="")
    try:
        yield text
        text.flush()
    finally:
        with suppress(OSError):  # the error has been raised by flush
            text.detach()


def sessions_written(count: int) -> str:
    """Return the message with the number of sessions in an export."""
    return f"{count_of(count, 'session')} written."
