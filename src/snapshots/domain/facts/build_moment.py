"""When a build was made: a moment in seconds, or a day of which the moment is unknown."""

from datetime import UTC, date, datetime, time, timedelta

END_OF_DAY = time.max
"""The time of builds of which only the day is known; no build with a known moment has its microseconds."""


def end_of_day(day: date) -> datetime:
    """
    Return the moment of a build of which only the day is known: the end of the day, in UTC.

    A list that was made during a day was not known in the morning, so it is not as of the attacks of that day.
    """
    return datetime.combine(day, END_OF_DAY, UTC)


def is_whole_day(built_at: datetime) -> bool:
    """Whether only the day of a build is known."""
    return built_at.time() == END_OF_DAY


def known_by(built_at: datetime, now: datetime) -> datetime:
    """
    Return the moment of a build that exists at *now*.

    A build of today, or of tomorrow in a time zone ahead of UTC, of which only the day is known is not from later than
    now.
    """
    is_today = now < built_at <= end_of_day(now.date() + timedelta(days=1))
    return now.replace(microsecond=0) if is_whole_day(built_at) and is_today else built_at


def moment_text(built_at: datetime) -> str:
    """
    Return a day, such as "2026-10-15", or a moment to the minute or second, such as "2026-10-15T12:02".

    A build at midnight has the text of its day: older versions stored builds of which only the day is known so.
    """
    if is_whole_day(built_at) or built_at.time() == time.min:
        return built_at.date().isoformat()
    at = built_at.replace(microsecond=0, tzinfo=None)
    return at.isoformat(timespec="seconds" if at.second else "minutes")


def moment_in(text: str) -> datetime:
    """
    Return the moment of a build in a text in ISO 8601; a date without a time is a whole day.

    A time without a zone is in UTC.

    Raises:
        ValueError: The text is not a date or a time.
        OverflowError: The time is not representable in UTC.
    """
    try:
        return end_of_day(date.fromisoformat(text))
    except ValueError:
        moment = datetime.fromisoformat(text).replace(microsecond=0)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
