"""What a database driver's error means: a lock, a conflict, a missing right, a full disk, or a server out of reach."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from snapshots.adapters.sql.lock_waits import is_locked

LOCK_NOT_AVAILABLE = "55P03"
PASSING = frozenset({"40P01", "40001"})
"""What PostgreSQL says of a deadlock, and of a serialization failure."""


def is_busy(error: BaseException | None) -> bool:
    """Whether a driver's error means that another process stood in the way, and may not when it is tried again."""
    return getattr(error, "sqlstate", None) in PASSING


def is_lock_timeout(error: BaseException | None) -> bool:
    """Whether a driver's error means that another process held a lock for longer than is waited for."""
    return getattr(error, "sqlstate", None) == LOCK_NOT_AVAILABLE or is_locked(error)


UNUSABLE = frozenset({"42501", "25006", "58030"})
"""What PostgreSQL says where a right is missing, of a server that is for reading only, and of a disk that fails."""

UNUSABLE_FILE = ("READONLY", "PERM", "AUTH", "CANTOPEN", "IOERR", "NOTADB")
"""How the names of SQLite's errors begin, without their prefix, that mean the same of a file."""

DISK_FULL = "53100"


def is_unusable(error: BaseException | None) -> bool:
    """Whether a driver's error means that whatever this process asks for fails, and not only for some rows."""
    return getattr(error, "sqlstate", None) in UNUSABLE or _sqlite_error(error).startswith(UNUSABLE_FILE)


def is_disk_full(error: BaseException | None, folder: Path | None) -> bool:
    """
    Whether a driver's error means that there is no space left.

    Args:
        error: The driver's.
        folder: Of the SQLite file: for its small files SQLite calls a full disk an I/O error.
    """
    kind = _sqlite_error(error)
    if kind.startswith("IOERR") and folder is not None:
        with suppress(OSError):
            return os.statvfs(folder).f_bavail == 0
    return getattr(error, "sqlstate", None) == DISK_FULL or kind == "FULL"


def _sqlite_error(error: BaseException | None) -> str:
    """Return the name of SQLite's error without its prefix; "" if it is none."""
    return str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_")


TOO_MANY_CONNECTIONS = "53300"
GONE = ("57P", "08")
"""How the states begin that PostgreSQL gives when it shuts down, starts up, or lost a connection."""


MAY_COME = (
    "refused",
    "no such file",
    "timeout",
    "timed out",
    "unreachable",
    "no route",
    "closed the connection",
    "starting up",
    "shutting down",
    "recovery",
    "not yet accepting",
    "too many",
    "reserved",
)
"""What is said of a server that may accept connections later. Of a connection that fails there is no SQLSTATE."""


def is_gone(error: BaseException | None, *, was_reached: bool) -> bool:
    """
    Whether a driver's error means that the server cannot be reached at present, and may be later.

    Args:
        error: The driver's.
        was_reached: Whether this process had a connection before: then host, role and database are right, and whatever
            the server says of a new one may pass.
    """
    if isinstance(error, sqlite3.Error) or not isinstance(error, Exception):
        return False
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return bool(state.startswith(GONE)) or state == TOO_MANY_CONNECTIONS
    if type(error).__name__ != "OperationalError":
        return False
    return was_reached or any(words in str(error).lower() for words in MAY_COME)
