"""The only place that reads the clock or asks for randomness."""

import time
from datetime import UTC, datetime
from secrets import token_hex


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)


def stopwatch() -> float:
    """Return seconds from an arbitrary start."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def new_run() -> str:
    """Return a name for a run that no other run has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(3)}"
