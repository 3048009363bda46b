"""Which times of events are plausible: clocks of honeypots go wrong, and attackers can write into logs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Cowrie and its ancestors are younger; a clock without a battery starts in 1970."""

AHEAD = timedelta(days=1)
"""How far a clock may be ahead, such as one that shows local time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlausibleTimes:
    """
    The times that events may have, both ends included.

    Attributes:
        earliest: The first.
        latest: The last.
    """

    earliest: datetime
    latest: datetime

    @classmethod
    def seen_from(cls, now: datetime) -> Self:
        """Return the plausible times at a moment: from the year 2000 to a day ahead."""
        return cls(earliest=EARLIEST, latest=now + AHEAD)

    def __contains__(self, at: datetime) -> bool:
        return self.earliest <= at <= self.latest
