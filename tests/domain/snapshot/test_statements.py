"""Whether the facts of a session are those that its sources stated."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpObservation, SourceBuild, label_of
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.statements import Statement, builds_by_label, is_stated
from tests.strategies import DAY, NOON, histories, moments, observed, snapshot


@given(histories(), moments)
def test_every_chosen_fact_is_stated_in_the_history(history: list[IpObservation], at: datetime) -> None:
    """So an unchanged session is never reported; the snapshot names the builds of its facts."""
    found = AsOfReader().read(history, at=at).snapshot
    assume(found is not None)
    assert found is not None
    assert is_stated(found, statements(history), {})


@given(st.lists(st.integers(0, 20), min_size=1, unique=True), st.integers(0, 20), st.integers(0, 24))
def test_a_build_that_only_confirmed_a_fact_states_it(days: list[int], day: int, hours: int) -> None:
    """Daily lists of one source are one observation, and a snapshot names the last of them before its attack."""
    dates = sorted(NOON + each * DAY for each in days)
    builds = [SourceBuild(name="tor", built_at=at, licence="MIT", sha256=str(at), origin="x") for at in dates]
    run = observed("tor", dates[0], types=frozenset({IpType.TOR}), until=dates[-1])
    at = NOON + day * DAY + timedelta(hours=hours)
    nearest = BuildCalendar({"tor": dates}).nearest([run], at)

    held = AsOfReader().read(nearest, at=at).snapshot

    assume(held is not None)
    assert held is not None
    assert is_stated(held, statements([run]), builds_by_label(builds))
    other = [each for each in builds if each.label != held.source]
    assert is_stated(held, statements([run]), builds_by_label(other)) == (held.source == run_label(run))


def run_label(run: IpObservation) -> str:
    return label_of(run.source, run.observed_at)


def statements(history: list[IpObservation]) -> list[Statement]:
    return [Statement(each.source, each.observed_at, each.confirmed_until, each.facts) for each in history]


def test_each_fact_must_be_stated_by_a_build_that_the_snapshot_names() -> None:
    """Another build with the same fact, or a deleted one, is not sufficient."""
    observations = statements(
        [
            observed("a", NOON, asn=64500, country="DE", types=frozenset({IpType.TOR})),
            observed("a", NOON + timedelta(hours=1), asn=2),
            observed("b", NOON, asn=1),
        ]
    )
    held = IpSnapshot(
        asn=64500, country="DE", ip_type=IpType.TOR, enrichment_at=NOON, method=Method.ASOF, source="a@2026-03-01T12:00"
    )

    assert is_stated(held, observations, {})
    assert not is_stated(replace(held, asn=1), observations, {})
    assert not is_stated(replace(held, country="FR"), observations, {})
    assert not is_stated(replace(held, ip_type=IpType.VPN), observations, {})
    assert not is_stated(replace(held, source="a@2026-03-01T13:00"), observations, {})
    assert not is_stated(held, [], {})
    assert is_stated(replace(held, asn=1, source="a@2026-03-01T12:00 b@2026-03-01T12:00"), observations, {})
    assert is_stated(replace(held, source="a@2026-03-01"), observations, {}), "older versions stored the day alone"


def test_corrected_and_adopted_snapshots_have_no_build() -> None:
    """There is nothing to compare them with."""
    assert is_stated(IpSnapshot.corrected(snapshot(), asn=7, at=NOON + DAY), [], {})
    assert is_stated(replace(snapshot(), method=Method.ADOPTED), [], {})
