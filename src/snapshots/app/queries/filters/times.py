"""Times as people write them: dates, times, weekdays and durations before now."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from snapshots.app.errors import InvalidQuery

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNITS = {
    **dict.fromkeys(("m", "min", "minute"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hour"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day"), timedelta(days=1)),
    **dict.fromkeys(("w", "week"), timedelta(weeks=1)),
}
MONTHS = {**dict.fromkeys(("mo", "month"), 1), **dict.fromkeys(("y", "year"), 12)}
DURATION = re.compile(r"(\d{1,9})\s*([a-z]+?)s?(?:\s+ago)?")
MONTH = re.compile(r"\d{4}-\d{2}")
EXPECTED = (
    "a time (use a date or time in UTC, such as 2026-03-01 or 2026-03-01T12:00; yesterday; monday; or 7d, 30m, 1y)"
)


@dataclass(frozen=True, slots=True)
class TimeBefore:
    """
    A time that depends on the current time.

    Attributes:
        text: How the user wrote it.
    """

    text: str

    def at(self, now: datetime) -> datetime:
        """
        Return the time in UTC.

        Raises:
            ValueError: The text is not a time.
            OverflowError: It is before the year 1.
        """
        text = " ".join(self.text.lower().split())
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if text in {"now", "today", "yesterday"}:
            return {"now": now, "today": today, "yesterday": today - timedelta(days=1)}[text]
        days = [day for day in WEEKDAYS if text in {day, day[:3]}]
        if days:
            return today - timedelta(days=(today.weekday() - WEEKDAYS.index(days[0])) % 7)
        if MONTH.fullmatch(text):
            return datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
        if found := DURATION.fullmatch(text):
            return _before(now.astimezone(UTC), int(found[1]), found[2])
        moment = datetime.fromisoformat(self.text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _before(now: datetime, count: int, unit: str) -> datetime:
    """Return the time *count* units before *now*; a month before the 31st is the last day of a shorter month."""
    if unit in UNITS:
        return now - count * UNITS[unit]
    if unit not in MONTHS:
        raise ValueError(unit)
    year, month = divmod(now.year * 12 + now.month - 1 - count * MONTHS[unit], 12)
    if year < 1:
        raise OverflowError
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))


def time_before(text: str) -> TimeBefore:
    """
    Return a time as people write it, after a check of its form.

    Raises:
        InvalidQuery: The text is not a time.
    """
    time = TimeBefore(text)
    try:
        time.at(datetime(9000, 1, 1, tzinfo=UTC))
    except (ValueError, OverflowError) as exc:
        raise InvalidQuery(f"{text[:40]!r} is not {EXPECTED}") from exc
    return time
