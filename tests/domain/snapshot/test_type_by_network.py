"""Which type is read where only the network is known."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given

from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, AsOfReader
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from tests.strategies import DAY, NOON, histories, moments, network_build, network_types, observed

HOSTING, HOME_LINE, TOR = IpType.DATACENTER, IpType.RESIDENTIAL, IpType.TOR
RESOLUTION = timedelta(microseconds=1)


def reader_with(*builds: tuple[datetime, dict[int, IpType]]) -> AsOfReader:
    return AsOfReader(network_types=NetworkTypes(tuple(network_build(at, types) for at, types in builds)))


def read(reader: AsOfReader, *history: IpObservation, at: datetime = NOON) -> IpSnapshot:
    snapshot = reader.read(history, at=at).snapshot
    assert snapshot is not None
    return snapshot


def test_the_type_of_the_network_is_read_where_no_source_states_one_of_the_address() -> None:
    """The provenance names the source."""
    snapshot = read(reader_with((NOON - DAY, {1: HOSTING})), observed("a", NOON, asn=1))

    assert (snapshot.ip_type, snapshot.method) == (HOSTING, Method.ASOF)
    assert "network-types@2026-02-28T12:00" in snapshot.source.split()


def test_the_network_is_the_one_of_the_time_of_the_attack() -> None:
    """An address moved from an access network to a data center: dated tables of ASNs give dated types."""
    reader = reader_with((NOON - 9 * DAY, {1: HOME_LINE, 2: HOSTING}))
    history = [observed("a", NOON - 2 * DAY, asn=1), observed("a", NOON, asn=2)]

    assert [read(reader, *history, at=at).ip_type for at in (NOON - DAY, NOON + DAY)] == [HOME_LINE, HOSTING]


def test_the_order_is_asof_address_asof_network_inferred_address_inferred_network() -> None:
    """How near a statement is to the attack matters more than its precision; an anonymizer does not contradict it."""
    by_then, later = NOON - DAY, NOON + DAY
    here = observed("a", NOON, asn=1)

    def chosen(ip_type: IpType, address_at: datetime | None, network_at: datetime | None) -> IpType | None:
        reader = reader_with((network_at, {1: HOSTING})) if network_at else AsOfReader()
        listed = [observed("b", address_at, types=frozenset({ip_type}))] if address_at else []
        return read(reader, here, *listed).ip_type

    moments_of_network = (by_then, later, None)
    assert [chosen(HOME_LINE, by_then, network_at) for network_at in moments_of_network] == [HOME_LINE] * 3
    assert [chosen(HOME_LINE, later, network_at) for network_at in moments_of_network] == [
        HOSTING,
        HOME_LINE,
        HOME_LINE,
    ]
    assert [chosen(HOME_LINE, None, network_at) for network_at in moments_of_network] == [HOSTING, HOSTING, None]
    for address_at in (by_then, later):
        assert [chosen(TOR, address_at, network_at) for network_at in moments_of_network] == [TOR] * 3


def test_a_type_of_a_network_that_is_inferred_is_inferred_too() -> None:
    """The list is older than the attack, but that the address was in this network is not known as of it."""
    snapshot = read(reader_with((NOON - DAY, {1: HOSTING})), observed("a", NOON + DAY, asn=1))

    assert (snapshot.ip_type, snapshot.method, snapshot.enrichment_at) == (HOSTING, Method.INFERRED, NOON + DAY)


def test_types_of_networks_are_valid_as_long_as_networks() -> None:
    """400 days before the attack, and without a limit after it."""
    here = observed("a", NOON, asn=1)
    for distance, expected in (
        (-NETWORK_MAX_AGE, HOSTING),
        (-NETWORK_MAX_AGE - RESOLUTION, None),
        (4_000 * DAY, HOSTING),
    ):
        assert read(reader_with((NOON + distance, {1: HOSTING})), here).ip_type is expected


def test_the_maximum_lag_bounds_types_by_network() -> None:
    """An operator may refuse facts stated too long after the attack."""
    reader = replace(reader_with((NOON + 2 * DAY, {1: HOSTING})), max_lag=DAY)

    assert read(reader, observed("a", NOON, asn=1)).ip_type is None


def test_the_first_source_by_network_that_knows_the_network_states_its_type() -> None:
    """They are not merged: a data center of one list and an access line of another are a contradiction."""
    builds = (network_build(NOON, {1: HOME_LINE}, "network-types-b"), network_build(NOON, {1: HOSTING, 2: HOSTING}))
    reader = AsOfReader(network_types=NetworkTypes(builds))

    assert [read(reader, observed("a", NOON, asn=asn)).ip_type for asn in (1, 2, 3)] == [HOME_LINE, HOSTING, None]


@given(histories(), network_types(), moments)
@example(
    [observed("a", NOON, asn=1), observed("b", NOON, types=frozenset({HOME_LINE}))],
    NetworkTypes((network_build(NOON, {1: HOSTING}),)),
    NOON,
)
def test_a_type_by_network_never_displaces_one_by_address_of_equal_method(
    history: list[IpObservation], types: NetworkTypes, at: datetime
) -> None:
    """Nor does it change any other fact."""
    plain = AsOfReader().read(history, at=at).snapshot
    found = AsOfReader(network_types=types).read(history, at=at).snapshot
    assert (plain is None) is (found is None)
    if plain is None or found is None:
        return

    assert (found.asn, found.country) == (plain.asn, plain.country)
    if plain.ip_type is not None and found.ip_type is not plain.ip_type:
        only_types = AsOfReader().read([o for o in history if o.observed_at <= at], at=at).snapshot
        assert only_types is None or only_types.ip_type is None  # no type of the address was stated by then
        assert any(each.build.built_at <= at and found.asn in each.types for each in types.builds)
    if found.ip_type is None:
        assert plain.ip_type is None


@given(histories(), network_types(), moments)
def test_a_type_by_network_is_one_that_a_build_states_about_the_chosen_network(
    history: list[IpObservation], types: NetworkTypes, at: datetime
) -> None:
    """No type is invented, and the snapshot names the build."""
    found = AsOfReader(network_types=types).read(history, at=at).snapshot
    labels = [label for label in found.source.split() if label.startswith("network-types")] if found else []

    assert len(labels) <= 1
    for label in labels:
        assert found is not None
        assert any(e.build.label == label and e.types.get(found.asn or 0) is found.ip_type for e in types.builds)


@pytest.mark.parametrize(
    ("name", "ip_type"),
    [("network-types", IpType.VPN), ("network-types", TOR), ("network-types", IpType.PROXY), ("other", HOSTING)],
)
def test_only_kinds_of_networks_can_be_stated_about_one(name: str, ip_type: IpType) -> None:
    """A whole network is no Tor exit, and a source of networks is known by its name."""
    with pytest.raises(InvalidFact):
        network_build(NOON, {1: ip_type}, name)


def test_only_registered_builds_are_kept() -> None:
    """By label."""
    types = NetworkTypes((network_build(NOON, {1: HOSTING}), network_build(NOON + DAY, {1: HOSTING})))

    assert [o.observed_at for o in types.with_labels(frozenset({"network-types@2026-03-02T12:00"})).about(1)] == [
        NOON + DAY
    ]
