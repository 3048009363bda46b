"""Event times as whole microseconds since 1970, which are exact where seconds as a float are not."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds_of(at: datetime) -> int:
    """Return the microseconds from 1970 to an aware time; negative for an earlier one."""
    return (at - EPOCH) // MICROSECOND


def time_of(microseconds: int) -> datetime:
    """
    Return the time in UTC that `microseconds_of` converted.

    Raises:
        OverflowError: The time is before the year 1 or after 9999.
    """
    return EPOCH + microseconds * MICROSECOND
