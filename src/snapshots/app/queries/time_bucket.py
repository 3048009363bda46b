"""Intervals of time into which sessions are grouped."""

from datetime import datetime, timedelta
from enum import Enum


class TimeBucket(Enum):
    """Length of the time intervals into which sessions are grouped, in UTC; weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def following(self, begins: datetime) -> datetime:
        """Return the start of the interval after the one that starts at *begins*."""
        if self is TimeBucket.MONTH:
            return (begins.replace(day=1) + timedelta(days=32)).replace(day=1)
        hours = {TimeBucket.HOUR: 1, TimeBucket.DAY: 24, TimeBucket.WEEK: 7 * 24}[self]
        return begins + timedelta(hours=hours)
