"""The ranking of IP types."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.ip_type import ALIASES, IpType, IpTypePriority
from tests.strategies import ip_types, type_sets

RANKING = IpTypePriority()


def test_the_ranking_of_ip_types_is_the_specified_one() -> None:
    """VPN before Tor, Tor before proxy, and so on down to mobile."""
    assert [kind.value for kind in RANKING.ranking] == ["VPN", "TOR", "PROXY", "DATACENTER", "RESIDENTIAL", "MOBILE"]


@given(st.lists(ip_types))
@example([])
@example([IpType.DATACENTER, IpType.TOR])
def test_the_order_of_types_is_irrelevant(types: list[IpType]) -> None:
    """The type of an address does not depend on which list was read first."""
    assert RANKING.highest_ranked(types) is RANKING.highest_ranked(types[::-1])


@given(type_sets, ip_types)
@example(frozenset(), IpType.MOBILE)
def test_adding_a_type_never_lowers_the_result(types: frozenset[IpType], more: IpType) -> None:
    """More data about an address never hides its type."""
    before = RANKING.highest_ranked(types)
    after = RANKING.highest_ranked(types | {more})

    assert after in {before, more}
    assert before is None or RANKING.ranking.index(after) <= RANKING.ranking.index(before)


@given(st.permutations(list(IpType)))
def test_the_first_type_in_the_ranking_is_chosen(order: list[IpType]) -> None:
    """An operator may set another ranking."""
    assert IpTypePriority(ranking=tuple(order)).highest_ranked(list(IpType)) is order[0]


@pytest.mark.parametrize("ranking", [(), tuple(IpType)[:-1], (*IpType, IpType.TOR), (IpType.TOR,) * len(IpType)])
def test_a_ranking_names_every_type_exactly_once(ranking: tuple[IpType, ...]) -> None:
    """A ranking with a hole would lose a fact."""
    with pytest.raises(InvalidPolicy):
        IpTypePriority(ranking=ranking)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("hosting", IpType.DATACENTER),
        ("Tor Exit Node", IpType.TOR),
        ("private-relay", IpType.PROXY),
        ("VPN", IpType.VPN),
        ("cellular", IpType.MOBILE),
        ("Dialup", IpType.RESIDENTIAL),
        ("Cable/DSL", IpType.RESIDENTIAL),
        ("Satellite", IpType.RESIDENTIAL),
        ("residential_isp", IpType.RESIDENTIAL),
        ("ISP/MOB", IpType.RESIDENTIAL),
        ("relay", IpType.PROXY),
        ("consumer_privacy_network", IpType.PROXY),
        ("search_engine_spider", IpType.DATACENTER),
        ("business", None),
        ("education", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_a_type_name_of_a_provider_is_mapped_or_dropped(word: str, kind: IpType | None) -> None:
    """A name without a mapping is unknown, and never "residential"."""
    assert IpType.named(word) is kind


def test_the_codes_of_ip2proxy_are_those_of_proxies() -> None:
    """RES is a residential proxy there: read as a residential line it would hide the proxy."""
    codes = {code: IpType.named(code) for code in ("VPN", "TOR", "PUB", "WEB", "DCH", "SES", "RES", "CPN", "EPN")}

    assert codes == {
        "VPN": IpType.VPN,
        "EPN": IpType.VPN,
        "TOR": IpType.TOR,
        "PUB": IpType.PROXY,
        "WEB": IpType.PROXY,
        "RES": IpType.PROXY,
        "CPN": IpType.PROXY,
        "DCH": IpType.DATACENTER,
        "SES": IpType.DATACENTER,
    }
    usage = {code: IpType.named(code) for code in ("ISP", "MOB", "DCH", "CDN", "EDU", "GOV", "COM")}
    assert [code for code, kind in usage.items() if kind is None] == ["EDU", "GOV", "COM"]


def test_every_alias_is_in_its_normalized_form() -> None:
    """An alias with a capital or a hyphen would never be found."""
    assert all(IpType.named(word) is kind for word, kind in ALIASES.items())
