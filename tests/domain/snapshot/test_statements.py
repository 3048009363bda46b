"""Whether the facts of a session are those that its sources stated."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import assume, given

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts, IpObservation, label_of
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.statements import is_stated
from tests.strategies import DAY, NOON, histories, moments, observed, snapshot


@given(histories(), moments)
def test_every_chosen_fact_is_stated_in_the_history(history: list[IpObservation], at: datetime) -> None:
    """So an unchanged session is never reported; the snapshot names the builds of its facts."""
    found = AsOfReader().read(history, at=at).snapshot
    assume(found is not None)
    assert found is not None
    assert is_stated(found, labelled(history))


def labelled(history: list[IpObservation]) -> list[tuple[str, IpFacts]]:
    return [(label_of(each.source, each.observed_at), each.facts) for each in history]


def test_each_fact_must_be_stated_by_a_build_that_the_snapshot_names() -> None:
    """Another build with the same fact, or a deleted one, is not sufficient."""
    observations = labelled(
        [
            observed("a", NOON, asn=64500, country="DE", types=frozenset({IpType.TOR})),
            observed("a", NOON + timedelta(hours=1), asn=2),
            observed("b", NOON, asn=1),
        ]
    )
    held = IpSnapshot(
        asn=64500, country="DE", ip_type=IpType.TOR, enrichment_at=NOON, method=Method.ASOF, source="a@2026-03-01"
    )

    assert is_stated(held, observations)
    assert not is_stated(replace(held, asn=1), observations)
    assert not is_stated(replace(held, country="FR"), observations)
    assert not is_stated(replace(held, ip_type=IpType.VPN), observations)
    assert not is_stated(replace(held, source="a@2026-03-02"), observations)
    assert not is_stated(held, [])
    assert is_stated(replace(held, asn=1, source="a@2026-03-01 b@2026-03-01"), observations)


def test_corrected_and_adopted_snapshots_have_no_build() -> None:
    """There is nothing to compare them with."""
    assert is_stated(IpSnapshot.corrected(snapshot(), asn=7, at=NOON + DAY), [])
    assert is_stated(replace(snapshot(), method=Method.ADOPTED), [])
