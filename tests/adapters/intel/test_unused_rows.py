"""Rows of tables that are not used, or only in part: counted by the reason in every layout, and never wrong facts."""

import gzip
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from snapshots.adapters.intel.open_table import ImportOptions, open_table
from snapshots.app.errors import SettingRefused, SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType

ASKED = [IpAddress(text) for text in ("1.1.1.1", "8.8.8.8", "45.133.1.7", "91.200.12.5", "2a0b:f4c2::1")]
CONTINENT = "with a continent in place of the country"
PART = "with an unknown country or an invalid ASN, but another fact"


TWO_SETS = "table inet x {\n set good {\n elements = { 1.1.1.1 }\n }\n set bad {\n elements = { 8.8.8.8 }\n}\n}\n"
NFT = """table inet filter {
\tset tor4 {
\t\ttype ipv4_addr
\t\telements = { 1.1.1.1 timeout 1d,
\t\t\t     8.8.8.0/24 }
\t}
\tset tor6 {
\t\telements = { 2a0b:f4c2::1-2a0b:f4c2::9 } # all
\t}
}
"""


def facts_in(path: Path, ip_type: IpType | None = None) -> tuple[Mapping[str, str], Mapping[str, int]]:
    """Return the facts of some addresses as text, and the numbers of rows that are not used."""
    source = open_table(path, ImportOptions(ip_type=ip_type))
    found: dict[str, str] = {}
    for address, facts in source.look_up(ASKED).items():
        types = (kind.value for kind in IpType if kind in facts.ip_types)
        text = " ".join(map(str, filter(None, (facts.asn, facts.organization, facts.country, *types))))
        found |= {address.text: text} if text else {}
    return found, source.unused


@pytest.mark.parametrize(
    ("content", "expected", "unused"),
    [
        (
            "network,asn,country\n1.1.1.0/24,1,OC\n8.8.8.0/24,2,NA\n45.133.1.0/24,3,EU\n",
            {"1.1.1.1": "1", "8.8.8.8": "2", "45.133.1.7": "3"},
            {CONTINENT: 3},
        ),
        (
            "network,country_code\n1.1.1.0/24,OC\n8.8.8.0/24,NA\n45.133.1.0/24,DE\n",
            {"45.133.1.7": "DE"},
            {CONTINENT: 2},
        ),
        ("network,country\n1.1.1.0/24,NA\n8.8.8.0/24,US\n", {"1.1.1.1": "NA", "8.8.8.8": "US"}, {}),
        ("network,country_code\n1.1.1.0/24,NA\n8.8.8.0/24,NA\n", {"1.1.1.1": "NA", "8.8.8.8": "NA"}, {}),
        (
            "1.1.1.0,1.1.1.255,5,NA\n8.8.8.0,8.8.8.255,6,EU\n",
            {"1.1.1.1": "5", "8.8.8.8": "6"},
            {},
        ),
        ("network,asn,country\n1.1.1.0/24,1,Australia\n8.8.8.0/24,2,\n", {"1.1.1.1": "1", "8.8.8.8": "2"}, {PART: 1}),
        ("network,asn,country\n1.1.1.0/24,1.0,AU\n8.8.8.0/24,2,US\n", {"1.1.1.1": "AU", "8.8.8.8": "2 US"}, {PART: 1}),
        ("ip,type\n1.1.1.1,vpn\n8.8.8.8,clean\n45.133.1.7,business\n", {"1.1.1.1": "VPN"}, {"without a fact": 2}),
        ("network,is_vpn,is_tor\n1.1.1.0/24,1,0\n8.8.8.0/24,0,no\n", {"1.1.1.1": "VPN"}, {"without a fact": 1}),
        ("network,asn\n1.1.1.0/24,1\n1.1.1.0/24,1\n8.8.8.0/24,2\n", {"1.1.1.1": "1", "8.8.8.8": "2"}, {"repeated": 1}),
        (
            "network,asn\n1.1.1.0/24,1\n1.1.1.0/24,2\n",
            {"1.1.1.1": "2"},
            {"replaced by a later row with the same range": 1},
        ),
        ("network,asn,country\n1.1.1.0/24,1,\n1.1.1.0/24,,AU\n", {"1.1.1.1": "1 AU"}, {}),
        (
            "0.0.0.0/0,AS1\n1.1.1.0/24,AS2\n2000::/3,AS3\n",
            {"1.1.1.1": "2"},
            {"for a range that is too wide, such as a default route": 2},
        ),
        (
            "start_ip,end_ip,join_key,hosting,vpn\n1.1.1.0,1.1.1.255,1.1.0.0,true,false\n",
            {"1.1.1.1": "DATACENTER"},
            {},
        ),
        (
            "ip,usage type\n1.1.1.1,Data Center/Web Hosting/Transit\n8.8.8.8,Fixed Line ISP\n45.133.1.7,Mobile ISP\n",
            {"1.1.1.1": "DATACENTER", "8.8.8.8": "RESIDENTIAL", "45.133.1.7": "MOBILE"},
            {},
        ),
        (
            "1.1.1.0/24,AU,,,\n8.8.8.0/24,US,,,\n91.200.12.0/24,,,,\n",
            {"1.1.1.1": "AU", "8.8.8.8": "US"},
            {"without a fact": 1},
        ),
    ],
)
def test_rows_that_are_not_used_are_counted_by_the_reason(
    tmp_path: Path, content: str, expected: Mapping[str, str], unused: Mapping[str, int]
) -> None:
    """Continents, other notations, negative answers, repeated ranges and default routes; the other facts are used."""
    path = tmp_path / "a-2026-03-01.csv"
    path.write_text(content)

    assert facts_in(path) == (expected, unused)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", "network,country\n1.1.1.0/24,OC\n8.8.8.0/24,NA\n", f"2 rows {CONTINENT}"),
        ("a.csv", "network,country\n8.8.8.0/24,NA\n9.0.0.0/8,AF\n", f"2 rows {CONTINENT}"),
        ("a.csv", "ip,type\n1.1.1.1,clean\n8.8.8.8,clean\n", "2 rows without a fact"),
        ("a.csv", "network,is_vpn\n1.1.1.1,0\n", "1 rows without a fact"),
        ("a.csv", "network,asn,country\n", "contains a header and no rows"),
        ("a.txt", "# nothing\n", "is empty: it contains only comments"),
        ("a.csv", "0.0.0.0/0,AS1\n", "too wide, such as a default route"),
        ("details.json", '{"relays": [{"or_addresses": ["1.1.1.1:1"]}]}', "for relays without flags"),
        ("a.nft", TWO_SETS, "several sets .'good', 'bad'.: write each"),
        ("a.ipset", "create x hash:ip\nadd allowed 1.1.1.1\nadd tor 8.8.8.8\n", "several sets .'allowed', 'tor'."),
    ],
)  # fmt: skip
def test_a_table_without_a_fact_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    """A table that would import nothing, or what it does not mean, is not imported."""
    path = tmp_path / f"2026-03-01-{name}"
    path.write_text(content)
    ip_type = None if name == "a.csv" else IpType.TOR

    with pytest.raises(SourceUnreadable, match=problem):
        open_table(path, ImportOptions(ip_type=ip_type))


def test_a_type_is_not_given_to_addresses_that_a_table_calls_clean(tmp_path: Path) -> None:
    """The table has a column of types, although it names none."""
    path = tmp_path / "a-2026-03-01.csv"
    path.write_text("ip,type\n1.1.1.1,clean\n8.8.8.8,\n")

    with pytest.raises(SettingRefused, match="states types itself"):
        open_table(path, ImportOptions(ip_type=IpType.VPN))


@pytest.mark.parametrize(
    "content",
    [
        NFT,
        "add element inet filter tor { 1.1.1.1 }\nadd element inet filter tor { 8.8.8.8, 2a0b:f4c2::1 }\n",
        "define tor = { 1.1.1.1, 8.8.8.8,\n 2a0b:f4c2::1 }\n",
        "add tor-v4 1.1.1.1\nadd tor-v4 8.8.8.8 timeout 300\nadd tor-v6 2a0b:f4c2::1\n",
    ],
)
def test_a_set_of_a_firewall_is_a_list(tmp_path: Path, content: str) -> None:
    """Of nftables or ipset; the sets of both IP versions are one."""
    path = tmp_path / "tor-2026-03-01.txt"
    path.write_text(content)

    assert facts_in(path, IpType.TOR) == (dict.fromkeys(("1.1.1.1", "8.8.8.8", "2a0b:f4c2::1"), "TOR"), {})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_table_in_unicode_of_windows_is_read(tmp_path: Path, encoding: str) -> None:
    """With or without a mark of the order of bytes."""
    path = tmp_path / "a-2026-03-01.csv"
    path.write_bytes("network\tcountry\r\n1.1.1.0/24\tAU\r\n".encode(encoding))

    assert facts_in(path)[0] == {"1.1.1.1": "AU"}


def test_an_archive_of_tables_with_different_facts_is_refused(tmp_path: Path) -> None:
    """As one table, the facts of one would hide those of the other."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("asn.csv", "network,asn\n1.1.1.0/24,1\n")
        file.writestr("country.csv", "network,country\n1.1.1.0/24,AU\n")
    path = tmp_path / "a-2026-03-01.zip"
    path.write_bytes(archive.getvalue())

    with pytest.raises(SourceUnreadable, match=r"several kinds of facts .asn.csv, country.csv.: extract it"):
        open_table(path, ImportOptions())


def test_an_incomplete_download_is_named(tmp_path: Path) -> None:
    """With what to do; an archive without files contains no table."""
    path = tmp_path / "a-2026-03-01.csv.gz"
    path.write_bytes(gzip.compress(b"1.1.1.0/24,AU\n" * 999)[:-9])
    with pytest.raises(SourceUnreadable, match="damaged or incomplete, so download it again"):
        open_table(path, ImportOptions())

    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(SourceUnreadable, match="contains no table"):
        open_table(tmp_path / "empty.zip", ImportOptions())
