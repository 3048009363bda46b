"""Walk folders of any depth."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Folder(NamedTuple):
    """
    The entries of a folder, sorted by name.

    Attributes:
        path: Its path.
        links: Names of links to folders, which are not followed.
        files: Names of all entries that are not folders.
    """

    path: str
    links: list[str]
    files: list[str]

    def place_of(self, name: str) -> str:
        """Return the path of an entry, as pathlib writes it."""
        return name if self.path == "." else os.path.join(self.path, name)  # noqa: PTH118 - texts are faster


def walk(top: str, *, is_entered: Callable[[str], bool], on_error: Callable[[OSError], None]) -> Iterator[Folder]:
    """
    Yield a folder and all its sub-folders, each before its own sub-folders.

    os.walk is recursive and fails at about 1,000 levels.

    Args:
        top: The folder.
        is_entered: Returns whether to visit a sub-folder or list a link of this name.
        on_error: Called for each folder that cannot be read; the walk continues.
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
    except OSError:  # such as a link whose target is not accessible
        return False
