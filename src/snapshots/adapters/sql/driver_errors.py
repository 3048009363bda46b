"""What a database driver's error means: a lock, a conflict, or a server that cannot be reached."""

import sqlite3

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
