"""Logs that are being written: rotated, truncated, deleted and made anew while they are followed."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast

from snapshots.adapters.cowrie.content import HEAD, LogContent
from snapshots.adapters.cowrie.decode import LineDecoder
from snapshots.adapters.cowrie.files import by_age, log_files
from snapshots.app.errors import SourceUnreadable
from snapshots.app.lines import BadLine, LogEvent, Mark

COMPRESSED = (b"\x1f\x8b", b"BZh")
BEGINNING = 4096
"""By so many of its first bytes a file is known to be still the one that was followed."""

IDLE_LOOKS = 60
"""After how many looks at which nothing was new a file is closed; it is opened again when it grows."""

Identity = tuple[int, int]


class GrowingContent(LogContent):
    """
    The lines of a plain file that stays open from one reading to the next, under whatever name it has by then.

    A last line without its newline is still being written, and waits.

    Args:
        path: The file.
        decoder: Turns lines into events.
    """

    def __init__(self, path: Path, decoder: LineDecoder) -> None:
        super().__init__(path, decoder)
        self._known: tuple[str, datetime | None] = ("", None)
        self._is_placed = False

    @property
    def head(self) -> str:
        """Return a hash of the bytes up to the end of the first event, as soon as there is one."""
        return self._first()[0]

    @property
    def first_event_at(self) -> datetime | None:
        """Return the time of the first event, as soon as there is one."""
        return self._first()[1]

    @property
    def identity(self) -> Identity:
        """Return the number of the open file on its device."""
        status = os.fstat(self._descriptor)
        return status.st_dev, status.st_ino

    @property
    def size_now(self) -> int:
        """Return the bytes of the file while it is open, whatever its name is by now; else 0."""
        return os.fstat(self._descriptor).st_size if self._stream is not None else 0

    def rename(self, path: Path) -> None:
        """Call the file by another name."""
        self._path = path

    def resume(self, marks: Sequence[Mark]) -> int:
        """Go to the last mark that fits when it was just opened; afterwards stay where reading was left."""
        if self._is_placed:
            return self._offset
        stream = self._opened()
        fitting = 0
        for mark in marks:
            self._skip(stream, mark.offset)
            if self.mark() != mark:
                break
            fitting = mark.offset
        stream.seek(0)
        self._begin()
        self._skip(stream, fitting)
        self._is_placed = True
        return self._offset

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """Yield what every whole line says that was added."""
        yield from self._lines(self._opened())

    def close(self) -> None:
        """Let go of the file; it is read again from its marks."""
        self._close()
        self._is_placed = False

    def _first(self) -> tuple[str, datetime | None]:
        if not self._known[0]:
            self._known = self._first_event_in(os.pread(self._descriptor, HEAD, 0))
        return self._known

    @property
    def _descriptor(self) -> int:
        self._opened()
        return cast(Any, self._raw).fileno()  # type: ignore[no-any-return]  # a BufferedReader of a file

    def _opened(self) -> BufferedIOBase:
        return self._stream or self._open()

    def _last(self, _rest: bytes, /) -> Iterator[LogEvent | BadLine]:
        """Leave what has no newline yet."""
        yield from ()


@dataclass(slots=True)
class _Followed:
    content: LogContent
    beginning: bytes
    size: int = -1
    modified: int = -1
    idle: int = 0


class FolderWatch:
    """
    Looks at the files that paths name, again and again.

    A file is known by its number on its device while it is followed, so it may be renamed; when it shrinks, or does
    not begin as it did, it is another content. Compressed files are read as they appear: what was loaded before,
    under another name, is known by its marks.

    Args:
        paths: Files, folders and patterns; they may name nothing yet.
        decoder: Turns lines into events.
    """

    def __init__(self, paths: Sequence[str], decoder: LineDecoder) -> None:
        self._paths = paths
        self._decoder = decoder
        self._followed: dict[Identity, _Followed] = {}

    def changed(self) -> Sequence[LogContent]:
        """Return what grew, shrank or came, the oldest first."""
        found: list[LogContent] = []
        seen: set[Identity] = set()
        for path in log_files(self._paths, self._decoder):
            try:
                status = path.stat()
                identity = status.st_dev, status.st_ino
                if identity not in seen:
                    seen.add(identity)
                    found += self._look(path, identity, status)
            except (OSError, SourceUnreadable):
                continue  # it went in between, or is no log; it is looked at again
        found += self._without_a_name(seen)
        return sorted(found, key=by_age)

    def forget(self) -> None:
        """Close every file, so that it is read again from its marks."""
        for followed in self._followed.values():
            _close(followed.content)
        self._followed.clear()

    def _look(self, path: Path, identity: Identity, status: os.stat_result) -> Iterable[LogContent]:
        held = self._followed.get(identity)
        if held is not None and (held.size, held.modified) == (status.st_size, status.st_mtime_ns):
            held.idle += 1
            if held.idle == IDLE_LOOKS:
                _close(held.content)
            return ()
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
        if held is not None and (status.st_size < held.size or not beginning.startswith(held.beginning)):
            _close(held.content)
            held = None
        if held is None:
            content = self._content(path, beginning, identity)
            if content is None:
                return ()
            held = self._followed[identity] = _Followed(content, beginning)
        elif isinstance(held.content, GrowingContent):
            held.content.rename(path)
        held.size, held.modified, held.idle, held.beginning = status.st_size, status.st_mtime_ns, 0, beginning
        return [held.content] if status.st_size else ()

    def _content(self, path: Path, beginning: bytes, identity: Identity) -> LogContent | None:
        """Open a file; None if another took its name in between."""
        if beginning.startswith(COMPRESSED):
            return LogContent(path, self._decoder)
        content = GrowingContent(path, self._decoder)
        if content.identity == identity:
            return content
        content.close()
        return None

    def _without_a_name(self, seen: set[Identity]) -> Iterable[LogContent]:
        """Return what was added to files that no path names any more, and let go of those that do not grow."""
        for identity in set(self._followed) - seen:
            held = self._followed[identity]
            size = held.content.size_now if isinstance(held.content, GrowingContent) else held.size
            if size > held.size:
                held.size, held.idle = size, 0
                yield held.content
                continue
            held.idle += 1
            if held.idle >= IDLE_LOOKS:
                _close(held.content)
                del self._followed[identity]


def _close(content: LogContent) -> None:
    if isinstance(content, GrowingContent):
        content.close()
