"""Write a file atomically."""

import fcntl
import glob
import os
import sys
import tempfile
from collections.abc import Iterator
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
        _remove_stale_parts(file)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:MAX_NAME_CHARACTERS]}.", suffix=PART)
        whole = Path(name)
        with os.fdopen(descriptor, "wb") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX)  # a part file without a lock is stale
                yield part
                part.flush()
                mode = 0o600 if is_private else 0o666 & ~_umask()
                whole.chmod(file.stat().st_mode & 0o777 if file.exists() else mode)
                whole.replace(file)
            except BaseException:
                whole.unlink(missing_ok=True)
                raise
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be written: {exc.strerror or exc}") from exc


def _remove_stale_parts(file: Path) -> None:
    """Remove the part files of killed processes; the operating system released their locks."""
    for left in file.parent.glob(f".{glob.escape(file.name[:MAX_NAME_CHARACTERS])}.????????{PART}"):
        with suppress(OSError), left.open("rb") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


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
