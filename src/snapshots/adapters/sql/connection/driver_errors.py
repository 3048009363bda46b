"""Classify driver errors: lock conflict, lock timeout, missing permission, full disk, or unreachable server."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from snapshots.adapters.sql.connection.lock_waits import is_locked

LOCK_NOT_AVAILABLE = "55P03"
PASSING = frozenset({"40P01", "40001"})
"""SQLSTATEs of PostgreSQL for a deadlock and a serialization failure."""


def is_busy(error: BaseException | None) -> bool:
    """Whether the error is a transient conflict with another transaction, so that a retry can succeed."""
    return getattr(error, "sqlstate", None) in PASSING


def is_lock_timeout(error: BaseException | None) -> bool:
    """Whether the error is a lock timeout."""
    return getattr(error, "sqlstate", None) == LOCK_NOT_AVAILABLE or is_locked(error)


CANCELLED = "57014"


def is_timeout(error: BaseException | None) -> bool:
    """Whether a query was ended because it took too long."""
    return getattr(error, "sqlstate", None) == CANCELLED or _sqlite_error(error) == "INTERRUPT"


UNUSABLE = frozenset({"42501", "25006", "58030"})
"""SQLSTATEs of PostgreSQL for a missing permission, a read-only server, and a failing disk."""

UNUSABLE_FILE = ("READONLY", "PERM", "AUTH", "CANTOPEN", "IOERR", "NOTADB")
"""Prefixes of SQLite's error names, without SQLITE_, with the same meaning for a file."""

DISK_FULL = "53100"


def is_unusable(error: BaseException | None) -> bool:
    """Whether the error affects every statement of this process, and not only some rows."""
    return getattr(error, "sqlstate", None) in UNUSABLE or _sqlite_error(error).startswith(UNUSABLE_FILE)


def is_disk_full(error: BaseException | None, folder: Path | None) -> bool:
    """
    Whether the error means that no disk space is left.

    Args:
        error: The error of the driver.
        folder: The folder of the SQLite file: SQLite reports a full disk as an I/O error for its small files.
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
"""Prefixes of the SQLSTATEs of PostgreSQL for shutdown, startup and lost connections."""


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
"""Parts of messages about a server that may accept connections later; failed connections have no SQLSTATE."""


def is_gone(error: BaseException | None, *, was_reached: bool) -> bool:
    """
    Whether the error means that the server is temporarily unreachable.

    Args:
        error: The error of the driver.
        was_reached: Whether this process was connected before: then host, role and database are valid, and every
            connection error counts as temporary.
    """
    if isinstance(error, sqlite3.Error) or not isinstance(error, Exception):
        return False
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return bool(state.startswith(GONE)) or state == TOO_MANY_CONNECTIONS
    if type(error).__name__ != "OperationalError":
        return False
    return was_reached or any(words in str(error).lower() for words in MAY_COME)
