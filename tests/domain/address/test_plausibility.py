"""Which times of events are plausible."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.address.plausibility import PlausibleTimes

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "is_plausible"),
    [
        (datetime.min.replace(tzinfo=UTC), False),
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(2000, 1, 1, tzinfo=UTC) - TICK, False),
        (datetime(2000, 1, 1, tzinfo=UTC), True),
        (NOW, True),
        (NOW + timedelta(days=1), True),
        (NOW + timedelta(days=1) + TICK, False),
        (datetime.max.replace(tzinfo=UTC), False),
    ],
)
def test_plausible_is_from_2000_to_a_day_ahead(at: datetime, *, is_plausible: bool) -> None:
    """A clock may show local time, or have lost its battery."""
    assert (at in PlausibleTimes.seen_from(NOW)) is is_plausible


@given(st.integers(0, 36_500), st.integers(0, 86_400))
def test_any_past_time_is_plausible(days: int, seconds: int) -> None:
    """And it is still plausible an hour later."""
    at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=days)
    now = at + timedelta(seconds=seconds)

    assert at in PlausibleTimes.seen_from(now)
    assert at in PlausibleTimes.seen_from(now + timedelta(hours=1))
