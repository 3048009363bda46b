"""Retry transactions that failed on a lock conflict or a lost connection, with bounded backoff."""

from collections.abc import Callable
from typing import TypeVar

from snapshots.app.errors import LockTimeout, StoreBusy, StoreGone

T = TypeVar("T")

BUSY_BACKOFF = (0.2, 0.5, 1.0, 2.0)
"""Seconds before each retry after a conflict with another transaction, such as a deadlock."""

CONNECTION_BACKOFF = (1.0, 2.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0)
"""Seconds before each retry while the server cannot be reached, such as during a restart."""

LOCK_TIMEOUT_SECONDS = 600
"""Default time to wait for a lock of another process."""

REPORT_AFTER = 5.0
"""Seconds of waiting until the wait is reported."""


def ignore(_sentence: str) -> None:
    """Drop a message."""


def retry(act: Callable[[], T], sleep: Callable[[float], None], warn: Callable[[str], None] = ignore) -> T:
    """
    Call *act*, and retry it with bounded backoff after transient errors.

    Args:
        act: A complete transaction.
        sleep: Blocks for a number of seconds.
        warn: Called once, with one sentence, if retrying takes longer than `REPORT_AFTER`.

    Raises:
        LockTimeout: Another process held a lock for too long; not retried.
        StoreBusy: The last retry also met a conflict.
        StoreGone: The last retry could not reach the database either.
    """
    pauses = {StoreBusy: iter(BUSY_BACKOFF), StoreGone: iter(CONNECTION_BACKOFF)}
    waited, is_reported = 0.0, False
    while True:
        try:
            return act()
        except LockTimeout:
            raise
        except (StoreBusy, StoreGone) as error:
            pause = next(pauses[type(error)], None)
            if pause is None:
                raise
            if waited >= REPORT_AFTER and not is_reported:
                left = sum(CONNECTION_BACKOFF) - waited
                warn(f"{error}; retrying for up to {left:,.0f} s")
                is_reported = True
            sleep(pause)
            waited += pause
