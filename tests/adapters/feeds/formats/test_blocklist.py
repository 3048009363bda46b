"""Lists of addresses for firewalls."""

import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.feeds.formats.blocklist import RESEARCH_SCANNERS, AllowList, BlockList, Style
from snapshots.app.errors import SourceUnreadable

addresses = st.sets(
    st.integers(0, 40).map(lambda n: str(ip_address(0x08080800 + n)))
    | st.integers(0, 40).map(lambda n: str(ip_address((0x2001_4860 << 96) + n)))
    | st.ip_addresses().map(str)
)
networks = st.sets(
    st.sampled_from(["8.8.8.0/28", "8.8.8.5/32", "2001:4860::/124", "8.8.8.16/30", "2001:4860::3/128", "0.0.0.0/0"])
)


@given(found=addresses, allowed=networks)
def test_a_list_of_blocks_has_exactly_the_addresses_that_are_not_allowed(found: set[str], allowed: set[str]) -> None:
    """No block is wider, none can be joined with another, and the rest is counted."""
    allowed_networks = [ip_network(text) for text in allowed]
    expected = {text for text in found if not any(ip_address(text) in network for network in allowed_networks)}
    made = BlockList(sorted(found), AllowList(allowed_networks))

    blocks = [ip_network(line) for line in made.lines(Style.CIDR)]

    members = [str(address) for block in blocks for address in block]
    assert len(members) == len(set(members))
    assert set(members) == {str(ip_address(text)) for text in expected}
    assert (made.count, made.removed) == (len(expected), len(found) - len(expected))
    for one, other in pairwise(blocks):
        assert not (
            one.version == other.version and one.prefixlen == other.prefixlen and one.supernet() == other.supernet()
        )
    assert set(BlockList(sorted(found), AllowList(allowed_networks)).lines(Style.PLAIN)) == set(members)


FOUND = [*(f"8.8.8.{n}" for n in range(20)), "9.9.9.9", "2001:4860::1"]


@pytest.mark.parametrize("found", [FOUND, FOUND[:1], []])
def test_a_set_for_nftables_is_valid(found: list[str], tmp_path: Path) -> None:
    """By its syntax, and by nft itself where it is installed and may run."""
    text = "".join(f"{line}\n" for line in BlockList(found, AllowList()).lines(Style.NFTABLES))

    statement = (
        r"add table inet \w+|(?:add|flush) set inet \w+ \w+(?: \{ [^{}]* \})?|add element inet \w+ \w+ \{\n[^{}]*\}"
    )
    assert re.fullmatch(rf"(?:(?:{statement})\n)+", text)
    assert text.count("flush set") == 2
    if (nft := shutil.which("nft")) is not None:
        (tmp_path / "list.nft").write_text(text)
        done = subprocess.run([nft, "-c", "-f", tmp_path / "list.nft"], check=False, capture_output=True, text=True)
        assert done.returncode == 0 or "Operation not permitted" in done.stderr, done.stderr


def test_a_set_for_ipset_is_filled_before_it_is_swapped() -> None:
    """So that packets are matched at all times."""
    lines = list(BlockList(FOUND, AllowList()).lines(Style.IPSET))

    assert [line for line in lines if not line.startswith("add ")] == [
        f"{command}{version}{rest}"
        for version, family in ((4, "inet"), (6, "inet6"))
        for command, rest in (
            ("create cowrie_attackers", f" hash:net family {family} maxelem 4194304 -exist"),
            ("create cowrie_attackers", f"-new hash:net family {family} maxelem 4194304 -exist"),
            ("flush cowrie_attackers", "-new"),
            ("swap cowrie_attackers", f"-new cowrie_attackers{version}"),
            ("destroy cowrie_attackers", "-new"),
        )
    ]
    assert [line.split()[1:] for line in lines if line.startswith("add ")] == [
        ["cowrie_attackers4-new", "8.8.8.0/28"],
        ["cowrie_attackers4-new", "8.8.8.16/30"],
        ["cowrie_attackers4-new", "9.9.9.9"],
        ["cowrie_attackers6-new", "2001:4860::1"],
    ]


def test_an_allow_list_has_comments_and_no_nonsense(tmp_path: Path) -> None:
    """A wrong line is named; a block may be written with host bits."""
    path = tmp_path / "allow.txt"
    path.write_text("\ufeff# ours\n192.0.2.7/24 ; office\n\n2001:db8::1 # home\n")

    allowed = AllowList.read(path)

    assert ip_address("192.0.2.200") in allowed
    assert ip_address("2001:db8::1") in allowed
    assert ip_address("2001:db8::2") not in allowed
    path.write_text("192.0.2.1\nexample.com\n")
    with pytest.raises(SourceUnreadable, match=r"line 2 of .* is not an address or a CIDR block: 'example.com'"):
        AllowList.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SourceUnreadable, match="it is not UTF-8 text"):
        AllowList.read(path)
    with pytest.raises(SourceUnreadable, match="No such file"):
        AllowList.read(tmp_path / "missing")


def test_the_bundled_list_of_scanners_has_blocks_only() -> None:
    """A single address may soon be that of an attacker. Lists can be combined."""
    lines = [line for line in RESEARCH_SCANNERS.read_text().splitlines() if line and not line.startswith("#")]
    networks_ = [ip_network(line) for line in lines]

    assert len(networks_) == len(set(networks_)) > 10
    assert all(
        network.num_addresses >= 16 and (network.version == 6 or network.prefixlen >= 24) for network in networks_
    )
    found = ["8.8.8.8", "162.142.125.7", "207.90.244.1", "207.90.245.1"]
    assert list(BlockList(found, AllowList.read(RESEARCH_SCANNERS)).lines(Style.PLAIN)) == ["8.8.8.8", "207.90.245.1"]
