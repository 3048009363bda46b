"""A SQLite file: what this process may do with it, and how it is opened for reading only."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from snapshots.app.errors import StoreBusy, StoreUnavailable, StoreUnusable

ATTEMPTS, PAUSE = 5, 0.05
"""How often, and after how many seconds, a file is opened again whose last writer may just be closing it."""

UNLOCKED = "file read without locks"
"""Under which key `Connection.info` holds the state of a file that is read without locks."""


class FileState(NamedTuple):
    """What changes when somebody writes a file."""

    device: int
    inode: int
    size: int
    modified_ns: int
    log_size: int


def path_of(url: URL) -> Path | None:
    """Return the file that a URL names; None if it names another kind of database, or one in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).absolute()


def is_read_only(url: URL) -> bool:
    """Whether a URL names a SQLite file that is there, and that this process may not write."""
    path = path_of(url)
    if path is None or not os.path.exists(path):  # noqa: PTH110 - Path.exists raises in a folder that is closed
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def refuse_missing(url: URL) -> None:
    """
    Refuse to read a file that is not there: opening it would create it.

    Raises:
        StoreUnavailable: There is no such file, or its folder may not be entered.
    """
    path = path_of(url)
    try:
        if path is not None:
            path.stat()
    except FileNotFoundError as exc:
        raise StoreUnavailable(f"there is no database {url}; `snapshots load` makes it") from exc
    except OSError as exc:
        raise StoreUnavailable(f"the database {url} cannot be reached: {exc.strerror}") from exc


def refuse_read_only(url: URL) -> None:
    """
    Refuse to write a file that may only be read.

    Raises:
        StoreUnusable: The process lacks the right to write the file, or to create others beside it.
    """
    if is_read_only(url):
        raise StoreUnusable(f"this process may only read the database {url}{advice_on(url)}")


def advice_on(url: URL) -> str:
    """Return what may be wrong with the rights on a file or its folder, to be put behind an error; "" if nothing."""
    path = path_of(url)
    if path is None:
        return ""
    if not path.parent.is_dir():
        return f"; the folder {path.parent} does not exist"
    if not os.access(path.parent, os.W_OK):
        return f"; the folder {path.parent} cannot be written to"
    return f"; the file {path} cannot be written to" if path.exists() and not os.access(path, os.W_OK) else ""


def connect_read_only(url: URL, info: dict[Any, Any]) -> sqlite3.Connection:
    """
    Return a connection that reads what is committed, and writes and creates no file.

    While a writer has the file open, its log and the index of the log are read too, under SQLite's locks. Without a
    log or a journal the file holds everything, and is read without locks: each transaction is in `refusing_changes`.

    Args:
        url: Of the file, which exists.
        info: Of the connection; receives the state of the file if that is read without locks.

    Raises:
        StoreUnavailable: What is committed cannot be read by this process.
    """
    path = Path(str(url.database)).absolute()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _connected(path, info)
        except (StoreUnavailable, sqlite3.OperationalError) as error:
            if attempt == ATTEMPTS:
                raise _explained(path, error) from error
        time.sleep(PAUSE)
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


@contextmanager
def refusing_changes(url: URL, info: dict[Any, Any]) -> Iterator[None]:
    """
    Refuse what is read in the block of a file without locks, if somebody writes it meanwhile.

    Raises:
        StoreBusy: A writer opened the file; the same call sees its changes.
    """
    try:
        yield
    except SQLAlchemyError:
        _refuse_changed(url, info)  # a file that is half old and half new seems to be damaged
        raise
    _refuse_changed(url, info)


def _refuse_changed(url: URL, info: dict[Any, Any]) -> None:
    state, path = info.get(UNLOCKED), path_of(url)
    if state is not None and path is not None and _state_of(path) != state:
        raise StoreBusy(f"another process wrote {path} while it was read: run the command again")


def _connected(path: Path, info: dict[Any, Any]) -> sqlite3.Connection:
    # The file itself must not be opened here but by SQLite: closing it would end all locks that this process has on it.
    info.pop(UNLOCKED, None)
    log, index = _beside(path, "-wal"), _beside(path, "-shm")
    mode = "mode=ro&readonly_shm=1"  # else SQLite makes an index that the owner of the database cannot write
    if not (log.exists() and index.exists()) and not _beside(path, "-journal").exists():
        state = _state_of(path)
        if state.log_size:
            raise StoreUnavailable(
                f"{log} holds changes that cannot be read without write permission because {index.name} is missing:"
                " run any command once as the owner of the database, such as `snapshots runs`"
            )
        info[UNLOCKED] = state
        mode = "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, check_same_thread=False)
    try:
        connection.execute("PRAGMA schema_version").fetchone()  # opens the log
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _explained(path: Path, error: StoreUnavailable | sqlite3.OperationalError) -> StoreUnavailable | sqlite3.Error:
    """Return an error that names the file that keeps the database from being read, if there is one."""
    for file in (path, _beside(path, "-wal"), _beside(path, "-shm")):
        if file.exists() and not os.access(file, os.R_OK):
            return StoreUnavailable(
                f"{file} cannot be read: grant read permission on {path.name}, {path.name}-wal and {path.name}-shm"
            )
    return error


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _state_of(path: Path) -> FileState:
    log_size = 0
    with suppress(OSError):
        log_size = _beside(path, "-wal").stat().st_size
    try:
        found = path.stat()
    except OSError as exc:
        raise StoreUnavailable(f"{path} cannot be read: {exc.strerror}") from exc
    return FileState(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, log_size)
