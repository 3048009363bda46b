"""Read the system clock and the random number generator; no other module does."""

import time
from datetime import UTC, datetime
from secrets import token_hex


class SystemClock:
    """The system clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


def stopwatch() -> float:
    """Return seconds from an arbitrary start."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Sleep for some seconds."""
    time.sleep(seconds)


def new_run() -> str:
    """Return a unique name for a run."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(3)}"
