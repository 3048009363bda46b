"""Files that a command writes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import click


@contextmanager
def opened_whole(file: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when all of it is written; "-" is standard output."""
    if str(file) == "-":
        yield sys.stdout.buffer
        return
    file = _where_it_leads(file)
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as device:
                yield device
            return
        with NamedTemporaryFile(dir=file.absolute().parent, prefix=f".{file.name}.", delete=False) as part:
            whole = Path(part.name)
            try:
                yield part  # type: ignore[misc]  # its wrapper has every method of a binary file
                part.flush()
                whole.chmod(file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_umask())
                whole.replace(file)
            except BaseException:
                whole.unlink(missing_ok=True)
                raise
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be written: {exc.strerror}") from exc


def _where_it_leads(file: Path) -> Path:
    """Return what a link leads to; else the file itself."""
    try:
        return file.resolve()
    except (OSError, RuntimeError) as exc:  # Python says the latter of links that lead to themselves
        raise click.ClickException(f"{file} cannot be written: {exc}") from exc


def _umask() -> int:
    """Return what is asked not to be allowed of new files; it can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
