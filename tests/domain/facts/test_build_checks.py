"""Which builds of a source are refused."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.build_checks import (
    SAMPLE,
    WELL_KNOWN,
    YEAR,
    refused_changes,
    refused_share,
    refused_size,
    wrong_well_known,
)
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts

NOW = datetime(2026, 10, 1, tzinfo=UTC)
COVERED = dict.fromkeys(SAMPLE, IpFacts(asn=1, country="DE"))
RIGHT = {each.address: IpFacts(asn=each.asn, country=each.country) for each in WELL_KNOWN}
NOWHERE = timedelta(0)


def without(*texts: str) -> Mapping[IpAddress, IpFacts]:
    return {address: facts for address, facts in RIGHT.items() if address.text not in texts}


def test_a_table_of_all_addresses_knows_the_well_known_ones() -> None:
    """One may be missing or different, two may not."""
    assert wrong_well_known(COVERED, RIGHT, NOW) == ""
    assert wrong_well_known(COVERED, without("8.8.8.8"), NOW) == ""

    assert wrong_well_known(COVERED, without("8.8.8.8", "193.0.6.139"), NOW) == (
        "8.8.8.8 is AS- and not AS15169, 193.0.6.139 is AS- and not AS3333"
    )


def test_countries_of_well_known_addresses_are_checked_too() -> None:
    """Of a table that has no ASNs, and of one whose ASNs are right."""
    countries = dict.fromkeys(SAMPLE, IpFacts(country="DE"))
    shifted = {each.address: IpFacts(asn=each.asn, country="FR") for each in WELL_KNOWN}

    for sample in (countries, COVERED):
        assert "8.8.8.8 is in FR and not in US" in wrong_well_known(sample, shifted, NOW)
    assert wrong_well_known(countries, RIGHT, NOW) == ""


def test_a_table_that_covers_a_part_is_not_asked() -> None:
    """A list of a region, or of types, does not state these networks."""
    part = dict(list(COVERED.items())[: len(SAMPLE) // 3])

    assert wrong_well_known(part, {}, NOW) == ""
    assert wrong_well_known(dict.fromkeys(SAMPLE, IpFacts(ip_types=frozenset({IpType.VPN}))), {}, NOW) == ""


def test_old_tables_are_asked_for_what_was_true_then() -> None:
    """Cloudflare's address had another network before 2018."""
    old = datetime(2009, 6, 1, tzinfo=UTC)

    assert wrong_well_known(COVERED, without("8.8.8.8", "1.1.1.1"), old) == ""


def test_the_sample_covers_the_routable_addresses() -> None:
    """About a thousand, in all parts."""
    assert 900 < len(SAMPLE) < 1100
    assert all(address.is_routable for address in SAMPLE)
    assert len({address.text.partition(".")[0] for address in SAMPLE}) > 200


@pytest.mark.parametrize(
    ("before", "now", "days", "is_refused"),
    [
        (500_000, 514_000, 0, False),
        (500_000, 516_000, 0, True),
        (500_000, 484_000, 0, True),
        (500_000, 550_000, 365, False),
        (500_000, 250_000, 30, True),
        (100_000, 400_000, 11 * 365, False),
        (9_000, 3_100, 0, False),
        (9_000, 2_900, 0, True),
        (9_000, 90_000, 0, False),
        (99, 1, 0, False),
        (0, 500_000, 0, False),
    ],
)
def test_the_number_of_ranges_changes_slowly(before: int, now: int, days: int, *, is_refused: bool) -> None:
    """By 3 % at once and more over time; small lists may grow, but not lose most of their ranges."""
    assert bool(refused_size(before, now, timedelta(days=days))) is is_refused


@given(st.integers(0, 10**7), st.integers(0, 4000))
def test_the_same_number_of_ranges_is_never_refused(size: int, days: int) -> None:
    """At any distance."""
    assert refused_size(size, size, timedelta(days=days)) == ""


def pairs(changed: int, of: int, before: IpFacts, now: IpFacts) -> list[tuple[IpFacts, IpFacts]]:
    return [(before, now)] * changed + [(before, before)] * (of - changed)


def test_few_facts_change_between_two_builds() -> None:
    """A tenth, and another tenth each year; of few addresses, nothing follows."""
    german, french = IpFacts(asn=1, country="DE"), IpFacts(asn=1, country="FR")

    assert refused_changes(pairs(10, 100, german, french), NOWHERE) == ""
    assert refused_changes(pairs(11, 100, german, french), NOWHERE) == (
        "it changes the facts of 11 of 100 addresses of the inventory"
    )
    assert refused_changes(pairs(11, 100, german, french), YEAR) == ""
    assert refused_changes(pairs(49, 49, german, french), NOWHERE) == ""
    assert refused_changes([(NO_FACTS, german)] * 100, NOWHERE) == ""
    assert "100 of 100" in refused_changes(pairs(100, 100, german, NO_FACTS), NOWHERE)


def test_the_types_of_a_list_may_change_but_not_all_of_them() -> None:
    """A list in another format would withdraw everything."""
    vpn = IpFacts(ip_types=frozenset({IpType.VPN}))

    assert refused_changes(pairs(90, 100, vpn, NO_FACTS), NOWHERE) == ""
    assert "91 of 100" in refused_changes(pairs(91, 100, vpn, NO_FACTS), NOWHERE)


def test_a_list_types_few_addresses() -> None:
    """The largest lists of data centers have less than a fifth of all."""
    assert refused_share({}) == ""
    assert refused_share({IpType.VPN: 0.005, IpType.DATACENTER: 0.15}) == ""
    assert refused_share({IpType.VPN: 0.5}) == "types 50.0% of all addresses as VPN (usual are at most 1.0%)"
