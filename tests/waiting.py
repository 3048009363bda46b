"""Wait in tests for a fact, such as a row or a line of a log, instead of for some time."""

import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def wait_until(fact: Callable[[], bool], *, seconds: float = 60) -> None:
    """Return as soon as *fact* is true; fail if it is still false after *seconds*."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not fact():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        pause.wait(POLL_SECONDS)
