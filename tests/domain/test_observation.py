"""What sources said, and how runs of equal builds grow."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.errors import InvalidFact
from snapshots.domain.observation import IpFacts, IpObservation, SourceBuild, extended
from tests.strategies import DAY, HOME, NOON, observed


def build(at: datetime) -> SourceBuild:
    return SourceBuild(name="a", built_at=at, licence="MIT", sha256="00", origin="bundled")


def test_a_newer_build_that_says_the_same_confirms() -> None:
    """A run of equal builds is one row."""
    held = observed("a", NOON, asn=1)

    assert extended([held], HOME, held.facts, build=build(NOON + DAY)) == observed("a", NOON, asn=1, until=NOON + DAY)


def test_a_newer_build_that_says_otherwise_begins_a_new_run() -> None:
    """The network moved."""
    said = extended([observed("a", NOON, asn=1)], HOME, IpFacts(asn=2), build=build(NOON + DAY))

    assert said == observed("a", NOON + DAY, asn=2)


def test_an_older_build_adds_what_it_says() -> None:
    """Tables may come in any order of dates."""
    said = extended([observed("a", NOON, asn=1)], HOME, IpFacts(asn=1), build=build(NOON - DAY))

    assert said == observed("a", NOON - DAY, asn=1)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1, 2])), unique_by=lambda pair: pair[0]))
def test_builds_read_in_order_of_date_are_remembered_exactly(builds: list[tuple[int, int]]) -> None:
    """Whatever the runs, each build's answer can be read back."""
    history: list[IpObservation] = []
    for day, asn in sorted(builds):
        newest = extended(history, HOME, IpFacts(asn=asn), build=build(NOON + day * DAY))
        history = [*(o for o in history if not o.is_same_run_as(newest)), newest]

    assert {day: [o.facts.asn for o in history if o.covers(NOON + day * DAY)] for day, _ in builds} == {
        day: [asn] for day, asn in builds
    }


def test_a_build_is_named_by_source_and_day() -> None:
    """So that a snapshot's provenance can be read."""
    assert build(datetime(2026, 9, 1, 7, tzinfo=UTC)).label == "a@2026-09-01"


def test_a_build_has_its_date_in_utc() -> None:
    """A date in another zone would compare wrongly as text."""
    with pytest.raises(InvalidFact):
        build(datetime(2026, 9, 1, tzinfo=timezone(timedelta(hours=2))))


@pytest.mark.parametrize(
    "wrong", [{"asn": 0}, {"asn": 2**32}, {"country": "XX"}, {"country": "de"}, {"country": "DEU"}]
)
def test_what_is_no_fact_cannot_be_stated(wrong: dict[str, object]) -> None:
    """No sentinel fills a fact."""
    with pytest.raises(InvalidFact):
        IpFacts(**wrong)  # type: ignore[arg-type]  # that is the point
