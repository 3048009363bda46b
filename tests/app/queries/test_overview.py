"""One look at everything, over a database."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cli.settings import Settings
from snapshots.app.queries.overview import Overview
from snapshots.app.queries.session_queries import Dimension
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.composition.wiring import Container
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.snapshot import Method
from tests.strategies import DAY, HOME, NOON, OTHER, snapshot

HOUR = timedelta(hours=1)


def overview_of(tmp_path: Path, *moments: datetime, top: int = 9) -> Overview:
    """Return the overview of sessions of one network, but for the first, which is of another."""
    container = Container(settings=Settings.of(db=f"sqlite:///{tmp_path}/test.db"))
    sessions = [
        SessionAggregate.sighted(f"s{n}", (HOME if n else OTHER).text, at)
        .summary()
        .judged(snapshot(asn=1 + (n > 0), country="DE"))
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

    assert (made.report.coverage.sessions.total, made.period, made.timeline) == (0, None, [])
    assert (made.countries, made.networks, made.types, made.campaigns) == ([], [], [], [])


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
    """The last event counts into it, and both periods end where the next begins."""
    made = overview_of(tmp_path, NOON, NOON + 20 * DAY, NOON + 25 * DAY, NOON + 30 * DAY)

    assert made.period is not None
    moment = timedelta(microseconds=1)
    assert (made.period.since, made.period.until) == (NOON + 23 * DAY + moment, NOON + 30 * DAY + moment)
    assert made.period.before == NOON + 16 * DAY + moment
    assert (made.period.sessions, made.period.sessions_before) == (2, 1)
    networks = made.period.changes[Dimension.ASN]
    assert [(each.value, each.sessions, each.before) for each in networks.grown] == [("2", 2, 1)]
    assert (networks.appeared, networks.disappeared, networks.fallen) == ([], [], [])


def test_a_time_of_less_than_two_weeks_is_split_in_half(tmp_path: Path) -> None:
    """So that there are two periods to compare."""
    made = overview_of(tmp_path, NOON, NOON + HOUR, NOON + 3 * HOUR, NOON + 4 * HOUR)

    assert made.period is not None
    networks = made.period.changes[Dimension.ASN]
    assert [(each.value, each.sessions, each.before) for each in networks.grown] == [("2", 2, 1)]
    assert [(each.value, each.sessions, each.before) for each in networks.disappeared] == [("1", 0, 1)]


def test_a_time_of_less_than_two_hours_has_no_periods(tmp_path: Path) -> None:
    """Nothing is learned from a comparison of minutes."""
    assert overview_of(tmp_path, NOON, NOON + HOUR).period is None


def test_a_network_has_its_types_countries_and_course(tmp_path: Path) -> None:
    """Each adds up to its sessions, also with a limit on the number of networks."""
    made = overview_of(tmp_path, NOON, NOON, NOON + DAY, NOON + 8 * DAY, top=1)

    (network,) = made.networks
    assert (network.group.values, network.group.sessions, network.group.addresses) == (("2",), 3, 1)
    assert sum(group.sessions for group in network.types) == 3
    assert network.countries == ["DE"]
    assert network.course == {f"{at:%Y-%m-%d}": 1 for at in (NOON, NOON + DAY, NOON + 8 * DAY)}


def test_countries_count_the_sessions_whose_country_is_inferred(tmp_path: Path) -> None:
    """The method is that of the country, not that of the whole snapshot."""
    made = overview_of(tmp_path, NOON, NOON + DAY)

    (country,) = made.countries
    assert (country.code, country.sessions, country.addresses) == ("DE", 2, 2)
    assert country.inferred == 2 * (snapshot().method is Method.INFERRED)


@given(st.sampled_from(TimeBucket), st.integers(0, 50_000).map(lambda days: NOON - 20_000 * DAY + days * DAY))
def test_spans_follow_one_another_without_a_hole(span: TimeBucket, at: datetime) -> None:
    """The next one begins where this one ends; a month is never passed over."""
    begins = at.replace(day=1) if span is TimeBucket.MONTH else at

    following = span.following(begins)

    assert begins < following <= begins + timedelta(days=31)
    if span is TimeBucket.MONTH:
        assert (following.day, (following - begins).days in {28, 29, 30, 31}) == (1, True)
