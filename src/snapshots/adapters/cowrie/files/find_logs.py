"""Find Cowrie logs in folders and patterns, and order them by age."""

import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, overload

from snapshots.adapters.cowrie.files.file_state import FileStates
from snapshots.adapters.cowrie.files.folders import walk
from snapshots.adapters.cowrie.files.layers import OWN, ForeignFile, Identity
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import FOLDERS_OF_ATTACKERS

DEEPEST_PATTERN = 10_000
"""Maximum recursion of a pattern: a path has at most 2,048 levels."""

CHECKED_AT_ONCE = 1000
"""Files whose states are looked up with one query."""

_ENDING = re.compile(r"\.(gz|bz2|xz)$")
_NUMBER = re.compile(r"\.(\d{1,6})$")
_ROTATION = re.compile(r"\.\d+$|[._]\d{4}-\d{2}-\d{2}")

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
        unchanged: Number of files that are unchanged since they were loaded; they are not among the others.
    """

    contents: Sequence[LogContent]
    skipped: tuple[Path, ...]
    foreign: Mapping[str, Sequence[Path]]
    problems: tuple[str, ...]
    unchanged: int = 0


def find_logs(
    paths: Iterable[str],
    decoder: LineDecoder,
    own: Callable[[], AbstractSet[Identity]] = frozenset,
    *,
    loaded: Callable[[Collection[str]], AbstractSet[str]] = lambda _: frozenset(),
    searched_at: datetime | None = None,
) -> FoundLogs:
    """
    Find the logs for the paths that a user gave.

    Args:
        paths: Files, folders (searched with their sub-folders), patterns with `*`, `?` or `[`, or `-`
            for standard input. A named file is always read; in folders and patterns only logs are.
        decoder: Turns lines into events.
        own: Returns the files of the database, which are never opened.
        loaded: Returns which states are of files that were loaded; those are not opened.
        searched_at: The current time by the clock of this machine; None for files without states.

    Returns:
        Each file once, ordered by the time of the first event, because `cowrie.json` is the newest of its set although
        its name sorts first; files without an event come last.
    """
    states = FileStates(decoder.layout, int(searched_at.timestamp() * 1e9)) if searched_at is not None else None
    search = _Search(decoder, own, states)
    for text in paths:
        search.find_files(text)
    search.find_loaded(loaded)
    return search.found()


class _FoundLog(NamedTuple):
    """What is kept of a log until it is loaded; a folder may have 100,000."""

    path: str | None
    head: str
    first_event_at: datetime | None
    is_named: bool


class _Contents(Sequence[LogContent]):
    """Contents of found logs, each created anew when it is accessed."""

    def __init__(self, logs: Sequence[_FoundLog], decoder: LineDecoder, states: FileStates | None) -> None:
        self._logs = logs
        self._decoder = decoder
        self._states = states

    def __len__(self) -> int:
        return len(self._logs)

    @overload
    def __getitem__(self, at: int) -> LogContent: ...
    @overload
    def __getitem__(self, at: slice) -> "_Contents": ...
    def __getitem__(self, at: int | slice) -> "LogContent | _Contents":
        if isinstance(at, slice):
            return _Contents(self._logs[at], self._decoder, self._states)
        path, head, first_event_at, is_named = self._logs[at]
        known = (head, first_event_at)
        return LogContent(path, self._decoder, is_named=is_named, states=self._states, known=known)


@dataclass(frozen=True, slots=True)
class _Argument:
    """
    The files of one argument.

    Attributes:
        files: Their paths.
        is_named: Whether a user named the file itself.
        complaint: The problem if none of the files is a log; "" if there is another problem.
    """

    files: Sequence[str]
    is_named: bool
    complaint: str


class _Search:
    def __init__(
        self, decoder: LineDecoder, own: Callable[[], AbstractSet[Identity]], states: FileStates | None
    ) -> None:
        self._decoder = decoder
        self._own = own()
        self._states = states
        self._arguments: list[_Argument] = []
        self._loaded = set[str]()
        self._unchanged = set[Identity]()
        self._logs: dict[Identity | None, _FoundLog] = {}
        self._skipped: list[Path] = []
        self._foreign: dict[str, list[Path]] = {}
        self._problems: list[str] = []

    def find_files(self, text: str) -> None:
        """Find the files of one argument."""
        if text == "-":
            self._logs[None] = _FoundLog(None, "", None, is_named=True)
            return
        if (error := _hindrance(text)) is not None:
            self._problems.append(f"{text} cannot be read: {error.strerror}")
            return
        if os.path.lexists(text) and not os.path.isdir(text):  # noqa: PTH112 - does not raise
            self._arguments.append(_Argument([str(Path(text))], is_named=True, complaint=""))
            return
        matches, problems = _matching(text), len(self._problems)
        if not matches:
            self._problems.append(f"there is no file or folder {text}")
            return
        files = [file for match in matches for file in self._files_of(match)]
        where = f"in the folder {Path(text)}" if os.path.lexists(text) else f"among the files matching {text}"
        complaint = f"there is no Cowrie log {where}" if len(self._problems) == problems else ""
        self._arguments.append(_Argument(files, is_named=False, complaint=complaint))

    def find_loaded(self, loaded: Callable[[Collection[str]], AbstractSet[str]]) -> None:
        """Find which files are unchanged since they were loaded."""
        if self._states is None:
            return
        files = (file for argument in self._arguments for file in argument.files)
        while chunk := list(islice(files, CHECKED_AT_ONCE)):
            states = {self._states.of(status) for file in chunk if (status := _status_of(file)) is not None}
            self._loaded |= loaded(states - {""})

    def found(self) -> FoundLogs:
        """Read the beginnings of the files, and return the logs among them."""
        for argument in self._arguments:
            problems = len(self._problems)
            has_logs = [self._add_file(file, is_named=argument.is_named) for file in argument.files]
            if argument.complaint and not any(has_logs) and len(self._problems) == problems:
                self._problems.append(argument.complaint)
        logs = sorted(self._logs.values(), key=lambda log: _age(log.first_event_at, log.path or "-"))
        contents = _Contents(logs, self._decoder, self._states)
        return FoundLogs(contents, tuple(self._skipped), self._foreign, tuple(self._problems), len(self._unchanged))

    def _files_of(self, path: Path) -> Iterator[str]:
        """Yield a file, or the files in a folder; links to folders are skipped."""
        if not os.path.isdir(path):  # noqa: PTH112 - does not raise
            yield str(path)
            return
        for found in walk(str(path), is_entered=_may_be_visited, on_error=self._refuse):
            self._skipped += [Path(found.path, name) for name in found.links]
            yield from (found.place_of(name) for name in found.files if not name.startswith("."))

    def _add_file(self, path: str, *, is_named: bool = False) -> bool:
        """Add a file if it is named or a log, and return whether it was added."""
        content = LogContent(path, self._decoder, is_named=is_named, states=self._states)
        try:
            if self._takes(content, path, is_named=is_named):
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

    def _takes(self, content: LogContent, path: str, *, is_named: bool) -> bool:
        """Add a file if it is named or a log, and return whether it is; refuse the files of the database."""
        status = os.stat(path) if is_named else _status_of(path)  # noqa: PTH116 - see there
        if status is None:
            return False
        identity = status.st_dev, status.st_ino
        if identity in self._own:
            raise ForeignFile(content.name, OWN)
        if (known := self._logs.get(identity)) is not None:
            self._logs[identity] = known._replace(is_named=known.is_named or is_named)
        elif self._loaded and self._states is not None and self._states.of(status) in self._loaded:
            self._unchanged.add(identity)
        elif (stat.S_ISREG(status.st_mode) and is_log(content)) or is_named:
            self._logs[identity] = _FoundLog(path, content.head, content.first_event_at, is_named=is_named)
        else:
            return False
        return True

    def _refuse(self, error: OSError) -> None:
        self._problems.append(f"{error.filename} cannot be read: {error.strerror}")


def _status_of(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a Path takes as long as the call
    except (OSError, ValueError):
        return None


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
    return _age(content.first_event_at, content.name)


def _age(first_event_at: datetime | None, name: str) -> tuple[datetime, str, bool, int, str]:
    name = _ENDING.sub("", name)
    number = _NUMBER.search(name)
    rotated = -int(number[1]) if number else 1
    stem = _ROTATION.sub("", name)
    is_active = name == stem
    return (first_event_at or LAST, stem, is_active, rotated, name)
