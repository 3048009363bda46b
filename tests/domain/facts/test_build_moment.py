"""When a build was made."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.facts.build_moment import end_of_day, is_whole_day, known_by, moment_in, moment_text
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.snapshot import Method
from tests.strategies import observed

seconds = st.integers(946_684_800, 4_102_444_800).map(lambda epoch: datetime.fromtimestamp(epoch, UTC))
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(days, st.timedeltas(timedelta(0), timedelta(days=1) - timedelta(microseconds=1)))
def test_a_list_with_a_bare_date_is_not_as_of_an_attack_of_that_day(day: date, into_day: timedelta) -> None:
    """It can have been made after the attack; from the next day on it is known."""
    listed = [observed("tor", end_of_day(day), types=frozenset({IpType.TOR}))]
    attack = datetime.combine(day, datetime.min.time(), UTC) + into_day

    on_that_day, on_the_next = (
        AsOfReader().read(listed, at=at).snapshot for at in (attack, attack + timedelta(days=1))
    )

    assert on_that_day is not None
    assert on_the_next is not None
    is_last_instant = attack == end_of_day(day)
    assert on_that_day.method is (Method.ASOF if is_last_instant else Method.INFERRED)
    assert on_the_next.method is Method.ASOF


@given(seconds)
def test_a_moment_is_read_from_its_text(at: datetime) -> None:
    """To the second; midnight has the text of its day, which means the end of it."""
    again = moment_in(moment_text(at))

    assert again == (end_of_day(at.date()) if at.time() == datetime.min.time() else at)


@given(days)
def test_a_bare_date_is_a_whole_day(day: date) -> None:
    """Its text is the date."""
    assert moment_in(day.isoformat()) == end_of_day(day)
    assert is_whole_day(end_of_day(day))
    assert moment_text(end_of_day(day)) == day.isoformat()


@given(days, st.integers(-2, 4), st.integers(0, 86_399).map(lambda s: timedelta(seconds=s)))
@example(date(2026, 10, 15), 0, timedelta(hours=12))
def test_a_build_that_exists_is_not_from_the_future_because_of_its_bare_date(
    day: date, ahead: int, into_day: timedelta
) -> None:
    """The list of today, in any time zone, was known when it was imported; a list of another year was not."""
    now = datetime.combine(day, datetime.min.time(), UTC) + into_day
    built_at = end_of_day(day + timedelta(days=ahead))

    assert known_by(built_at, now) == (now if ahead in {0, 1} else built_at)


@given(seconds, seconds)
def test_a_stated_moment_stays_as_it_is(built_at: datetime, now: datetime) -> None:
    """Also one in the future, which is refused later."""
    assert known_by(built_at, now) == built_at


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-15T12:02", datetime(2026, 10, 15, 12, 2, tzinfo=UTC)),
        ("2026-10-15 12:02:33", datetime(2026, 10, 15, 12, 2, 33, tzinfo=UTC)),
        ("2026-10-15T12:02:33Z", datetime(2026, 10, 15, 12, 2, 33, tzinfo=UTC)),
        ("2026-10-15T12:02+02:00", datetime(2026, 10, 15, 10, 2, tzinfo=UTC)),
        ("2026-10-15T12:02:33.9", datetime(2026, 10, 15, 12, 2, 33, tzinfo=UTC)),
        ("2026-10-15", end_of_day(date(2026, 10, 15))),
    ],
)
def test_a_moment_is_a_date_or_a_date_and_time(text: str, moment: datetime) -> None:
    """In UTC unless it names a zone."""
    assert moment_in(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12:02"])
def test_another_text_is_no_moment(text: str) -> None:
    """It is not guessed."""
    with pytest.raises(ValueError, match=r"nvalid|month"):
        moment_in(text)
