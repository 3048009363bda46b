"""Write a file atomically."""

import fcntl
import glob
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

from snapshots.adapters.cli.output.streams import writing_output

PART = ".part"
MAX_NAME_CHARACTERS = 48
"""How many characters of the file name the temporary name contains: file names are limited to 255 bytes."""


@contextmanager
def opened_whole(file: Path, *, is_private: bool = False) -> Iterator[BinaryIO]:
    """
    Write a file atomically: a temporary file is renamed on success; temporary files of killed processes are removed.

    Args:
        file: The target; "-" is standard output.
        is_private: Whether only the owner may read a new file.
    """
    if str(file) == "-":
        with writing_output():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    file = _link_target(file)
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as device:
                yield device
            return
        with _part_of(file) as (part, whole):
            yield part
            part.flush()
            mode = 0o600 if is_private else 0o666 & ~_umask()
            whole.chmod(file.stat().st_mode & 0o777 if file.exists() else mode)
            whole.replace(file)
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be written: {exc.strerror or exc}") from exc


@contextmanager
def written_whole(file: Path, *, overwrites: bool) -> Iterator[Path]:
    """
    Let a library or another program write a file atomically, by the path of an empty temporary file next to it.

    The file is readable by its owner only, and on the disk after the block.

    Args:
        file: The target, a regular file.
        overwrites: Whether an existing file is replaced; otherwise it is an error, before and after the block.
    """
    file = _link_target(file)
    try:
        _refuse_existing(file, overwrites=overwrites)
        with _part_of(file) as (part, whole):
            yield whole
            os.fsync(part)
            _refuse_existing(file, overwrites=overwrites)
            whole.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be written: {exc.strerror or exc}") from exc


def _refuse_existing(file: Path, *, overwrites: bool) -> None:
    if file.exists() and not file.is_file():
        raise click.ClickException(f"{file} is not a regular file")
    if file.exists() and not overwrites:
        raise click.ClickException(f"{file} exists: name another file, or replace it with --overwrite")


@contextmanager
def _part_of(file: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Create a temporary file next to a file, and remove it if the block raises."""
    _remove_stale(file.parent.glob(f".{glob.escape(file.name[:MAX_NAME_CHARACTERS])}.????????{PART}"))
    is_made = False
    while not is_made:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:MAX_NAME_CHARACTERS]}.", suffix=PART)
        whole = Path(name)
        with os.fdopen(descriptor, "wb") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX)  # a part file without a lock is stale
                is_made = whole.exists()  # else another process took it for stale before it was locked
                if is_made:
                    yield part, whole
            except BaseException:
                _remove(whole)
                raise


def remove_stale_parts(folder: Path, beginning: str) -> None:
    """Remove the part files of killed processes, of all files in a folder whose names begin like this."""
    _remove_stale(folder.glob(f".{glob.escape(beginning[:MAX_NAME_CHARACTERS])}*.????????{PART}"))


def _remove_stale(parts: Iterable[Path]) -> None:
    """Remove part files that no process has locked: the operating system releases the locks of a killed one."""
    for left in parts:
        with suppress(OSError), left.open("rb") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(left)


def _remove(part: Path) -> None:
    """Remove a part file, and what SQLite may have left next to it."""
    for ending in ("-journal", "-wal", "-shm", ""):
        part.with_name(part.name + ending).unlink(missing_ok=True)


def _link_target(file: Path) -> Path:
    """Return the target of a symbolic link, or the file itself."""
    try:
        return file.resolve()
    except (OSError, RuntimeError) as exc:  # RuntimeError: a link that leads to itself
        raise click.ClickException(f"{file} cannot be written: {exc}") from exc


def _umask() -> int:
    """Return the umask of this process, which can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
