"""Follow logs while they are written, rotated, truncated, deleted and created again."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from snapshots.adapters.cowrie.files.decompress import MAGICS
from snapshots.adapters.cowrie.files.find_logs import by_age, files_named, is_log
from snapshots.adapters.cowrie.files.growing_content import GrowingContent, WaitingContent
from snapshots.adapters.cowrie.files.layers import OWN, ForeignFile, Identity, special_kind
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import SettingRefused, SourceUnreadable

LONGEST_MAGIC = 16
"""Number of bytes that suffice to detect compression and encoding."""

BEGINNING = 4096
"""First bytes of a file that are compared to detect that it was replaced."""

IDLE_LOOKS = 60
"""Polls without new data after which a file is closed; it is opened again when it grows."""


@dataclass(slots=True)
class _Followed:
    """
    A followed file.

    Attributes:
        content: Its content.
        beginning: Its first bytes.
        size: Its size at the last poll, in bytes; -1 to read it at the next poll in any case.
        modified: Its modification time at the last poll, in nanoseconds.
        idle: Number of polls without new data.
        is_growing_archive: Whether it is compressed and may still be written; it is read when it stops growing.
    """

    content: LogContent
    beginning: bytes
    size: int = -1
    modified: int = -1
    idle: int = 0
    is_growing_archive: bool = False


class FolderWatch:
    """
    Polls the files that paths match.

    A file is identified by its device and inode while it is followed, so it may be renamed. If it shrinks or begins
    with other bytes, it is a new content. Compressed files that exist at the first poll are read at once, and bookmarks
    skip those that were loaded under another name. A later one is read when its size did not change between two
    polls, because a growing one would be read from its start each time.

    Args:
        paths: Files, folders and patterns; they may match nothing yet.
        decoder: Turns lines into events.
        warn: Called with a message, once for each file that cannot be read.
        own: Returns the files of the database, which are never opened.

    Raises:
        SettingRefused: A path names a pipe, a device or a socket.
    """

    def __init__(
        self,
        paths: Sequence[str],
        decoder: LineDecoder,
        warn: Callable[[str], None],
        own: Callable[[], AbstractSet[Identity]] = frozenset,
    ) -> None:
        for text in paths:
            if (kind := special_kind(Path(text))) is not None:
                raise SettingRefused(f"{text} is {kind}, which --follow cannot read; load it without --follow")
        self._paths = paths
        self._named = frozenset(map(Path, paths))
        self._decoder = decoder
        self._warn = warn
        self._own = own
        self._refused: set[Path] = set()
        self._has_looked = False
        self._followed: dict[Identity, _Followed] = {}
        self._foreign: dict[Identity, tuple[int, int]] = {}

    def changed(self) -> Sequence[LogContent]:
        """Return the contents that changed or appeared since the last poll, the oldest first."""
        found: list[LogContent] = []
        seen: set[Identity] = set()
        newest: dict[Path, int] = {}
        for path, status in self._files():
            identity = status.st_dev, status.st_ino
            if identity in seen:
                continue
            seen.add(identity)
            newest[path.parent] = max(newest.get(path.parent, 0), status.st_mtime_ns)
            try:
                found += self._look(path, identity, status)
            except PermissionError as error:
                if path not in self._refused:
                    self._refused.add(path)
                    self._warn(f"{path} cannot be read: {error.strerror}; will try again")
            except ForeignFile as error:
                if path not in self._refused:
                    self._refused.add(path)
                    self._warn(f"{error}; will try again")
            except (OSError, SourceUnreadable):
                continue  # deleted meanwhile; checked again in the next round
        found += self._without_a_name(seen)
        self._has_looked = True
        for content in found:
            if isinstance(content, GrowingContent) and content.path is not None:
                held = self._followed[content.identity]
                content.stays_open = held.modified >= newest.get(content.path.parent, 0)
        return sorted((content for content in found if self._can_be_read(content)), key=by_age)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the files that may be logs. The others are reported once, and checked again when they change."""
        passed_over: dict[str, list[Path]] = {}
        own = self._own()
        for path in files_named(self._paths):
            try:
                status = path.stat()
            except OSError:
                continue  # deleted meanwhile
            identity, state = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
            if identity not in own and (identity in self._followed or path in self._named):
                yield path, status
            elif self._foreign.get(identity) != state:
                reason = OWN if identity in own else self._why_no_log(path)
                if reason is None:
                    yield path, status
                    continue
                if status.st_size and identity not in self._foreign:
                    passed_over.setdefault(reason, []).append(path)
                self._foreign[identity] = state
        for reason, paths in passed_over.items():
            files = "1 file" if len(paths) == 1 else f"{len(paths):,} files"
            self._warn(f"skipped {files} {(reason and f'({reason})') or 'without Cowrie events'}, such as {paths[0]}")

    def _why_no_log(self, path: Path) -> str | None:
        """Return the kind of a file that contains no log lines, "" if it has no events, or None if it may be a log."""
        try:
            return None if is_log(LogContent(path, self._decoder)) else ""
        except ForeignFile as error:
            return error.reason
        except SourceUnreadable:
            return None  # reported when it is read

    def forget(self) -> None:
        """Read every file again from its bookmarks at the next poll."""
        for followed in self._followed.values():
            if isinstance(followed.content, GrowingContent):
                followed.content.rewind()
            followed.size = followed.modified = -1

    def close(self) -> None:
        """Close all files."""
        for followed in self._followed.values():
            _close(followed.content)
        self._followed.clear()

    def _look(self, path: Path, identity: Identity, status: os.stat_result) -> Iterable[LogContent]:
        held = self._followed.get(identity)
        if held is not None:
            held.content.rename(path)
        if held is not None and held.is_growing_archive:
            held.is_growing_archive = (held.size, held.modified) != (status.st_size, status.st_mtime_ns)
            held.size, held.modified = status.st_size, status.st_mtime_ns
            return () if held.is_growing_archive else [held.content]
        if held is not None and (held.size, held.modified) == (status.st_size, status.st_mtime_ns):
            held.idle += 1
            if held.idle == IDLE_LOOKS:
                _close(held.content)
            return ()
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
        is_known = held is not None and len(held.beginning) >= LONGEST_MAGIC
        if held is not None and (
            not is_known or status.st_size < held.size or not beginning.startswith(held.beginning)
        ):
            _close(held.content)
            held = None
        if held is None:
            content = LogContent(path, self._decoder)
            if not beginning.startswith(MAGICS):
                content = (
                    GrowingContent(path, self._decoder, identity)
                    if content.is_plain
                    else WaitingContent(path, self._decoder)
                )
            held = self._followed[identity] = _Followed(content, beginning)
        held.size, held.modified, held.idle, held.beginning = status.st_size, status.st_mtime_ns, 0, beginning
        held.is_growing_archive = beginning.startswith(MAGICS) and self._has_looked
        return [held.content] if status.st_size and not held.is_growing_archive else ()

    def _can_be_read(self, content: LogContent) -> bool:
        """Whether the beginning of a content can be read now; if not, it is polled again."""
        try:
            by_age(content)
        except SourceUnreadable:
            for followed in self._followed.values():
                if followed.content is content:
                    followed.size = followed.modified = -1
            return False
        return True

    def _without_a_name(self, seen: set[Identity]) -> Iterable[LogContent]:
        """Return deleted files that have new data, and close those that stopped growing."""
        for identity in set(self._followed) - seen:
            held = self._followed[identity]
            if not isinstance(held.content, GrowingContent) or not held.content.is_open:
                del self._followed[identity]  # under another name it is recognized by its bookmarks
                continue
            size = held.content.size_now
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
