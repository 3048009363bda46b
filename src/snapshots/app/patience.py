"""Try again what stands in another program's way, or cannot reach the database."""

from collections.abc import Callable
from typing import TypeVar

from snapshots.app.errors import StoreBusy, StoreGone

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a batch is tried again that was in another program's way, such as in a deadlock."""

PAUSES_WHILE_GONE = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0)
"""The same while the server cannot be reached, such as while it restarts."""


def patiently(act: Callable[[], T], rest: Callable[[float], None]) -> T:
    """
    Return what an act returns, tried again after ever longer pauses as long as that can help.

    Args:
        act: A transaction as a whole.
        rest: Waits for some seconds.

    Raises:
        StoreBusy: Others stood in the way to the last.
        StoreGone: The database could not be reached to the last.
    """
    pauses = {StoreBusy: iter(PAUSES), StoreGone: iter(PAUSES_WHILE_GONE)}
    while True:
        try:
            return act()
        except (StoreBusy, StoreGone) as error:
            pause = next(pauses[type(error)], None)
            if pause is None:
                raise
            rest(pause)
