"""Plausible times of events: clocks of honeypots can be wrong, and attackers can write into logs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Cowrie and its predecessors are newer, and a clock without a battery starts in 1970."""

AHEAD = timedelta(days=1)
"""Maximum clock error into the future; a clock set to local time is less than a day ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlausibleTimes:
    """
    A closed range of plausible times.

    Attributes:
        earliest: The first plausible time, in UTC.
        latest: The last plausible time, in UTC.
    """

    earliest: datetime
    latest: datetime

    @classmethod
    def seen_from(cls, now: datetime) -> Self:
        """Return the plausible times at *now*: from the year 2000 to one day later."""
        return cls(earliest=EARLIEST, latest=now + AHEAD)

    def __contains__(self, at: datetime) -> bool:
        return self.earliest <= at <= self.latest
