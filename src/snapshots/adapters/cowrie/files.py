"""Which files of a folder are Cowrie logs, and in which order they were written."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from snapshots.adapters.cowrie.content import LogContent
from snapshots.adapters.cowrie.decode import LineDecoder
from snapshots.adapters.cowrie.layers import ForeignFile
from snapshots.app.errors import NothingToRead, SourceUnreadable

NOT_LOGS = frozenset({"downloads", "tty"})
"""Cowrie's folders for what attackers left; a file in them may look like a log, and is theirs."""

LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FoundLogs:
    """
    The contents to load, the oldest first, and the files of folders that are no logs.

    Attributes:
        contents: What to read.
        skipped: Files in folders that were passed over, because they do not look like Cowrie logs.
    """

    contents: tuple[LogContent, ...]
    skipped: tuple[Path, ...]


def find_logs(paths: Iterable[str], decoder: LineDecoder) -> FoundLogs:
    """
    Find the logs that a user means.

    Args:
        paths: Files, folders (searched with their sub-folders), patterns with `*`, `?` or `[`, or `-`
            for standard input. A file that is named is read whatever it is called.
        decoder: Turns lines into events.

    Returns:
        Each file once. They are ordered by the time of their first event, because `cowrie.json` is the
        newest of its set though its name sorts first; those without one come last.

    Raises:
        NothingToRead: A path names nothing, or a folder holds no log.
    """
    contents: dict[Path | None, LogContent] = {}
    skipped: list[Path] = []
    for text in paths:
        if text == "-":
            contents[None] = LogContent(None, decoder)
            continue
        for path in _expanded(text):
            if not path.is_dir():
                contents.setdefault(path.resolve(), LogContent(path, decoder))
                continue
            below = [LogContent(file, decoder) for file in _files_below(path)]
            logs = [content for content in below if _is_log(content)]
            if not logs:
                raise NothingToRead(f"there is no Cowrie log in the folder {path}")
            for content in logs:
                contents.setdefault(_path(content).resolve(), content)
            skipped += [_path(content) for content in below if content not in logs]
    return FoundLogs(tuple(sorted(contents.values(), key=by_age)), tuple(skipped))


def files_named(paths: Iterable[str]) -> Iterator[Path]:
    """
    Yield the files that paths name at present; what is not there yet, or cannot be read, is passed over.

    Args:
        paths: Files, folders and patterns, as for `find_logs`.
    """
    for text in paths:
        for found in _matching(text):
            below = _files_below(found, skips=True) if found.is_dir() else [found]
            yield from (file for file in below if file.is_file())


def _matching(text: str) -> list[Path]:
    """Return the file or folder of that name, or what the pattern matches; a folder that exists is no pattern."""
    path = Path(text)
    if path.exists():
        return [path]
    folder = next(parent for parent in path.parents if parent.exists())
    pattern = Path(glob.escape(str(folder)), path.relative_to(folder))
    return [Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207 - takes absolute patterns


def _expanded(text: str) -> list[Path]:
    found = _matching(text)
    if not found:
        raise NothingToRead(f"there is no file or folder {text}")
    return found


def _files_below(folder: Path, *, skips: bool = False) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if skips:
            return
        raise SourceUnreadable(
            f"{error.filename} cannot be read: {error.strerror}; nothing was loaded, name the other files to load them"
        ) from error

    for where, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in NOT_LOGS)
        yield from (Path(where, name) for name in sorted(files) if not name.startswith("."))


def _is_log(content: LogContent) -> bool:
    file = _path(content)
    try:
        return file.is_file() and (content.first_event_at is not None or ".json" in file.name)
    except ForeignFile:
        return False


def _path(content: LogContent) -> Path:
    return content.path or Path("-")


def by_age(content: LogContent) -> tuple[datetime, str, bool, int, str]:
    """Order contents by the first event; among equals `cowrie.json` is newer than `.1`, and `.1` than `.2`."""
    name = re.sub(r"\.(gz|bz2)$", "", content.name)
    number = re.search(r"\.(\d{1,6})$", name)
    rotated = -int(number[1]) if number else 1
    stem = re.sub(r"\.\d+$|[._]\d{4}-\d{2}-\d{2}", "", name)
    is_active = name == stem
    return (content.first_event_at or LAST, stem, is_active, rotated, name)
