"""Tables in the layouts that operators have."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.intel.layouts.addresses import NotABlock, block_of
from snapshots.adapters.intel.open_table import ImportOptions, open_again, open_table
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from tests.table_layouts import EXAMPLES, LISTS, SINGLE, Example, Range

REFERENCE = (
    Range(
        first=int(IPv4Address("1.0.0.0")),
        last=int(IPv4Address("1.0.0.255")),
        asn=13335,
        name="Cloud, Inc.",
        country="AU",
    ),
    Range(first=int(IPv4Address("8.8.8.0")), last=int(IPv4Address("8.8.9.255")), asn=4_200_000_000, country="US"),
    Range(first=int(IPv4Address("45.133.1.6")), last=int(IPv4Address("45.133.1.7")), country="GB", ip_type=IpType.VPN),
    Range(
        first=int(IPv6Address("2600:9000::")),
        last=int(IPv6Address("2600:9000:ffff:ffff:ffff:ffff:ffff:ffff")),
        country="NA",
        ip_type=IpType.TOR,
        version=6,
    ),
)
"""NA is Namibia, and also the code of a continent."""

ALL = {**EXAMPLES, **LISTS, **SINGLE}


def written(folder: Path, example: Example, ranges: Sequence[Range]) -> Path:
    path = folder / example.file
    data = example.write(ranges)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def address(each: Range, number: int) -> IpAddress:
    return IpAddress.parse(str((IPv4Address if each.version == 4 else IPv6Address)(number)))


def supported(example: Example, ranges: Sequence[Range]) -> list[Range]:
    return [each for each in ranges if each.version in example.versions]


def check(folder: Path, layout: str, ranges: Sequence[Range]) -> None:
    """Check that the table states the facts of the ranges, and nothing about the addresses around them."""
    example = ALL[layout]
    ip_type = None if example.implied or layout in EXAMPLES else IpType.VPN
    source = open_table(written(folder, example, ranges), ImportOptions(ip_type=ip_type))
    again = open_again(source.build)
    for each in ranges:
        numbers = {each.first} if layout in SINGLE else {each.first, (each.first + each.last) // 2, each.last}
        for number in numbers:
            asked = address(each, number)
            assert source.look_up([asked])[asked] == example.facts(each, ip_type), asked
            assert again.look_up([asked]) == source.look_up([asked])
    for each in ranges:
        for number in (each.first - 1, each.last + 1, *([each.first + 1] if layout in SINGLE else [])):
            if not any(
                r.first <= number <= r.last for r in ranges if r.version == each.version and layout not in SINGLE
            ):
                assert source.look_up([address(each, number)]) == {}


@pytest.mark.parametrize("layout", ALL)
def test_a_table_of_each_layout_is_taken_as_it_is(tmp_path: Path, layout: str) -> None:
    """With the facts that it states, types too; both ends of each range, and the addresses between them."""
    check(tmp_path, layout, supported(ALL[layout], REFERENCE))


@st.composite
def disjoint(draw: st.DrawFn) -> list[Range]:
    """Draw ranges of IPv4 that do not overlap and do not touch."""
    gaps = draw(st.lists(st.tuples(st.integers(2, 9000), st.integers(0, 700)), min_size=1, max_size=12))
    at, ranges = int(IPv4Address("11.0.0.0")), []
    for gap, size in gaps:
        first = at + gap
        at = first + size
        ranges.append(
            Range(
                first=first,
                last=at,
                asn=draw(st.integers(1, 2**32 - 1)),
                name=draw(st.sampled_from(["Example", "A, B & C", 'The "Net"', "Телеком", "x;y"])),
                country=draw(st.sampled_from(["DE", "NA", "AS", "SA", "AF", "US", "IN"])),
                ip_type=draw(st.sampled_from([IpType.VPN, IpType.DATACENTER])),
            )
        )
    return ranges


NEEDS_MIXED_COUNTRIES = {"asn-and-country", "dbip-country", "ip2location-cidr"}
"""Layouts in which codes that are all codes of continents are not read as countries."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(layout=st.sampled_from(sorted(ALL)), ranges=disjoint())
def test_any_ranges_are_read_from_each_layout_as_they_were_written(
    tmp_path: Path, layout: str, ranges: list[Range]
) -> None:
    """The reference states the same facts about the same addresses."""
    if layout in NEEDS_MIXED_COUNTRIES:
        ranges = [Range(first=1, last=2, country="DE"), *ranges]
    check(tmp_path, layout, ranges)


def test_a_line_that_is_too_long_is_cut(tmp_path: Path) -> None:
    """Its rest is no line of its own."""
    path = tmp_path / "a-2026-03-01.csv"
    path.write_text(f"1.0.0.0,1.0.0.255,64500,{'x' * 3_000_000}\n8.8.8.0,8.8.8.255,64501,B\n")

    source = open_table(path, ImportOptions())

    assert source.look_up([IpAddress("8.8.8.8")])[IpAddress("8.8.8.8")].asn == 64501
    assert source.unused == {}


@pytest.mark.parametrize("header", ["", "ip_from,ip_to,country_code,country_name\n"])
def test_a_small_number_of_a_table_of_ipv6_is_an_ipv6_address(tmp_path: Path, header: str) -> None:
    """Its first row begins with 0 and ends before the IPv4-mapped addresses."""
    path = tmp_path / "IP2LOCATION-LITE-DB1.IPV6-2026-03-01.csv"
    path.write_text(f"{header}0,281470681743359,-,-\n281470698520576,281470698520831,AU,Australia\n")

    source = open_table(path, ImportOptions())

    assert source.unused == {"without a fact": 1}
    assert source.look_up([IpAddress("1.0.0.9")])[IpAddress("1.0.0.9")].country == "AU"


def test_relays_of_unknown_use_are_no_exits(tmp_path: Path) -> None:
    """An exit has the flag, a probability, or addresses from which it leaves."""
    path = tmp_path / "details-2026-03-01.json"
    path.write_text(
        '{"relays": [{"or_addresses": ["1.0.0.1:9001", "[2a00::1]:9001"], "flags": ["Exit"], "exit_addresses": null},'
        ' {"or_addresses": ["1.0.0.2:9001"], "exit_probability": 0.1}, {"or_addresses": ["1.0.0.3:1"], "flags": null}]}'
    )
    asked = [IpAddress(text) for text in ("1.0.0.1", "1.0.0.2", "1.0.0.3", "2a00::1")]

    source = open_table(path, ImportOptions())

    assert set(source.look_up(asked)) == {asked[0], asked[1], asked[3]}
    assert source.unused == {"for relays that are not exits": 1}


def test_pairs_of_addresses_are_no_ranges(tmp_path: Path) -> None:
    """They would type everything between them."""
    path = tmp_path / "a.txt"
    path.write_text("8.8.8.8 45.133.1.7\n1.0.0.1 9.9.9.9\n")

    with pytest.raises(SourceUnreadable, match="nor a table of a known layout"):
        open_table(path, ImportOptions(ip_type=IpType.VPN))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("1.2.3.4", "1.2.3.4", "1.2.3.4"),
        ("1.2.3.4/24", "1.2.3.0", "1.2.3.255"),
        ("1.2.3.4/255.255.255.0", "1.2.3.0", "1.2.3.255"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.9"),
        ("1.2.3.4:3128:user:password", "1.2.3.4", "1.2.3.4"),
        ("socks5://user@1.2.3.4:1080/", "1.2.3.4", "1.2.3.4"),
        ("2001:db8::/127", "2001:db8::", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1", "2001:db8::1"),
        ("2001:db8::1:80", "2001:db8::1:80", "2001:db8::1:80"),
        ("fe80::1%eth0", "fe80::1", "fe80::1"),
        ("::ffff:1.2.3.0/120", "1.2.3.0", "1.2.3.255"),
    ],
)
def test_an_address_is_written_in_many_ways(text: str, first: str, last: str) -> None:
    """An IPv4-mapped address is IPv4."""
    block = block_of(text)
    kind = IPv4Address if block.version == 4 else IPv6Address

    assert (str(kind(block.first)), str(kind(block.last))) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4/33",
        "1.2.3.4/x",
        "12345",
        "5/8",
        "1.2.3.9-1.2.3.4",
        "::/129",
        "1.2.3.4-::1",
        "::ffff:1.2.3.0/95",
        "01.2.3.4",
        "1.2.3.4/255.0.255.0",
        "http://1.2.3.4/x",
        "1e5",
        "9" * 40,
        ":::",
    ],
)
def test_other_texts_are_no_addresses(text: str) -> None:
    """Also a lone number, and octets that some programs read as octal."""
    with pytest.raises(NotABlock):
        block_of(text)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_blocks_are_those_of_the_standard_library(four: int, short: int, six: int, long: int) -> None:
    """For any address and any length."""
    for address, length in ((IPv4Address(four), short), (IPv6Address(six), long)):
        network = ip_network(f"{address}/{length}", strict=False)
        if isinstance(network[0], IPv6Address) and network[0].ipv4_mapped is not None:
            continue
        assert block_of(f"{address}/{length}") == (network.version, int(network[0]), int(network[-1]))
