"""What cowrieprocessor's enrichment wrote, in all of its shapes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.intel.cowrieprocessor_documents import facts_in_document
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts

VPN, TOR, HOSTING = IpType.VPN, IpType.TOR, IpType.DATACENTER
SPUR = ["Example", "", "", "", "", "", "", "", "", ["MOBILE", "vpn"], "HOSTING", *[""] * 7]


@pytest.mark.parametrize(
    ("document", "asn", "country"),
    [
        ({"maxmind": {"asn": 1, "country": "cn"}, "cymru": {"asn": 2, "country": "DE"}}, 1, "CN"),
        ({"maxmind": {"asn": None, "country": ""}, "cymru": {"asn": "AS2", "country": "DE"}}, 2, "DE"),
        ({"dshield": {"ip": {"asn": "64500", "ascountry": "US"}}}, 64500, "US"),
        ({"dshield": {"ip": {"as": 64500, "ascountry": "XX"}}}, 64500, None),
        ({"dshield": {"asnum": 64500, "ascountry": "fr"}}, 64500, "FR"),
        ({"maxmind": {"asn": 0, "country": "CHINA"}}, None, None),
        ({"maxmind": "error", "cymru": None, "dshield": []}, None, None),
        ({"cymru": {"asn": "13335 15169"}}, None, None),
    ],
)
def test_networks_and_countries_come_from_the_first_provider_that_states_them(
    document: object, asn: int | None, country: str | None
) -> None:
    """The empty string and XX state nothing, and case does not matter."""
    facts = facts_in_document(document)

    assert (facts.asn, facts.country) == (asn, country)


@pytest.mark.parametrize(
    ("document", "types"),
    [
        ({"spur": SPUR}, {IpType.MOBILE, VPN}),
        ({"spur": [""] * 18}, set()),
        ({"spur": {"client": {"types": "VPN"}}}, {VPN}),
        ({"spur": {"client": {"types": ["DATACENTER", "TOR"]}}}, {HOSTING, TOR}),
        ({"spur": "vpn"}, {VPN}),
        ({"ip_classification": {"ip_type": "cloud", "confidence": 0.99}}, {HOSTING}),
        ({"ip_classification": {"ip_type": "unknown"}}, set()),
        ({"ip_classification": {"ip_type": "residential", "confidence": 0.7}}, {IpType.RESIDENTIAL}),
        ({"ip_classification": {"ip_type": "residential", "confidence": 0.5}}, set()),
        ({"ip_types": ["TOR", "scanner", 5]}, {TOR}),
        ({"ip_types": ["residential_isp", "relay"]}, {IpType.RESIDENTIAL, IpType.PROXY}),
        ({"spur": ["a", "b", "c", "DATACENTER"]}, {HOSTING}),
    ],
)
def test_types_are_united_from_every_place(document: object, types: set[IpType]) -> None:
    """Three shapes of one source, and two others."""
    assert facts_in_document(document).ip_types == types


def test_the_name_of_a_network_is_stored() -> None:
    """Only with its number."""
    assert facts_in_document({"maxmind": {"asn": 1, "asn_org": "Example"}}) == IpFacts(asn=1, organization="Example")
    assert facts_in_document({"maxmind": {"asn_org": "Example"}}) == IpFacts()


KEYS = ["maxmind", "cymru", "dshield", "ip", "asn", "as", "country", "ascountry", "spur", "client", "types", "ip_types"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_no_document_raises_an_error(document: object) -> None:
    """Whatever the column contains."""
    facts_in_document(json.loads(json.dumps(document)))
