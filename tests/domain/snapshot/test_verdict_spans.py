"""Verdicts on all sightings of an address, as spans of time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.facts.validation import LARGEST_ASN
from snapshots.domain.snapshot.as_of import TYPE_MAX_AGE, AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME, AddressSpans, SpanEvaluator
from tests.strategies import DAY, HOME, NOON, OTHER, histories, network_types, observed

TIMES = st.tuples(st.integers(-12, 12), st.sampled_from([-1, 0, 1])).map(
    lambda parts: NOON + parts[0] * DAY / 2 + timedelta(microseconds=parts[1])
)


def policy_verdict(reader: AsOfReader, moment: datetime, nearest: Sequence[IpObservation]) -> IpSnapshot | Gap:
    """Evaluate one sighting, without spans."""
    reading = reader.read(nearest, at=moment) if nearest else None
    return SnapshotPolicy().verdict(Sighting(HOME, moment), reading)


@given(
    history=histories(),
    moments=st.lists(TIMES, min_size=1, max_size=8),
    bounds=st.lists(TIMES, min_size=2, max_size=2).map(sorted) | st.just([MIN_TIME, MAX_TIME]),
    networks=network_types(),
)
def test_spans_hold_the_verdict_on_each_time(
    history: list[IpObservation], moments: list[datetime], bounds: list[datetime], networks: NetworkTypes
) -> None:
    """The time between two bounds is covered and little more, and every time span is evaluated once."""
    nearest_to = BuildCalendar().address_history(history).nearest
    ages = dict.fromkeys(TYPE_MAX_AGE, 2 * DAY)
    reader = AsOfReader(
        network_types=networks,
        network_max_age=4 * DAY,
        type_max_age=ages,
        max_lag=3 * DAY,
        type_max_lag={IpType.VPN: DAY},
    )
    evaluator = SpanEvaluator(reader, SnapshotPolicy(), largest_asn=LARGEST_ASN)

    first, last = bounds
    all_spans = AddressSpans(evaluator, BuildCalendar(), first=first, last=last)
    spans = all_spans.of(HOME, history)

    for moment in (*moments, *bounds):
        if first <= moment <= last and moment != MAX_TIME:
            (verdict,) = [span.verdict for span in spans if span.since <= moment < span.until]
            assert verdict == policy_verdict(reader, moment, nearest_to(moment))
    assert {span.address for span in spans} == {HOME.text}
    assert all(span.verdict != following.verdict for span, following in pairwise(spans))
    assert spans[0].since <= first < spans[0].until
    assert [span.since for span in spans[1:]] == [span.until for span in spans[:-1]]
    assert spans[-1].since <= last <= spans[-1].until
    assert all_spans.of(OTHER, history) == [span._replace(address=OTHER.text) for span in spans]
    assert all_spans.of(IpAddress("10.0.0.1"), history)[0].verdict is Gap.NOT_ROUTABLE


def test_equal_histories_are_read_once_in_bounded_memory() -> None:
    """Most addresses of a network have the same history."""
    evaluator = SpanEvaluator(AsOfReader(), SnapshotPolicy(), largest_asn=LARGEST_ASN, capacity=4)

    def verdict(address: IpAddress, asn: int) -> IpSnapshot | Gap:
        stated = observed("a", NOON, asn=asn)
        return evaluator.evaluate(Sighting(address, NOON), [stated]).verdict

    first = verdict(HOME, 1)
    assert verdict(OTHER, 1) is first

    for asn in range(2, 9):
        verdict(HOME, asn)
    assert verdict(HOME, 1) is not first, "it was evicted"
    assert verdict(HOME, 1) == first
