"""Whether what a session keeps is what its sources said."""

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
def test_whatever_is_read_of_a_history_is_stated_by_it(history: list[IpObservation], at: datetime) -> None:
    """So an untouched session never alarms; the builds it names are those whose facts it took."""
    found = AsOfReader().read(history, at=at).snapshot
    assume(found is not None)
    assert found is not None
    assert is_stated(found, labelled(history))


def labelled(history: list[IpObservation]) -> list[tuple[str, IpFacts]]:
    return [(label_of(each.source, each.observed_at), each.facts) for each in history]


def test_each_fact_must_be_stated_by_a_build_that_the_snapshot_names() -> None:
    """Another build that says so, or one that is gone, does not stand for it."""
    said = labelled(
        [
            observed("a", NOON, asn=64500, country="DE", types=frozenset({IpType.TOR})),
            observed("a", NOON + timedelta(hours=1), asn=2),
            observed("b", NOON, asn=1),
        ]
    )
    held = IpSnapshot(
        asn=64500, country="DE", ip_type=IpType.TOR, enrichment_at=NOON, method=Method.ASOF, source="a@2026-03-01"
    )

    assert is_stated(held, said)
    assert not is_stated(replace(held, asn=1), said)
    assert not is_stated(replace(held, country="FR"), said)
    assert not is_stated(replace(held, ip_type=IpType.VPN), said)
    assert not is_stated(replace(held, source="a@2026-03-02"), said)
    assert not is_stated(held, [])
    assert is_stated(replace(held, asn=1, source="a@2026-03-01 b@2026-03-01"), said)


def test_what_an_operator_or_another_loader_stated_is_of_no_build() -> None:
    """There is nothing to compare it with."""
    assert is_stated(IpSnapshot.corrected(snapshot(), asn=7, at=NOON + DAY), [])
    assert is_stated(replace(snapshot(), method=Method.ADOPTED), [])
