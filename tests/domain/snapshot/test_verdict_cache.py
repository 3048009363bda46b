"""Verdicts that are remembered for a span of time."""

from datetime import datetime, timedelta

from hypothesis import example, given
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
from snapshots.domain.snapshot.verdict_cache import VerdictCache
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME
from tests.strategies import DAY, HOME, NOON, OTHER, histories, network_build, network_types, observed

TOR = observed("a", NOON, types=frozenset({IpType.TOR}))
SPANS = st.none() | st.sampled_from([timedelta(0), DAY, 3 * DAY])
TIMES = st.tuples(st.integers(-12, 12), st.sampled_from([-1, 0, 1])).map(
    lambda parts: NOON + parts[0] * DAY / 2 + timedelta(microseconds=parts[1])
)


def fresh(reader: AsOfReader | None = None, policy: SnapshotPolicy | None = None) -> VerdictCache:
    return VerdictCache(reader or AsOfReader(), policy or SnapshotPolicy(), largest_asn=LARGEST_ASN)


def at(moment: datetime, address: IpAddress = HOME) -> Sighting:
    return Sighting(address=address, seen_at=moment)


@given(
    history=histories(),
    times=st.lists(TIMES, min_size=1, max_size=8),
    lags=st.tuples(SPANS, SPANS, SPANS),
    days=st.sampled_from([1, 2]),
    networks=network_types(),
)
@example(  # silence of types grows old, and then a later type is listened to
    history=[
        observed("a", NOON, asn=1),
        observed("a", NOON + 6 * DAY, types=frozenset({IpType.TOR})),
        observed("b", NOON, asn=1),
        observed("b", NOON + 5 * DAY, asn=2),
    ],
    times=[NOON, NOON + 4 * DAY],
    lags=(None, 9 * DAY, None),
    days=1,
    networks=NetworkTypes(),
)
@example(
    history=[TOR],
    times=[NOON, NOON + 14 * DAY],
    lags=(None, None, None),
    days=14,
    networks=NetworkTypes(),
)
@example(  # a list of networks is made, and grows old, between two builds of the address
    history=[observed("a", NOON - 3 * DAY, asn=1, until=NOON + 9 * DAY)],
    times=[NOON, NOON + 2 * DAY, NOON + 6 * DAY],
    lags=(None, None, None),
    days=1,
    networks=NetworkTypes((network_build(NOON + DAY, {1: IpType.MOBILE}),)),
)
def test_a_cached_verdict_equals_a_new_evaluation(
    history: list[IpObservation],
    times: list[datetime],
    lags: tuple[timedelta | None, timedelta | None, timedelta | None],
    days: int,
    networks: NetworkTypes,
) -> None:
    """Whatever was evaluated before, in any order."""
    max_lag, max_type_lag, kept_lag = lags
    ages = dict.fromkeys(TYPE_MAX_AGE, days * DAY) | {IpType.MOBILE: 3 * DAY}
    type_lags = {IpType.VPN: DAY, IpType.TOR: 2 * DAY} if max_type_lag is None else dict.fromkeys(IpType, max_type_lag)
    reader = AsOfReader(
        network_types=networks,
        network_max_age=4 * DAY,
        type_max_age=ages,
        max_lag=max_lag,
        type_max_lag=type_lags,
    )
    policy = SnapshotPolicy(max_lag=kept_lag)
    remembering, sharing = fresh(reader, policy), fresh(reader, policy)
    readings = sharing.readings_of(BuildCalendar().address_history(history))

    for moment in times:
        observations = BuildCalendar().nearest(history, moment)
        anew = fresh(reader, policy).judge(at(moment), observations)
        remembered = remembering.verdict(at(moment))
        assert (remembering.judge(at(moment), observations) if remembered is None else remembered) == anew
        assert remembering.judge(at(moment, OTHER), observations) == anew, "the same is stated about another address"
        assert sharing.judge_by(at(moment, OTHER), readings) == anew, "their history is read once"


def test_a_verdict_holds_between_two_builds() -> None:
    """So most sightings of an address are evaluated without reading its history."""
    judged = fresh()
    observations = [observed("a", NOON, asn=1), observed("a", NOON + 9 * DAY, asn=2)]

    verdict = judged.judge(at(NOON + DAY), observations)

    assert isinstance(verdict, IpSnapshot)
    assert judged.verdict(at(NOON)) is verdict
    assert judged.verdict(at(NOON + 9 * DAY - timedelta(microseconds=1))) is verdict
    assert judged.verdict(at(NOON + 9 * DAY)) is None
    assert judged.verdict(at(NOON - timedelta(microseconds=1))) is None
    assert judged.verdict(at(NOON, OTHER)) is None


def test_time_spans_end_at_the_limits_of_the_calendar() -> None:
    """No sum of a time and an age exceeds them."""
    last, first = observed("a", MAX_TIME - DAY, asn=1), observed("a", MIN_TIME + DAY, asn=2)
    judged = fresh(policy=SnapshotPolicy(max_lag=3 * DAY))

    assert isinstance(judged.judge(at(MAX_TIME), [last]), IpSnapshot)
    assert isinstance(judged.judge(at(MIN_TIME), [first]), IpSnapshot)


def test_new_facts_evict_cached_verdicts() -> None:
    """Of one address, or of all."""
    judged = fresh()
    for address in (HOME, OTHER):
        assert judged.judge(at(NOON, address), None) is Gap.NEVER_LOOKED_UP

    judged.forget([HOME])
    assert [judged.verdict(at(NOON, address)) for address in (HOME, OTHER)] == [None, Gap.NEVER_LOOKED_UP]
    judged.clear()
    assert judged.verdict(at(NOON, OTHER)) is None


def test_the_cache_is_bounded() -> None:
    """Memory does not grow with the number of sessions: the verdicts on the oldest addresses are evicted."""
    judged = VerdictCache(AsOfReader(), SnapshotPolicy(), largest_asn=LARGEST_ASN, capacity=4)
    addresses = [IpAddress(f"9.9.9.{n}") for n in range(20)]

    for n, address in enumerate(addresses):
        judged.judge(at(NOON, address), None)
        cached = [each for each in addresses[: n + 1] if judged.verdict(at(NOON, each)) is not None]
        assert 2 <= len(cached) <= 4 or n == 0
        assert cached == addresses[n + 1 - len(cached) : n + 1]


def test_evicted_verdicts_make_room() -> None:
    """Also those of one address at many times, and those that were forgotten."""
    judged = VerdictCache(AsOfReader(), SnapshotPolicy(), largest_asn=LARGEST_ASN, capacity=2)
    observations = [observed("a", NOON, asn=1)]
    judged.judge(at(NOON - DAY), observations)
    judged.judge(at(NOON), observations)
    judged.forget([HOME])
    for address in (HOME, OTHER):
        judged.judge(at(NOON, address), None)

    assert [judged.verdict(at(NOON, address)) for address in (HOME, OTHER)] == [Gap.NEVER_LOOKED_UP] * 2
