"""Walk folders of any depth."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Folder(NamedTuple):
    """
    What a folder holds, each in the order of the names.

    Attributes:
        path: Its path.
        links: The names of links to folders, which are not followed.
        files: The names of everything else that is no folder.
    """

    path: str
    links: list[str]
    files: list[str]


def walk(top: str, *, is_entered: Callable[[str], bool], on_error: Callable[[OSError], None]) -> Iterator[Folder]:
    """
    Yield a folder and all below it, each before its sub-folders.

    os.walk calls itself for each level, and fails at about 1,000 levels.

    Args:
        top: The folder.
        is_entered: Says whether a sub-folder or link of a name counts; others are left out.
        on_error: Is called for each folder that cannot be read; the others are read all the same.
    """
    waiting = [top]
    while waiting:
        path = waiting.pop()
        folders, found = list[str](), Folder(path, [], [])
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not _is_folder(entry):
                        found.files.append(entry.name)
                    elif is_entered(entry.name):
                        (found.links if entry.is_symlink() else folders).append(entry.name)
        except OSError as error:
            on_error(error)
            continue
        found.links.sort()
        found.files.sort()
        waiting += [os.path.join(path, name) for name in sorted(folders, reverse=True)]  # noqa: PTH118 - texts are faster
        yield found


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link whose goal may not be looked at
        return False
