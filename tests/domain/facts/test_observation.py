"""Observations, and how builds with equal facts extend them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.observation import IpFacts, SourceBuild, labels_of, without_times


def build(at: datetime) -> SourceBuild:
    return SourceBuild(name="a", built_at=at, licence="MIT", sha256="00", origin="bundled")


def test_a_build_is_named_by_source_and_moment() -> None:
    """So that a snapshot's provenance can be read, and the builds of one day are distinguished."""
    assert build(datetime(2026, 9, 1, 7, 2, tzinfo=UTC)).label == "a@2026-09-01T07:02"
    assert build(end_of_day(date(2026, 9, 1))).label == "a@2026-09-01"


def test_a_build_also_has_the_label_of_its_day() -> None:
    """Older versions stored it in snapshots, which never change."""
    at = datetime(2026, 9, 1, 7, 2, 3, tzinfo=UTC)

    assert labels_of("a", at) == {"a@2026-09-01T07:02:03", "a@2026-09-01"}


def test_labels_can_be_shown_by_day() -> None:
    """In a summary, the hourly lists of a day are one group."""
    assert without_times("a@2026-09-01T07:02:03 b-t@2026-10-05 c@2026-09-01T07:02") == (
        "a@2026-09-01 b-t@2026-10-05 c@2026-09-01"
    )


def test_a_build_has_its_date_in_utc() -> None:
    """A date in another zone would compare wrongly as text."""
    with pytest.raises(InvalidFact):
        build(datetime(2026, 9, 1, tzinfo=timezone(timedelta(hours=2))))


@pytest.mark.parametrize(
    "wrong", [{"asn": 0}, {"asn": 2**32}, {"country": "XX"}, {"country": "de"}, {"country": "DEU"}]
)
def test_an_invalid_fact_cannot_be_built(wrong: dict[str, object]) -> None:
    """No placeholder value passes as a fact."""
    with pytest.raises(InvalidFact):
        IpFacts(**wrong)  # type: ignore[arg-type]  # that is the point
