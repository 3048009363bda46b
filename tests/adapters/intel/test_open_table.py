"""Files of facts that operators have, good and bad."""

import gzip
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.intel.layouts.table import Row
from snapshots.adapters.intel.moment_in_name import name_without_moment
from snapshots.adapters.intel.open_table import ImportOptions, open_again, open_table, tables_below
from snapshots.adapters.intel.ranges import RangeSource
from snapshots.adapters.intel.source_registry import FileSourceRegistry
from snapshots.app.errors import SettingRefused, SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts, SourceBuild
from tests.strategies import NOON
from tests.tables import mmdb

DAY = datetime(2026, 3, 1, tzinfo=UTC)
TOR = ImportOptions(as_of=DAY, ip_type=IpType.TOR)
BUILD = SourceBuild(name="a", built_at=NOON, licence="MIT", sha256="00", origin="x")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def facts(path: Path, wish: ImportOptions, *addresses: str) -> list[IpFacts | None]:
    found = open_table(path, wish).look_up([IpAddress(text) for text in addresses])
    return [found.get(IpAddress(text)) for text in addresses]


def test_a_list_has_addresses_blocks_and_ranges_of_both_versions(tmp_path: Path) -> None:
    """And comments and further columns."""
    path = write(
        tmp_path / "exits.txt",
        "# exits\n1.2.3.4\n5.6.7.0/24 ; a block\n9.9.9.1-9.9.9.3\n2a00::1\n2a01::/32,more\n::ffff:8.8.8.8\n"
        "no address\n\n",
    )

    tor = IpFacts(ip_types=frozenset({IpType.TOR}))
    inside = ("1.2.3.4", "5.6.7.255", "9.9.9.2", "2a00::1", "2a01::ffff", "8.8.8.8")
    assert facts(path, TOR, *inside) == [tor] * len(inside)
    assert facts(path, TOR, "1.2.3.5", "9.9.9.4", "2a02::", "0.0.0.0") == [None] * 4
    source = open_table(path, TOR)
    assert (source.unused, source.build.label) == ({"without an address": 1}, "exits@2026-03-01")
    assert source.versions == {4, 6}


def test_a_table_of_ranges_has_networks_or_countries(tmp_path: Path) -> None:
    """With addresses as text or as numbers, after a header; invalid facts are ignored."""
    networks = write(
        tmp_path / "asn-2026-03-01.csv",
        'first,last,asn,org\n1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."\n16843008,16843263,AS64500\n'
        "2a00::,2a00::ffff,4200000000,Big\n1.9.0.0,1.9.0.9,0,Zero\n1.8.0.9,1.8.0.0,1,Backwards\n",
    )
    countries = write(tmp_path / "cc.20260301.csv", "1.0.0.0,1.0.0.255,au\n1.0.1.0,1.0.1.255,ZZ\n")

    assert facts(networks, ImportOptions(), "1.0.0.9", "1.1.1.1", "2a00::1", "1.9.0.1", "1.8.0.1") == [
        IpFacts(asn=13335, organization="Cloudflare, Inc."),
        IpFacts(asn=64500),
        IpFacts(asn=4_200_000_000, organization="Big"),
        None,
        None,
    ]
    assert facts(countries, ImportOptions(), "1.0.0.9", "1.0.1.9") == [IpFacts(country="AU"), None]
    assert open_table(networks, ImportOptions()).build.label == "asn@2026-03-01"
    assert open_table(networks, ImportOptions(name="My Table", as_of=NOON)).build.name == "my-table"


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("network,netmask", "1.0.0.0", "255.255.255.0"),
        ("network,mask", "1.0.0.0", "24"),
        ("ip,last_ip", "1.0.0.0", "1.0.0.255"),
        ("address,end", "1.0.0.0", "1.0.0.255"),
        ("network,broadcast", "1.0.0.0", "1.0.0.255"),
        ("ip,prefixlen", "1.0.0.0", "24"),
        ("subnet,bits", "1.0.0.0", "24"),
        ("network,cidr", "1.0.0.0", "24"),
        ("start_ip,prefix_length", "1.0.0.0", "24"),
        ("ip_prefix,prefix_len", "2a00::", "112"),
    ],
)
def test_the_end_of_a_range_may_have_a_column_of_its_own(tmp_path: Path, header: str, first: str, second: str) -> None:
    """A last address, a netmask or a length: never the first address alone."""
    table = write(tmp_path / "asn-2026-03-01.csv", f"{header},country\n{first},{second},FR\n")
    inside, outside = ("2a00::ffff", "2a00::1:0") if ":" in first else ("1.0.0.255", "1.0.1.0")

    assert facts(table, ImportOptions(), inside, outside) == [IpFacts(country="FR"), None]


def test_a_second_address_of_another_meaning_is_not_the_end_of_a_range(tmp_path: Path) -> None:
    """Nor is the first one read alone."""
    table = write(tmp_path / "asn-2026-03-01.csv", "ip,router,country\n1.0.0.0,9.9.9.9,FR\n")

    with pytest.raises(SettingRefused):
        open_table(table, ImportOptions())


@pytest.mark.parametrize("line", ["1.0.0.0 255.255.255.0", "1.0.0.0 24", "1.0.0.0\t255.255.255.0", "1.0.0.0 1.0.0.255"])
def test_a_line_of_a_list_may_be_a_range(tmp_path: Path, line: str) -> None:
    """With a last address, a netmask or a length."""
    table = write(tmp_path / "exits-2026-03-01.txt", line + "\n")

    assert facts(table, TOR, "1.0.0.255", "1.0.1.0") == [IpFacts(ip_types=frozenset({IpType.TOR})), None]


def test_a_count_after_an_address_is_no_length(tmp_path: Path) -> None:
    """The address has bits behind it."""
    table = write(tmp_path / "exits-2026-03-01.txt", "1.0.0.7 17\n1.0.0.9 3\n")

    assert facts(table, TOR, "1.0.0.7", "1.0.0.8") == [IpFacts(ip_types=frozenset({IpType.TOR})), None]


def test_the_answer_of_a_service_that_refused_is_no_table(tmp_path: Path) -> None:
    """Although it names an address."""
    table = write(tmp_path / "q-2026-03-01.json", '{"error":"rate limit exceeded","ip":"8.8.8.8","country":"GB"}')

    with pytest.raises(SourceUnreadable):
        open_table(table, ImportOptions())


def test_a_time_in_a_name_may_have_a_difference_to_utc(tmp_path: Path) -> None:
    """And the name of the source has neither."""
    for stamp, hour in (("2026-10-15T08.00.00-0500", 13), ("20261015T1402+02:00", 12)):
        table = open_table(write(tmp_path / f"exits-{stamp}.txt", "1.2.3.4\n"), ImportOptions(ip_type=IpType.TOR))

        assert (table.build.name, table.build.built_at.hour) == ("exits", hour)


@pytest.mark.slow
def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    """A truncated one is refused."""
    path = tmp_path / "exits-2026-03-01.txt.gz"
    path.write_bytes(gzip.compress(b"1.2.3.4\n" * 99_999))
    assert open_table(path, TOR).versions == {4}

    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        open_table(path, TOR)


def test_a_table_without_a_date_is_refused(tmp_path: Path) -> None:
    """Every fact needs a date."""
    path = write(tmp_path / "asn.csv", "1.0.0.0,1.0.0.255,1\n")
    with pytest.raises(SettingRefused, match="give --as-of"):
        open_table(path, ImportOptions())
    path = write(tmp_path / "asn-2026-02-31.csv", "1.0.0.0,1.0.0.255,1\n")
    with pytest.raises(SettingRefused, match="contains an invalid date"):
        open_table(path, ImportOptions())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("\r\n \n", "is empty"),
        ("hello\nworld\n", "its first row is 'hello'"),
        ("a,b,c\nd,e,f\n", "its first row has 3 columns: 'a', 'b', 'c'. Name the layout with --layout, or add --type"),
        ("\x00\x01\x02,,,", "its first row has 4 columns"),
        ("# nothing\n", "it contains only comments"),
        ("<!DOCTYPE html><title>429</title>\n1.2.3.4\n", "is a web page or XML"),
        ('{"message": "rate limited", "code": 429}', "a JSON document with the keys 'message', 'code'"),
        ('[{"a": 1}]', "a JSON array of objects with the keys 'a'"),
        ("[1, 2]", "it is JSON"),
        ("{", "its first row is '{'"),
        ("1.0.0.0,1.0.0.255,5\n1.0.1.0,1.0.1.255,DE\n", "columns: '1.0.0.0', '1.0.0.255', '5'.: add --type if"),
        ("1.0.0.0,1.0.0.255,NA\n1.0.1.0,1.0.1.255,OC\n", "has 3 columns"),
        ("1.0.0.0,1.0.0.255,Germany\n", "has 3 columns"),
        ("asn,org\n5,Example\n", "lists networks by their ASN; only tables of addresses are read"),
        ("AS5 # Example\n", "lists networks by their ASN"),
        ("8.8.8.8,45.133.1.7,22\n1.0.0.10,45.133.1.7,2222\n", "its first row has 3 columns"),
        ("1.0.0.10,8.8.8.8\n8.8.8.8,1.0.0.10\n", "its first row has 2 columns"),
        ("1,1.0.0.10,vpn\n2,8.8.8.8,tor\n", "its first row has 3 columns"),
        ("1,2,3\n4,5,6\n", "states no fact about a routable address"),
        ("network,country_code\n1.0.0.0/24,UK\n", "no ASN, country code or type that is read"),
        ("ip,country\n1.2.3.4,Germany\n", "states no ASN, country code or type that is read"),
        ("1.2.3.4\n", "add --type if it is a list"),
        ("1.0.0.0,1.0.0.255\n", "states no ASN, country code or type that is read"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    """With what was seen, and what to do. A list without --type is refused too."""
    with pytest.raises((SourceUnreadable, SettingRefused), match=problem):
        open_table(write(tmp_path / "x-2026-03-01.txt", content), ImportOptions())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("404: Not Found\n", "nor a table of a known layout"),
        ("not found\n1.2.3.4\nat all\n", "nor a table of a known layout"),
        (
            "1.2.3.9-1.2.3.0\n" * 2 + "1.2.3.4\n",
            "another layout than list: 2 rows with the last address before the first",
        ),
        ("127.0.0.1 localhost\n", "states no fact about a routable address .1 rows of other"),
        ("8.8.8.8,1.0.0.1\n1.0.0.1,8.8.8.8\n", "its first row has 2 columns"),
    ],
)
def test_a_list_without_addresses_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    """A page of an error in place of the list would withdraw everything."""
    with pytest.raises(SourceUnreadable, match=problem):
        open_table(write(tmp_path / "x.txt", content), TOR)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        open_table(tmp_path / "missing.txt", TOR)


def test_few_rows_of_another_kind_do_not_hide_a_layout(tmp_path: Path) -> None:
    """They are counted."""
    rows = [f"1.0.{n}.0,1.0.{n}.255,{n + 1},Example" for n in range(200)]
    path = write(tmp_path / "a-2026-03-01.csv", "\n".join([*rows, "2.0.0.0,2.0.0.255,1e5,Example", "the end"]))

    source = open_table(path, ImportOptions())

    assert source.unused == {"with an unknown country or an invalid ASN": 1, "without an address": 1}
    assert facts(path, ImportOptions(), "1.0.7.7", "2.0.0.1") == [IpFacts(asn=8, organization="Example"), None]


def test_a_netmask_ends_a_range(tmp_path: Path) -> None:
    """It is not its last address."""
    path = write(tmp_path / "a-2026-03-01.csv", "1.0.0.0,255.255.255.0,AU\n8.8.8.0,255.255.255.0,US\n")

    assert facts(path, ImportOptions(), "1.0.0.9", "1.0.1.0") == [IpFacts(country="AU"), None]


def test_an_excluded_address_of_a_set_has_no_type(tmp_path: Path) -> None:
    """It is marked with `nomatch`."""
    path = write(tmp_path / "a.ipset", "create a hash:net\nadd a 1.0.0.0/24\nadd a 1.0.0.9 nomatch\nadd a\nx y z\n")

    assert facts(path, TOR, "1.0.0.8", "1.0.0.9") == [IpFacts(ip_types=frozenset({IpType.TOR})), IpFacts()]


def test_an_address_that_is_listed_twice_has_both_types(tmp_path: Path) -> None:
    """As an address in two lists has."""
    path = write(tmp_path / "a-2026-03-01.csv", "1.0.0.9,vpn\n1.0.0.9,tor\n1.0.0.9,tor\n1.0.0.8,vpn\n")

    both = IpFacts(ip_types=frozenset({IpType.VPN, IpType.TOR}))
    assert facts(path, ImportOptions(), "1.0.0.9", "1.0.0.8") == [both, IpFacts(ip_types=frozenset({IpType.VPN}))]


def test_a_type_is_not_given_to_a_table_that_states_types(tmp_path: Path) -> None:
    """One of both would be wrong. A layout that the table does not have is refused too."""
    path = write(tmp_path / "a-2026-03-01.csv", "ip,proxy_type\n1.0.0.9,VPN\n")
    with pytest.raises(SettingRefused, match=r"states types itself \(header\); leave out --type"):
        open_table(path, TOR)
    with pytest.raises(SourceUnreadable, match="does not have the layout ranges; its first row has 2 columns"):
        open_table(path, ImportOptions(layout="ranges"))


def test_a_named_layout_needs_no_name_of_the_file(tmp_path: Path) -> None:
    """The operator knows what it is."""
    path = write(tmp_path / "a-2026-03-01.csv", "1.0.0.0/24\t64500\n")
    with pytest.raises(SettingRefused):
        open_table(path, ImportOptions())

    assert facts(path, ImportOptions(layout="pyasn"), "1.0.0.9") == [IpFacts(asn=64500)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_of_other_systems_is_read(tmp_path: Path, end: str, encoding: str) -> None:
    """With any line ends and byte-order marks."""
    path = tmp_path / "a-2026-03-01.csv"
    path.write_bytes(f"network,asn,as_name{end}1.0.0.0/24,64500,Größe{end}".encode(encoding))

    assert facts(path, ImportOptions(), "1.0.0.9") == [IpFacts(asn=64500, organization="Größe")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_content_is_a_table_or_a_clean_error(tmp_path: Path, lines: list[bytes]) -> None:
    """Whatever the file contains."""
    path = tmp_path / "any-2026-03-01.csv"
    path.write_bytes(b"\n".join([*lines, b"1.0.0.0,1.0.0.9,5"]))
    for wish in (ImportOptions(), TOR):
        try:
            source = open_table(path, wish)
        except (SourceUnreadable, SettingRefused):
            continue
        source.look_up([IpAddress("1.0.0.5"), IpAddress("::1")])


def test_ten_thousand_random_addresses_raise_no_error(tmp_path: Path) -> None:
    """In every kind of source."""
    random = Random(3)
    odd = [IpAddress.parse(str(IPv4Address(random.getrandbits(32)))) for _ in range(5000)]
    odd += [IpAddress.parse(":".join(f"{random.getrandbits(16):x}" for _ in range(8))) for _ in range(5000)]
    table = write(tmp_path / "a-2026-03-01.csv", "first,last,asn\n1.0.0.0,200.0.0.255,1\n2000::,3000::,2\n")
    sources = [
        open_table(table, ImportOptions()),
        open_table(write(tmp_path / "l.txt", "0.0.0.0/0\n::/0\n"), TOR),
        open_table(mmdb(tmp_path / "m.mmdb", {"8.8.0.0/16": {"asn": 1}}), ImportOptions()),
        *FileSourceRegistry([], print).current(),
    ]

    for source in sources:
        for stated in source.look_up(odd).values():
            assert stated.asn is None or 1 <= stated.asn < 2**32
            assert stated.country is None or len(stated.country) == 2


rows = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(1, 3)).map(lambda t: (t[0], t[0] + t[1], t[2])),
    min_size=1,
    max_size=8,
)


@given(rows)
def test_of_overlapping_ranges_the_narrowest_is_used(ranges: list[tuple[int, int, int]]) -> None:
    """The range that begins last wins; of those with the same start, the shorter one."""
    facts = {asn: IpFacts(asn=asn) for asn in (1, 2, 3)}
    source = RangeSource(BUILD, [Row(4, first, last, facts[asn]) for first, last, asn in ranges])

    for number in range(60):
        inside = [r for r in ranges if r[0] <= number <= r[1]]
        narrowest = {r[2] for r in inside if (r[0], -r[1]) == max((s[0], -s[1]) for s in inside)}
        stated = source.look_up([IpAddress(f"0.0.0.{number}")]).get(IpAddress(f"0.0.0.{number}"))
        assert (stated is None and not inside) or (stated is not None and stated.asn in narrowest)


def test_a_folder_is_searched_for_tables(tmp_path: Path) -> None:
    """Also its sub-folders; other files, and those that accompany a table, are left alone."""
    (tmp_path / "2025").mkdir()
    tables = ["2025/asn-2025-01-01.csv", "a.zip", "b.tar.gz", "exits.txt.gz", "geo.mmdb", "torbulkexitlist"]
    others = ["README.md", ".hidden.csv", "LICENSE.txt", "COPYRIGHT.txt", "GeoLite2-Country-Locations-en.csv", "run.sh"]
    for name in (*tables, *others):
        (tmp_path / name).write_text("x")

    assert [str(path.relative_to(tmp_path)) for path in tables_below(tmp_path)] == tables


def test_a_registered_file_is_opened_again_only_if_it_is_the_same(tmp_path: Path) -> None:
    """Another content under its path would answer for a build that it is not."""
    opened = [
        open_table(write(tmp_path / "a-2026-03-01.csv", "1.0.0.0,1.0.0.255,1\n"), ImportOptions()),
        open_table(write(tmp_path / "t.txt", "1.0.0.0/24\n"), TOR),
        open_table(mmdb(tmp_path / "m.mmdb", {"1.0.0.0/24": {"asn": 1}}), ImportOptions(name="mine")),
    ]
    address = IpAddress("1.0.0.1")
    for source in opened:
        again = open_again(source.build)
        assert (again.build, again.look_up([address])) == (source.build, source.look_up([address]))

    write(tmp_path / "t.txt", "2.0.0.0/24\n")
    with pytest.raises(SourceUnreadable, match="has changed since it was imported"):
        open_again(opened[1].build)


def test_a_replaced_file_is_reopened_and_a_broken_one_is_not(tmp_path: Path) -> None:
    """A half-written file leaves the old one in use, with one warning."""
    path = mmdb(tmp_path / "geo.mmdb", {"1.0.0.0/24": {"asn": 1}})
    warnings: list[str] = []
    source_registry = FileSourceRegistry([path], warnings.append)
    address = IpAddress("1.0.0.1")
    assert source_registry.current()[0].look_up([address])[address].asn == 1

    whole = mmdb(tmp_path / "new.mmdb", {"1.0.0.0/24": {"asn": 2}}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for _ in range(3):
        assert source_registry.current()[0].look_up([address])[address].asn == 1
    assert len(warnings) == 1
    assert "stays in use" in warnings[0]
    path.unlink()
    assert source_registry.current()[0].look_up([address])[address].asn == 1

    path.write_bytes(whole)
    assert source_registry.current()[0].look_up([address])[address].asn == 2


def test_a_registered_build_without_its_file_is_reported_once(tmp_path: Path) -> None:
    """Its observations are stored; only new addresses lack it."""
    path = write(tmp_path / "a-2026-03-01.csv", "1.0.0.0,1.0.0.255,1\n")
    build = open_table(path, ImportOptions()).build
    warnings: list[str] = []
    source_registry = FileSourceRegistry([], warnings.append)
    bundled = source_registry.current()[0]
    assert source_registry.open(bundled.build) is bundled

    path.unlink()

    assert [source_registry.open(build), source_registry.open(build)] == [None, None]
    assert len(warnings) == 1
    assert source_registry.open(BUILD) is None  # an older version of what comes with the program


def test_a_missing_file_of_the_settings_is_an_error(tmp_path: Path) -> None:
    """There is no older one to use."""
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        FileSourceRegistry([tmp_path / "none.mmdb"], print).current()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("exits-2026-03-01.txt", "exits@2026-03-01"),
        ("exits-2026-03-01-12-02-00.txt", "exits@2026-03-01T12:02"),
        ("exits_20260301T120233Z.txt", "exits@2026-03-01T12:02:33"),
        ("exits.2026-03-01_12:02.txt.gz", "exits@2026-03-01T12:02"),
        ("exits-202603011202.csv", "exits@2026-03-01T12:02"),
        ("exits-2026-03-01-2.txt", "exits-2@2026-03-01"),
        ("exits-2026-03-01-99-99.txt", "exits-99-99@2026-03-01"),
    ],
)
def test_a_date_in_a_name_may_have_a_time(tmp_path: Path, name: str, label: str) -> None:
    """What is not a time is not taken for one; then the date is that of the whole day."""
    path = tmp_path / name
    path.write_bytes(b"1.2.3.4\n")

    assert open_table(path, ImportOptions(ip_type=IpType.TOR)).build.label == label


def test_the_lists_of_a_folder_with_only_dates_as_names_are_one_source(tmp_path: Path) -> None:
    """As in the archives of CollecTor; their source is the folder."""
    folder = tmp_path / "exit-list-2026-10" / "15"
    folder.mkdir(parents=True)
    for hour in ("00", "12", "23"):
        write(folder / f"2026-10-15-{hour}-02-00", "ExitAddress 1.2.3.4 2026-10-15 00:00:00\n")

    labels = [open_table(path, ImportOptions(ip_type=IpType.TOR)).build.label for path in tables_below(tmp_path)]

    assert labels == [f"exit-list@2026-10-15T{hour}:02" for hour in ("00", "12", "23")]


def test_a_table_below_no_folder_with_a_name_is_a_table() -> None:
    """Its name is a date, and so are those of its folders."""
    assert name_without_moment(Path("/2026-10/15/2026-10-15-12-02-00"), "2026-10-15-12-02-00") == ""


def with_epoch(path: Path, epoch: int) -> Path:
    """Write an MMDB file with a build epoch."""
    data = mmdb(path, {"1.0.0.0/24": {"asn": 1}}).read_bytes()
    at = data.index(b"build_epoch") + len(b"build_epoch")
    header = 1 if data[at] >> 5 else 2  # an extended type has a second byte
    rest = data[at + header + (data[at] & 0x1F) :]
    path.write_bytes(data[:at] + b"\x08\x02" + epoch.to_bytes(8, "big") + rest)  # an unsigned 64-bit number
    return path


@pytest.mark.parametrize("epoch", [1, 1_767_225_600_000])
def test_an_impossible_build_time_is_refused(tmp_path: Path, epoch: int) -> None:
    """In 1970, or in milliseconds; --as-of states the date instead, also when the file is opened again."""
    path = with_epoch(tmp_path / "odd.mmdb", epoch)

    with pytest.raises(SourceUnreadable, match="states an impossible build time"):
        open_table(path, ImportOptions())
    with pytest.raises(SourceUnreadable, match="states an impossible build time"):
        FileSourceRegistry([path], print).current()

    source = open_table(path, ImportOptions(as_of=DAY))
    assert source.build.built_at == DAY
    assert open_again(source.build).build == source.build


def test_a_file_of_the_settings_from_the_future_is_refused(tmp_path: Path) -> None:
    """If it replaces a good one, that stays in use."""
    path = with_epoch(tmp_path / "geo.mmdb", int(NOON.timestamp()))
    warnings: list[str] = []
    source_registry = FileSourceRegistry([path], warnings.append, lambda: NOON)
    assert source_registry.current()[0].build.built_at == NOON

    with_epoch(path, int(NOON.timestamp()) + 10 * 86_400)

    assert source_registry.current()[0].build.built_at == NOON
    assert "states a build time in the future (2026-03-11T12:00)" in warnings[0]
    with pytest.raises(SourceUnreadable, match="in the future"):
        FileSourceRegistry([path], print, lambda: NOON).current()


@pytest.mark.parametrize(
    ("name", "content", "built_at"),
    [
        ("dbip-country-lite-2026-10.csv", "1.0.0.0,1.0.0.255,AU\n", "2026-10-01T23:59:59.999999"),
        ("countries-2026-02.csv", "1.0.0.0,1.0.0.255,AU\n", "2026-02-28T23:59:59.999999"),
        ("G_20261002/Blocks.csv", "network,asn\n1.0.0.0/24,1\n", "2026-10-02T23:59:59.999999"),
        (
            "ip-ranges.json",
            '{"syncToken": "1790000000", "prefixes": [{"ip_prefix": "1.0.0.0/24"}]}',
            "2026-09-21T14:13:20",
        ),
        (
            "cloud.json",
            '{"syncToken": "1790000000123", "prefixes": [{"ipv4Prefix": "1.0.0.0/24"}]}',
            "2026-09-21T14:13:20",
        ),
        (
            "oracle.json",
            '{"last_updated_timestamp": "2026-10-01T01:02:03.5", "regions": [{"cidrs": [{"cidr": "1.0.0.0/24"}]}]}',
            "2026-10-01T01:02:03",
        ),
        ("delegated-apnic-latest", "2|apnic|20261003|1\napnic|AU|ipv4|1.0.0.0|256|20110811|allocated\n", "2026-10-03"),
        (
            "exit-addresses",
            "Downloaded 2026-10-09 04:02:00\nExitNode A\nExitAddress 1.0.0.1 2026-10-09 00:00:00\n",
            "2026-10-09T04:02:00",
        ),
        ("2026-01-01-aws.json", '{"syncToken": "1790000000", "prefixes": [{"ip_prefix": "1.0.0.0/24"}]}', "2026-01-01"),
    ],
)
def test_the_date_is_that_of_the_name_or_of_the_content(tmp_path: Path, name: str, content: str, built_at: str) -> None:
    """Or that of the folder. A month ends with its last day; DB-IP publishes on the first."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)

    found = open_table(write(path, content), ImportOptions()).build.built_at

    assert found.replace(tzinfo=None).isoformat().startswith(built_at)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ip-ranges.json", '{"syncToken": "1", "prefixes": [{"ip_prefix": "1.0.0.0/24"}]}'),
        ("delegated-apnic-latest", "2|apnic|x|1\napnic|AU|ipv4|1.0.0.0|256|20110811|allocated\n"),
        ("exit-addresses", "Downloaded now\nExitNode A\nExitAddress 1.0.0.1 2026-10-09 00:00:00\n"),
        ("exit-addresses", "ExitNode A\nExitAddress 1.0.0.1 2026-10-09 00:00:00\n"),
    ],
)
def test_a_content_without_a_readable_date_needs_one(tmp_path: Path, name: str, content: str) -> None:
    """No date is made up."""
    with pytest.raises(SettingRefused, match="give --as-of"):
        open_table(write(tmp_path / name, content), ImportOptions())


def test_a_replaced_file_that_is_implausible_is_not_used(tmp_path: Path) -> None:
    """The one before it stays in use, with one warning."""
    path = mmdb(tmp_path / "geo.mmdb", {"1.0.0.0/24": {"asn": 1}})
    warnings: list[str] = []
    source_registry = FileSourceRegistry([path], warnings.append)
    address = IpAddress("1.0.0.1")
    assert source_registry.current()[0].look_up([address])[address].asn == 1

    shifted = {f"{n}.0.0.0/8": {"asn": 64500} for n in range(1, 224) if n not in {10, 127}}
    path.write_bytes(mmdb(tmp_path / "new.mmdb", shifted).read_bytes())

    for _ in range(3):
        assert source_registry.current()[0].look_up([address])[address].asn == 1
    assert len(warnings) == 1
    assert "is implausible: 8.8.8.8 is AS64500 and not AS15169" in warnings[0]


def test_the_share_of_all_addresses_is_counted(tmp_path: Path) -> None:
    """Of the IP version with the larger share, without counting addresses twice."""
    path = write(tmp_path / "a.txt", "0.0.0.0/2\n64.0.0.0/2\n0.0.0.0/8\n2000::/4\n2001:db8::1\n")
    source = open_table(path, TOR)

    assert source.typed_shares == {IpType.TOR: 0.5}
    assert source.size > 0
    assert open_table(mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 1}}), ImportOptions()).size > 100
