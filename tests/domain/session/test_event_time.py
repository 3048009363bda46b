"""Event times as microseconds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.session.event_time import microseconds_of, time_of


@given(at=st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_restored_to_the_microsecond(at: datetime) -> None:
    """From the year 1 to 9999."""
    assert time_of(microseconds_of(at)) == at


@pytest.mark.parametrize(
    ("at", "microseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(2026, 11, 2, 12, tzinfo=timezone(timedelta(hours=2))), 1_793_613_600_000_000),
    ],
)
def test_microseconds_are_counted_from_1970_in_utc(at: datetime, microseconds: int) -> None:
    """Earlier times are negative, and the zone of a time is converted."""
    assert microseconds_of(at) == microseconds


def test_a_time_after_the_year_9999_cannot_be_restored() -> None:
    """Such a number is not one that was converted."""
    with pytest.raises(OverflowError):
        time_of(2**62)
