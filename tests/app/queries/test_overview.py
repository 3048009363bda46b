"""One look at everything, over a database."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cli.settings import Settings
from snapshots.app.queries.overview import Overview
from snapshots.app.queries.session_queries import TimeBucket
from snapshots.composition.wiring import Container
from snapshots.domain.session.session import SessionAggregate
from tests.strategies import DAY, HOME, NOON, OTHER, snapshot

HOUR = timedelta(hours=1)


def overview_of(tmp_path: Path, *moments: datetime, top: int = 9) -> Overview:
    """Return the overview of sessions of one network, but for the first, which is of another."""
    container = Container(settings=Settings.of(db=f"sqlite:///{tmp_path}/test.db"))
    sessions = [
        SessionAggregate.sighted(f"s{n}", (HOME if n else OTHER).text, at).summary().judged(snapshot(asn=1 + (n > 0)))
        for n, at in enumerate(moments)
    ]
    with container.database().transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
        stores.sessions.save(sessions, run="r", saved_at=NOON)
    made = container.overview().overview(top=top)
    container.database().close()
    return made


def test_an_empty_database_has_an_empty_overview(tmp_path: Path) -> None:
    """It is not an error."""
    made = overview_of(tmp_path)

    assert (made.report.coverage.sessions.total, made.period, made.changed, made.timeline) == (0, None, (), [])


@pytest.mark.parametrize(
    ("length", "span"),
    [
        (2 * DAY, TimeBucket.HOUR),
        (4 * DAY, TimeBucket.DAY),
        (200 * DAY, TimeBucket.WEEK),
        (1200 * DAY, TimeBucket.MONTH),
    ],
)
def test_the_span_of_the_timeline_fits_its_length(tmp_path: Path, length: timedelta, span: TimeBucket) -> None:
    """Never thousands of bars, never one."""
    made = overview_of(tmp_path, NOON - length, NOON)

    assert made.span is span
    assert sum(group.sessions for group in made.timeline) == 2


def test_the_newest_week_is_compared_with_the_one_before(tmp_path: Path) -> None:
    """The last event counts into it."""
    made = overview_of(tmp_path, NOON, NOON + 20 * DAY, NOON + 25 * DAY, NOON + 30 * DAY)

    assert made.period == (NOON + 23 * DAY + timedelta(microseconds=1), NOON + 30 * DAY + timedelta(microseconds=1))
    assert [(group.values, group.sessions, group.before) for group in made.changed] == [(("2",), 2, 1)]


def test_a_period_of_less_than_two_weeks_is_split_in_half(tmp_path: Path) -> None:
    """So that there are two periods to compare."""
    made = overview_of(tmp_path, NOON, NOON + HOUR, NOON + 3 * HOUR, NOON + 4 * HOUR)

    assert [(group.values, group.sessions, group.before) for group in made.changed] == [(("2",), 2, 1), (("1",), 0, 1)]


@given(st.sampled_from(TimeBucket), st.integers(0, 50_000).map(lambda days: NOON - 20_000 * DAY + days * DAY))
def test_spans_follow_one_another_without_a_hole(span: TimeBucket, at: datetime) -> None:
    """The next one begins where this one ends; a month is never passed over."""
    begins = at.replace(day=1) if span is TimeBucket.MONTH else at

    following = span.following(begins)

    assert begins < following <= begins + timedelta(days=31)
    if span is TimeBucket.MONTH:
        assert (following.day, (following - begins).days in {28, 29, 30, 31}) == (1, True)
