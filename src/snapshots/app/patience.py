"""Retry transactions that failed on a lock conflict or a lost connection, with bounded backoff."""

from collections.abc import Callable
from typing import TypeVar

from snapshots.app.errors import LockTimeout, StoreBusy, StoreGone

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a transaction is tried again that another process stood in the way of, such as in a deadlock."""

PAUSES_WHILE_GONE = (1.0, 2.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0)
"""The same while the server cannot be reached, such as while it restarts."""

REPORT_AFTER = 5.0
"""Seconds of waiting after which is said what is waited for."""


def ignore(_sentence: str) -> None:
    """Tell nobody."""


def patiently(act: Callable[[], T], rest: Callable[[float], None], tell: Callable[[str], None] = ignore) -> T:
    """
    Return what an act returns, tried again after ever longer pauses as long as that can help.

    Args:
        act: A transaction as a whole.
        rest: Waits for some seconds.
        tell: Is told once, in a sentence, what is waited for if that takes long.

    Raises:
        LockTimeout: Another process held a lock for too long; that was waited for already.
        StoreBusy: Others stood in the way to the last.
        StoreGone: The database could not be reached to the last.
    """
    pauses = {StoreBusy: iter(PAUSES), StoreGone: iter(PAUSES_WHILE_GONE)}
    waited, is_told = 0.0, False
    while True:
        try:
            return act()
        except LockTimeout:
            raise
        except (StoreBusy, StoreGone) as error:
            pause = next(pauses[type(error)], None)
            if pause is None:
                raise
            if waited >= REPORT_AFTER and not is_told:
                left = sum(PAUSES_WHILE_GONE) - waited
                tell(f"{error}; it is tried again for {left:,.0f} s")
                is_told = True
            rest(pause)
            waited += pause
