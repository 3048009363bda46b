"""What use cases need of the machine: time, waiting and names for runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """
    Time, waiting and run names in one value, so that a test replaces all of them at once.

    Attributes:
        clock: Provides the time of stored rows.
        stopwatch: Returns seconds from an arbitrary start, for durations and rates.
        sleep: Blocks for a number of seconds.
        new_run: Returns a run name that was never used before.
    """

    clock: Clock
    stopwatch: Callable[[], float]
    sleep: Callable[[float], None]
    new_run: Callable[[], str]

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return self.clock.now()
