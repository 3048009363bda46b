"""Observations, and how builds with equal facts extend them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.observation import IpFacts, SourceBuild


def build(at: datetime) -> SourceBuild:
    return SourceBuild(name="a", built_at=at, licence="MIT", sha256="00", origin="bundled")


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
def test_an_invalid_fact_cannot_be_built(wrong: dict[str, object]) -> None:
    """No placeholder value passes as a fact."""
    with pytest.raises(InvalidFact):
        IpFacts(**wrong)  # type: ignore[arg-type]  # that is the point
