"""Times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.filters.times import WEEKDAYS, TimeBefore, time_before

NOW = datetime(2026, 3, 31, 15, 30, 5, 7, tzinfo=UTC)
"""A Tuesday."""

MOMENTS = st.integers(0, 10**11).map(lambda milliseconds: NOW - timedelta(milliseconds=milliseconds))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-03-31T15:30:05.000007"),
        ("today", "2026-03-31T00:00"),
        ("Yesterday", "2026-03-30T00:00"),
        ("monday", "2026-03-30T00:00"),
        ("TUE", "2026-03-31T00:00"),
        ("wednesday", "2026-03-25T00:00"),
        ("30m", "2026-03-31T15:00:05.000007"),
        ("45 minutes ago", "2026-03-31T14:45:05.000007"),
        ("12h", "2026-03-31T03:30:05.000007"),
        ("7d", "2026-03-24T15:30:05.000007"),
        ("2 weeks", "2026-03-17T15:30:05.000007"),
        ("1mo", "2026-02-28T15:30:05.000007"),
        ("13 months", "2025-02-28T15:30:05.000007"),
        ("1y", "2025-03-31T15:30:05.000007"),
        ("2026-02", "2026-02-01T00:00"),
        ("2026-02-03", "2026-02-03T00:00"),
        ("2026-02-03 04:05", "2026-02-03T04:05"),
        ("2026-02-03T04:05:06+02:00", "2026-02-03T02:05:06"),
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06"),
    ],
)
def test_times_are_understood_as_people_write_them(text: str, expected: str) -> None:
    """In UTC; days begin at midnight, and a weekday is the last one, today included."""
    assert time_before(text).at(NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "7", "d", "7x", "-7d", "2026-13", "2026-02-30", "9999999y", "7d 3h", "7.5d"]
)
def test_another_text_is_refused_with_examples(text: str) -> None:
    """The message shows what to write instead."""
    with pytest.raises(InvalidQuery, match=r"is not a time \(use a date or time in UTC, such as 2026-03-01"):
        time_before(text)


@given(st.sampled_from(WEEKDAYS), MOMENTS)
def test_a_weekday_is_at_most_six_days_ago(day: str, now: datetime) -> None:
    """And falls on that day."""
    found = TimeBefore(day).at(now)

    assert found.weekday() == WEEKDAYS.index(day)
    assert timedelta(0) <= now - found < timedelta(days=7)


@given(st.integers(0, 1000), MOMENTS)
def test_months_go_back_by_the_calendar(count: int, now: datetime) -> None:
    """To the same day, or to the last day of a shorter month."""
    found = TimeBefore(f"{count}mo").at(now)

    assert (now.year * 12 + now.month) - (found.year * 12 + found.month) == count
    assert found.timetz() == now.timetz()
    assert found.day == now.day or (found.day < now.day and (found + timedelta(days=1)).day == 1)
