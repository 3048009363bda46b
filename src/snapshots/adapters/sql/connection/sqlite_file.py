"""Check permissions of a SQLite file, and open it read-only."""

import os
import sqlite3
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from snapshots.app.errors import StoreBusy, StoreUnavailable, StoreUnusable

ATTEMPTS, PAUSE = 5, 0.05
"""Attempts to open a file, and the seconds between them: its last writer may be closing it."""

SPANS_FILES: set[Path] = set()
"""The files of staged verdicts that this process used: only a command that did may delete one."""

EMPTY_FILE_BYTES = 4096
"""Size of a SQLite file without tables: one page."""

UNLOCKED = "file read without locks"
"""Key in `Connection.info` of the state of a file that is read without locks."""


class FileState(NamedTuple):
    """File attributes that change on every write."""

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


def spans_file(url: URL) -> Path | None:
    """Return the file next to a SQLite database in which a backfill stages verdicts; None for one in memory."""
    path = path_of(url)
    return path.with_name(f"{path.name}-spans") if path is not None else None


def delete_empty_spans_file(url: URL) -> None:
    """
    Delete the file of staged verdicts if this process used it and no run does, so that none is left.

    While another process writes to the database the file stays: it may have opened the file to create its table.
    """
    path, database = spans_file(url), path_of(url)
    if path is None or path not in SPANS_FILES:
        return
    with (
        suppress(OSError, sqlite3.Error),
        closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=0)) as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        if path.stat().st_size <= EMPTY_FILE_BYTES:
            path.unlink()


def identities_of(url: URL) -> AbstractSet[tuple[int, int]]:
    """Return the device and inode of each file of a SQLite database that exists at present."""
    path = path_of(url)
    found = set()
    for end in ("", "-wal", "-shm", "-journal", "-spans") if path is not None else ():
        with suppress(OSError):
            status = os.stat(f"{path}{end}")  # noqa: PTH116 - the end belongs to the name
            found.add((status.st_dev, status.st_ino))
    return found


def is_read_only(url: URL) -> bool:
    """Whether a URL names an existing SQLite file without write permission."""
    path = path_of(url)
    if path is None or not os.path.exists(path):  # noqa: PTH110 - Path.exists raises without access to the folder
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def refuse_missing(url: URL) -> None:
    """
    Refuse to read a missing file: opening it would create it.

    Raises:
        StoreUnavailable: There is no such file, or no access to its folder.
    """
    path = path_of(url)
    try:
        if path is not None:
            path.stat()
    except FileNotFoundError as exc:
        raise StoreUnavailable(f"there is no database {url}; `snapshots load` creates it") from exc
    except OSError as exc:
        raise StoreUnavailable(f"the database {url} cannot be reached: {exc.strerror}") from exc


def refuse_read_only(url: URL) -> None:
    """
    Refuse to write a file without write permission.

    Raises:
        StoreUnusable: The process cannot write the file, or cannot create files in its folder.
    """
    if is_read_only(url):
        raise StoreUnusable(f"this process cannot write to the database {url}{advice_on(url)}")


def advice_on(url: URL) -> str:
    """Return a suffix for error messages about permissions of the file or its folder; "" if they suffice."""
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
    Return a connection that reads committed data, and neither writes nor creates a file.

    If the WAL file and its index exist, they are read too, under SQLite's locks. Without a WAL file or a journal the
    database file is complete, and is read without locks: run each transaction in `refusing_changes`.

    Args:
        url: The URL of an existing file.
        info: `Connection.info`; receives the state of the file if it is read without locks.

    Raises:
        StoreUnavailable: This process cannot read all committed data.
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
    Raise if a file that is read without locks changes while the block runs.

    Raises:
        StoreBusy: A writer opened the file; a retry sees its changes.
    """
    try:
        yield
    except SQLAlchemyError:
        _refuse_changed(url, info)  # a partly rewritten file looks damaged
        raise
    _refuse_changed(url, info)


def is_outdated(url: URL, info: dict[Any, Any]) -> bool:
    """Whether a connection reads a file without locks that was changed since it was opened."""
    state, path = info.get(UNLOCKED), path_of(url)
    return state is not None and path is not None and _state_of(path) != state


def _refuse_changed(url: URL, info: dict[Any, Any]) -> None:
    if is_outdated(url, info):
        raise StoreBusy(f"another process wrote {path_of(url)} while it was read: run the command again")


def _connected(path: Path, info: dict[Any, Any]) -> sqlite3.Connection:
    # Only SQLite may open the file itself: closing it would release all POSIX locks of this process on it.
    info.pop(UNLOCKED, None)
    log, index = _sidecar_files(path, "-wal"), _sidecar_files(path, "-shm")
    mode = "mode=ro&readonly_shm=1"  # otherwise SQLite creates an index that the owner of the database cannot write
    if not (log.exists() and index.exists()) and not _sidecar_files(path, "-journal").exists():
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
        connection.execute("PRAGMA schema_version").fetchone()  # opens the WAL file
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _explained(path: Path, error: StoreUnavailable | sqlite3.OperationalError) -> StoreUnavailable | sqlite3.Error:
    """Return an error that names the unreadable file, or *error* if there is none."""
    for file in (path, _sidecar_files(path, "-wal"), _sidecar_files(path, "-shm")):
        if file.exists() and not os.access(file, os.R_OK):
            return StoreUnavailable(
                f"{file} cannot be read: grant read permission on {path.name}, {path.name}-wal and {path.name}-shm"
            )
    return error


def _sidecar_files(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _state_of(path: Path) -> FileState:
    log_size = 0
    with suppress(OSError):
        log_size = _sidecar_files(path, "-wal").stat().st_size
    try:
        found = path.stat()
    except OSError as exc:
        raise StoreUnavailable(f"{path} cannot be read: {exc.strerror}") from exc
    return FileState(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, log_size)
