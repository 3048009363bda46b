"""Which answers hold today."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.freshness import CurrentSince, Freshness, FreshnessPolicy
from tests.strategies import NOON

spans = st.sampled_from([0, 14, 120, 400]).flatmap(
    lambda days: st.integers(-1, 1).map(lambda n: timedelta(days=days, microseconds=n))
)


@given(st.none() | st.sampled_from(IpType), spans)
def test_an_observation_is_valid_until_it_expires(ip_type: IpType | None, age: timedelta) -> None:
    """By IP type and for networks, as `inventory status` shows it."""
    since = CurrentSince.at(NOON)
    oldest = since.types[ip_type] if ip_type is not None else since.network

    assert (NOON - age >= oldest) == (FreshnessPolicy().freshness_of(age, ip_type) is not Freshness.EXPIRED)


def test_an_answer_without_a_type_is_valid_as_long_as_the_shortest_lived_type() -> None:
    """It may be that the last statement of a type has expired."""
    assert CurrentSince.at(NOON).no_type == NOON - timedelta(days=14)
