"""Until when tables are valid for new attacks."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.facts.fact_kind import FactKind, kinds_in_list
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.validity import NewestBuild, validity_of
from tests.strategies import DAY, NOON, observed

READER = AsOfReader(max_lag=timedelta(0))


def build(name: str = "a", day: int = 0, form: str = "") -> SourceBuild:
    return SourceBuild(name=name, built_at=NOON + day * DAY, licence="MIT", sha256="00", origin="x", form=form)


@given(st.sampled_from(FactKind), st.integers(0, 500 * 86_400))
def test_a_fact_is_expired_for_the_attacks_that_a_reading_leaves_without_it(kind: FactKind, seconds: int) -> None:
    """The warning and the facts of the sessions never differ."""
    attack = NOON + timedelta(seconds=seconds)
    observation = observed(
        "a",
        NOON,
        asn=1 if kind is FactKind.ASN else None,
        country="DE" if kind is FactKind.COUNTRY else None,
        types=frozenset({kind.ip_type} if kind.ip_type is not None else ()),
    )

    (validity,) = validity_of([NewestBuild(build(), [kind])], READER)

    assert validity.is_expired(attack) == (READER.read([observation], at=attack).snapshot is None)


def test_the_newest_build_of_all_sources_counts() -> None:
    """A fresh list of Tor exits replaces an old one of another source; kinds that no source states are absent."""
    kinds = [FactKind.TOR, FactKind.VPN]

    found = validity_of([NewestBuild(build("b", day=5), kinds[:1]), NewestBuild(build(), kinds)], READER)

    assert [(each.kind, each.build.name, each.valid_until) for each in found] == [
        (FactKind.VPN, "a", NOON + 14 * DAY),
        (FactKind.TOR, "b", NOON + 19 * DAY),
    ]


@pytest.mark.parametrize("ip_type", IpType)
def test_a_list_states_its_type_before_an_address_is_found_in_it(ip_type: IpType) -> None:
    """The form of other tables does not state their facts."""
    assert kinds_in_list(build(form=f"list {ip_type.value}")) == {FactKind(ip_type.value)}
    assert kinds_in_list(build(form="ranges")) == set()
