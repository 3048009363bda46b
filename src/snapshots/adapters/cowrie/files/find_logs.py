"""Find Cowrie logs in folders and patterns, and order them by age."""

import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from snapshots.adapters.cowrie.files.folders import walk
from snapshots.adapters.cowrie.files.layers import OWN, ForeignFile, Identity
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import FOLDERS_OF_ATTACKERS

DEEPEST_PATTERN = 10_000
"""Maximum recursion of a pattern: a path has at most 2,048 levels."""

LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FoundLogs:
    """
    The contents to load, the oldest first, and the files that were skipped or cannot be loaded.

    Attributes:
        contents: The logs.
        skipped: Files in folders and patterns without Cowrie events, and links to folders.
        foreign: Files in folders and patterns of kinds that contain no log lines, by their kind and what to do.
        problems: A message for each file or folder that cannot be loaded although it was named or may be a log.
    """

    contents: tuple[LogContent, ...]
    skipped: tuple[Path, ...]
    foreign: Mapping[str, Sequence[Path]]
    problems: tuple[str, ...]


def find_logs(
    paths: Iterable[str], decoder: LineDecoder, own: Callable[[], AbstractSet[Identity]] = frozenset
) -> FoundLogs:
    """
    Find the logs for the paths that a user gave.

    Args:
        paths: Files, folders (searched with their sub-folders), patterns with `*`, `?` or `[`, or `-`
            for standard input. A named file is always read; in folders and patterns only logs are.
        decoder: Turns lines into events.
        own: Returns the files of the database, which are never opened.

    Returns:
        Each file once, ordered by the time of the first event, because `cowrie.json` is the newest of its set although
        its name sorts first; files without an event come last.
    """
    search = _Search(decoder, own)
    for text in paths:
        search.add(text)
    return search.found()


class _Search:
    def __init__(self, decoder: LineDecoder, own: Callable[[], AbstractSet[Identity]]) -> None:
        self._decoder = decoder
        self._own = own()
        self._contents: dict[Identity | None, LogContent] = {}
        self._skipped: list[Path] = []
        self._foreign: dict[str, list[Path]] = {}
        self._problems: list[str] = []

    def found(self) -> FoundLogs:
        contents = sorted(self._contents.values(), key=by_age)
        return FoundLogs(tuple(contents), tuple(self._skipped), self._foreign, tuple(self._problems))

    def add(self, text: str) -> None:
        """Add the files of one argument."""
        if text == "-":
            self._contents[None] = LogContent(None, self._decoder, is_named=True)
            return
        problems = len(self._problems)
        if (error := _hindrance(text)) is not None:
            self._problems.append(f"{text} cannot be read: {error.strerror}")
            return
        if os.path.lexists(text):
            path = Path(text)
            if not os.path.isdir(path):  # noqa: PTH112 - does not raise
                self._add_file(str(path), is_named=True)
            elif not self._add_below(path) and len(self._problems) == problems:
                self._problems.append(f"there is no Cowrie log in the folder {path}")
            return
        matches = _matching(text)
        if not matches:
            self._problems.append(f"there is no file or folder {text}")
        elif not sum(map(self._add_match, matches)) and len(self._problems) == problems:
            self._problems.append(f"there is no Cowrie log among the files matching {text}")

    def _add_match(self, path: Path) -> bool:
        return self._add_below(path) if os.path.isdir(path) else self._add_file(str(path))  # noqa: PTH112 - does not raise

    def _add_below(self, folder: Path) -> bool:
        """Add the logs in a folder, and return whether there are any; links to folders are skipped."""
        has_logs = False
        for found in walk(str(folder), is_entered=_may_be_visited, on_error=self._refuse):
            self._skipped += [Path(found.path, name) for name in found.links]
            for name in found.files:
                has_logs |= not name.startswith(".") and self._add_file(found.place_of(name))
        return has_logs

    def _add_file(self, path: str, *, is_named: bool = False) -> bool:
        """Add a file if it is named or a log, and return whether it was added."""
        content = LogContent(path, self._decoder, is_named=is_named)
        try:
            identity = self._identity_of(path, content.name, is_named=is_named)
            if identity in self._contents:
                self._contents[identity].is_named |= is_named
                return True
            if identity is not None and (is_log(content) or is_named):
                self._contents[identity] = content
                return True
        except ForeignFile as error:
            if is_named:
                self._problems.append(str(error))
            else:
                self._foreign.setdefault(error.reason, []).append(Path(path))
            return False
        except LogUnreadable as error:
            self._problems.append(str(error))
            return False
        except OSError as error:
            self._problems.append(f"{content.name} cannot be read: {error.strerror}")
            return False
        self._skipped.append(Path(path))
        return False

    def _identity_of(self, path: str, name: str, *, is_named: bool) -> Identity | None:
        """Return the identity of a file that is named, or of a regular file; refuse the files of the database."""
        try:
            status = os.stat(path)  # noqa: PTH116 - a Path takes as long as the call
        except (OSError, ValueError):
            if is_named:
                raise
            return None
        identity = status.st_dev, status.st_ino
        if identity in self._own:
            raise ForeignFile(name, OWN)
        return identity if is_named or stat.S_ISREG(status.st_mode) else None

    def _refuse(self, error: OSError) -> None:
        self._problems.append(f"{error.filename} cannot be read: {error.strerror}")


def _hindrance(text: str) -> OSError | None:
    """Return the error that prevents checking whether a file or folder exists, such as a missing permission."""
    try:
        os.lstat(text)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        return error
    return None


def is_log(content: LogContent) -> bool:
    """
    Whether a file of a folder or pattern is a Cowrie log: it has an event near its beginning, or a file name of Cowrie.

    Raises:
        LogUnreadable: It cannot be read, or is of another kind.
    """
    if content.first_event_at is not None:
        return True
    name = content.path.name if content.path is not None and content.size is not None else ""
    return "cowrie" in name.lower() and ".json" in name


def files_named(paths: Iterable[str]) -> Iterator[Path]:
    """
    Yield the files that paths match at present; missing and unreadable ones are skipped.

    Args:
        paths: Files, folders and patterns, as for `find_logs`.
    """
    for text in paths:
        for path in _matching(text):
            below = _files_below(path) if os.path.isdir(path) else [path]  # noqa: PTH112 - does not raise
            yield from (file for file in below if os.path.isfile(file))  # noqa: PTH113 - does not raise


def _matching(text: str) -> list[Path]:
    """Return the file or folder of that name, or the matches of the pattern; an existing folder is not a pattern."""
    path = Path(text)
    if os.path.lexists(path):
        return [path]
    folder = next(parent for parent in path.parents if os.path.exists(parent))  # noqa: PTH110 - does not raise
    pattern = Path(glob.escape(str(folder)), path.relative_to(folder))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + DEEPEST_PATTERN)  # glob calls itself for each level of folders that ** matches
    try:
        return [Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207 - takes absolute patterns
    finally:
        sys.setrecursionlimit(limit)


def _files_below(folder: Path) -> Iterator[Path]:
    for found in walk(str(folder), is_entered=_may_be_visited, on_error=lambda _: None):
        yield from (Path(found.path, name) for name in found.files if not name.startswith("."))


def _may_be_visited(name: str) -> bool:
    return not name.startswith(".") and name not in FOLDERS_OF_ATTACKERS


def by_age(content: LogContent) -> tuple[datetime, str, bool, int, str]:
    """Order contents by the first event; among equals `cowrie.json` is newer than `.1`, and `.1` than `.2`."""
    name = re.sub(r"\.(gz|bz2|xz)$", "", content.name)
    number = re.search(r"\.(\d{1,6})$", name)
    rotated = -int(number[1]) if number else 1
    stem = re.sub(r"\.\d+$|[._]\d{4}-\d{2}-\d{2}", "", name)
    is_active = name == stem
    return (content.first_event_at or LAST, stem, is_active, rotated, name)
