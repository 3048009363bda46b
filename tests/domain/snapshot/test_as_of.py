"""Which facts are chosen as of a moment."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_AGE, AsOfReader
from snapshots.domain.snapshot.nearest_statements import TypeLeftOut
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from tests.strategies import DAY, NOON, histories, moments, observed, type_sets

READER = AsOfReader(precedence=("a", "b"))


def read(*history: IpObservation, at: datetime = NOON, reader: AsOfReader = READER) -> IpSnapshot:
    snapshot = reader.read(history, at=at).snapshot
    assert snapshot is not None
    return snapshot


def test_the_newest_observation_before_the_sighting_is_used() -> None:
    """Networks move: the table of that week is right, not the first and not the last."""
    old, then, now = (observed("a", NOON + n * DAY, asn=100 + n) for n in (-30, -1, 30))

    snapshot = read(now, old, then)

    assert (snapshot.asn, snapshot.method, snapshot.enrichment_at) == (99, Method.ASOF, NOON - DAY)


def test_a_fact_stated_at_the_time_of_the_attack_is_as_of_it() -> None:
    """The boundary belongs to the past."""
    assert read(observed("a", NOON, asn=1)).method is Method.ASOF


def test_without_an_earlier_observation_the_oldest_later_one_is_inferred() -> None:
    """Most archives are older than every table, and the label makes this visible."""
    snapshot = read(observed("a", NOON + 2 * DAY, asn=2), observed("a", NOON + DAY, asn=1))

    assert (snapshot.asn, snapshot.method, snapshot.enrichment_at) == (1, Method.INFERRED, NOON + DAY)


def test_a_fact_stated_by_then_beats_one_of_a_more_trusted_source_stated_later() -> None:
    """Trust decides only between facts that are equally timely."""
    snapshot = read(observed("a", NOON + DAY, asn=1), observed("b", NOON - DAY, asn=2))

    assert (snapshot.asn, snapshot.method) == (2, Method.ASOF)


def test_among_timely_words_the_more_trusted_source_wins() -> None:
    """The order of precedence decides, not the date."""
    assert read(observed("b", NOON, asn=2), observed("a", NOON - DAY, asn=1)).asn == 1


def test_each_fact_comes_from_the_first_source_that_states_it() -> None:
    """One source has the network, another the country; both are named."""
    snapshot = read(observed("a", NOON, asn=1), observed("b", NOON, asn=2, country="DE"))

    assert (snapshot.asn, snapshot.country, snapshot.source) == (1, "DE", "a@2026-03-01T12:00 b@2026-03-01T12:00")


def test_the_types_of_all_sources_are_ranked_together() -> None:
    """A Tor exit in a data center is a Tor exit, whichever source has precedence."""
    data_center = observed("a", NOON, types=frozenset({IpType.DATACENTER}))
    tor = observed("b", NOON, types=frozenset({IpType.TOR}))

    assert read(data_center, tor).ip_type is IpType.TOR


def test_a_tor_exit_listed_an_hour_after_the_attack_is_inferred_although_a_data_center_was_stated_before() -> None:
    """The one does not contradict the other, so the ranking decides; of two anonymizers the one as of the attack."""
    data_center = observed("a", NOON - DAY, types=frozenset({IpType.DATACENTER}))
    tor = observed("b", NOON + DAY / 24, types=frozenset({IpType.TOR}))
    vpn = observed("c", NOON + DAY, types=frozenset({IpType.VPN}))

    found = read(data_center, tor)

    assert (found.ip_type, found.method, found.source) == (IpType.TOR, Method.INFERRED, "b@2026-03-01T13:00")
    by_then = observed("b", NOON - DAY, types=frozenset({IpType.TOR}))
    assert (read(by_then, vpn).ip_type, read(by_then, vpn).method) == (IpType.TOR, Method.ASOF)
    late = observed("b", NOON + 15 * DAY, types=frozenset({IpType.TOR}))
    assert (read(data_center, late).ip_type, read(data_center, late).method) == (IpType.DATACENTER, Method.ASOF)
    assert [each.ip_type for each in READER.types_left_out([data_center, late], at=NOON)] == [IpType.TOR]


@pytest.mark.parametrize(("days", "expected"), [(-14, IpType.DATACENTER), (-15, IpType.TOR)])
def test_a_source_that_did_not_list_a_tor_exit_rules_it_out_as_long_as_it_would_have_been_valid(
    days: int, expected: IpType
) -> None:
    """Of one table that states both, the statement of two weeks ago answers, and an older one does not."""
    history = [
        observed("a", NOON + days * DAY, types=frozenset({IpType.DATACENTER})),
        observed("a", NOON + DAY, types=frozenset({IpType.TOR})),
    ]

    assert read(*history).ip_type is expected


def test_a_fact_that_is_too_old_is_not_believed() -> None:
    """A Tor exit of last month may be anybody's today."""
    last_believed = observed("a", NOON - TYPE_MAX_AGE[IpType.TOR], types=frozenset({IpType.TOR}))
    too_old = observed("a", NOON - TYPE_MAX_AGE[IpType.TOR] - timedelta(microseconds=1), types=frozenset({IpType.TOR}))

    assert read(last_believed).ip_type is IpType.TOR
    reading = READER.read([too_old], at=NOON)
    assert (reading.snapshot, reading.has_expired) == (None, True)


def test_types_stated_too_far_from_the_attack_are_reported() -> None:
    """An operator sees why a known Tor exit has no type, and which other types it hides."""
    old = observed("a", NOON - 20 * DAY, types=frozenset({IpType.DATACENTER, IpType.TOR, IpType.MOBILE}))
    late = observed("a", NOON + 46 * DAY, types=frozenset({IpType.VPN}))
    near = observed("b", NOON + 46 * DAY, types=frozenset({IpType.DATACENTER}))

    reading = [READER.types_left_out([old, late, near], at=at) for at in (NOON, NOON + DAY, NOON - 7 * DAY)]

    others = (IpType.DATACENTER, IpType.MOBILE)
    tor = TypeLeftOut(source="a", ip_type=IpType.TOR, others=others, distance=20 * DAY, bound=14 * DAY, is_after=False)
    vpn = TypeLeftOut(source="a", ip_type=IpType.VPN, others=(), distance=46 * DAY, bound=45 * DAY, is_after=True)
    assert reading == [[tor, vpn], [replace(tor, distance=21 * DAY)], []]


def test_an_expired_type_is_not_replaced_by_a_less_telling_one_stated_with_it() -> None:
    """A VPN on a residential line that may be none by now is not what the source calls residential."""
    both = observed("a", NOON - 18 * DAY, asn=1, types=frozenset({IpType.RESIDENTIAL, IpType.VPN}))
    other = observed("b", NOON - 18 * DAY, types=frozenset({IpType.RESIDENTIAL}))

    assert read(both).ip_type is None
    assert read(both, other).ip_type is IpType.RESIDENTIAL
    assert READER.read([observed("a", NOON - 18 * DAY, types=both.facts.ip_types)], at=NOON).has_expired


DAYS_BELIEVED = {
    IpType.VPN: (14, 45),
    IpType.TOR: (14, 14),
    IpType.PROXY: (14, 14),
    IpType.DATACENTER: (400, 400),
    IpType.RESIDENTIAL: (120, None),
    IpType.MOBILE: (120, None),
}
"""For how many days after it was stated a type holds, and for how many before."""

RESOLUTION = timedelta(microseconds=1)
distances = st.builds(
    lambda days, rest: days * DAY + rest,
    st.sampled_from([-400, -120, -45, -14, -1, 1, 14, 45, 120, 400, 3000]),
    st.sampled_from([-RESOLUTION, timedelta(0), RESOLUTION]),
)


@given(st.dictionaries(st.sampled_from("abc"), st.tuples(distances, type_sets), min_size=1))
@example({"a": (-18 * DAY, frozenset({IpType.RESIDENTIAL, IpType.VPN}))})
@example({"a": (14 * DAY, frozenset({IpType.TOR})), "b": (RESOLUTION - 14 * DAY, frozenset({IpType.MOBILE}))})
@example({"a": (14 * DAY + RESOLUTION, frozenset({IpType.TOR, IpType.DATACENTER}))})
def test_a_type_is_valid_for_its_days_before_and_after_it_was_stated(
    stated: dict[str, tuple[timedelta, frozenset[IpType]]],
) -> None:
    """Anonymizers and kinds of networks are answered apart, asof before inferred; the higher-ranked answer counts."""
    by_then: set[IpType] = set()
    later: set[IpType] = set()
    left_out: set[tuple[str, IpType]] = set()
    for name, (distance, types) in stated.items():
        if types:
            ip_type = min(types, key=list(IpType).index)
            is_after = distance > timedelta(0)
            most = DAYS_BELIEVED[ip_type][is_after]
            if most is not None and abs(distance) > most * DAY:
                left_out.add((name, ip_type))
            else:
                (later if is_after else by_then).add(ip_type)

    history = [observed(name, NOON + distance, types=types) for name, (distance, types) in stated.items()]
    reading = READER.read(history, at=NOON)

    hiding = {IpType.VPN, IpType.TOR, IpType.PROXY}
    answers = (by_then & hiding) or (later & hiding) or (by_then - hiding) or (later - hiding)
    expected = min(answers, key=list(IpType).index, default=None)
    assert (reading.snapshot.ip_type if reading.snapshot else None) is expected
    if reading.snapshot is not None:
        assert reading.snapshot.method is (Method.ASOF if expected in by_then else Method.INFERRED)
    else:
        assert (reading.has_expired or reading.is_too_late) is bool(left_out)
    assert {(each.source, each.ip_type) for each in READER.types_left_out(history, at=NOON)} == left_out


@given(histories(), moments, st.sampled_from([1, 2, 14]))
def test_less_telling_types_of_a_statement_change_nothing(
    history: list[IpObservation], at: datetime, days: int
) -> None:
    """Whether a source names them or not."""
    reader = AsOfReader(
        type_max_age=dict.fromkeys(IpType, days * DAY) | {IpType.VPN: DAY}, type_max_lag={IpType.TOR: DAY}
    )

    def only_the_highest_ranked(observation: IpObservation) -> IpObservation:
        types = sorted(observation.facts.ip_types, key=list(IpType).index)[:1]
        return replace(observation, facts=replace(observation.facts, ip_types=frozenset(types)))

    assert reader.read(history, at=at) == reader.read(list(map(only_the_highest_ranked, history)), at=at)


def test_that_a_source_states_no_type_counts_as_long_as_the_type_it_states_later() -> None:
    """Last month's list cannot rule out a Tor exit of next week; it can rule out a data center."""
    silent = observed("a", NOON - 30 * DAY, asn=1)

    for ip_type, expected in ((IpType.TOR, IpType.TOR), (IpType.DATACENTER, None)):
        assert read(silent, observed("a", NOON + DAY, types=frozenset({ip_type}))).ip_type is expected


def test_an_expired_observation_yields_to_a_later_one() -> None:
    """A table of 2019 must not beat one of next week for an attack of today."""
    stale = observed("a", NOON - NETWORK_MAX_AGE - DAY, asn=1)

    assert read(stale, observed("a", NOON + DAY, asn=2)).asn == 2


def test_a_confirmed_observation_does_not_expire() -> None:
    """Every later build with equal facts renews it."""
    snapshot = read(observed("a", NOON - 2 * NETWORK_MAX_AGE, asn=1, until=NOON - DAY))

    assert (snapshot.asn, snapshot.enrichment_at) == (1, NOON - DAY)


def test_a_confirmed_observation_has_the_date_of_its_first_build() -> None:
    """With a date after the attack, a fact that was known would be called inferred."""
    snapshot = read(observed("a", NOON - DAY, asn=1, until=NOON + DAY))

    assert (snapshot.method, snapshot.enrichment_at) == (Method.ASOF, NOON - DAY)


def test_a_missing_entry_by_then_is_not_filled_from_a_later_list() -> None:
    """The list of that day did not have the address, so a later list is not used."""
    silent = observed("a", NOON - DAY, asn=1)
    later = observed("a", NOON + DAY, asn=1, types=frozenset({IpType.TOR}))

    assert read(silent, later).ip_type is None


def test_the_lag_of_each_fact_can_be_bounded() -> None:
    """An operator may refuse facts stated too long after the attack."""
    late = observed("a", NOON + 10 * DAY, asn=1, types=frozenset({IpType.TOR}))

    near = AsOfReader(max_lag=9 * DAY).read([late], at=NOON)
    without_type = AsOfReader(max_lag=10 * DAY, type_max_lag={IpType.TOR: 9 * DAY}).read([late], at=NOON)

    assert (near.snapshot, near.is_too_late) == (None, True)
    assert without_type.snapshot is not None
    assert (without_type.snapshot.asn, without_type.snapshot.ip_type) == (1, None)


def test_an_address_never_looked_up_differs_from_one_without_an_entry() -> None:
    """They are different gaps, with different remedies."""
    assert not READER.read([], at=NOON).was_looked_up
    unknown = READER.read([observed("a", NOON)], at=NOON)
    assert (unknown.was_looked_up, unknown.snapshot, unknown.has_expired) == (True, None, False)


@given(histories(), moments)
@example([observed("a", NOON, asn=1), observed("b", NOON, asn=2)], NOON)
def test_the_order_of_observations_is_irrelevant(history: list[IpObservation], at: datetime) -> None:
    """Tables may be imported in any order."""
    readings = {READER.read(order, at=at) for order in list(permutations(history))[:24]}

    assert len(readings) == 1


@given(histories(), moments)
@example([observed("a", NOON, asn=1)], NOON)
def test_an_asof_snapshot_can_be_replayed(history: list[IpObservation], at: datetime) -> None:
    """The observations up to enrichment_at, evaluated again at the sighting, yield the same snapshot."""
    snapshot = READER.read(history, at=at).snapshot
    if snapshot is None or snapshot.method is Method.INFERRED:
        return

    known = [observation for observation in history if observation.observed_at <= snapshot.enrichment_at]

    assert snapshot.enrichment_at <= at
    assert READER.read(known, at=at).snapshot == snapshot


@given(histories(), moments)
def test_every_fact_comes_from_an_observation_of_a_named_source(history: list[IpObservation], at: datetime) -> None:
    """No fact is invented."""
    snapshot = READER.read(history, at=at).snapshot
    if snapshot is None:
        return

    named = {label.partition("@")[0] for label in snapshot.source.split()}
    stated = [o.facts for o in history if o.source in named]

    assert snapshot.asn in {f.asn for f in stated} | {None}
    assert snapshot.country in {f.country for f in stated} | {None}
    assert snapshot.ip_type in {kind for f in stated for kind in f.ip_types} | {None}


@given(histories(), moments, st.integers(0, 3))
def test_the_maximum_lag_is_respected(history: list[IpObservation], at: datetime, days: int) -> None:
    """No snapshot is younger than the sighting by more than the maximum."""
    snapshot = AsOfReader(max_lag=days * DAY).read(history, at=at).snapshot

    assert snapshot is None or snapshot.lag_behind(at) <= days * DAY


def test_a_reader_without_an_age_for_every_type_is_refused() -> None:
    """A forgotten type would be believed for ever, or never."""
    with pytest.raises(InvalidPolicy):
        AsOfReader(type_max_age={IpType.TOR: DAY})


def test_a_negative_lag_is_refused() -> None:
    """It would exclude facts that were known by then."""
    with pytest.raises(InvalidPolicy):
        AsOfReader(max_lag=-DAY)
