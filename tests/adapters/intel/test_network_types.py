"""Tables of types by network."""

import csv
import hashlib
import lzma
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from snapshots.adapters.intel.network_types import (
    BUNDLED_NETWORK_TYPES,
    NetworkTypesSource,
    open_file,
    open_network_types,
)
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType

TOOLS = Path(__file__).parents[3] / "tools"
STATED = Path(__file__).parents[2] / "data/networks.csv"


def test_the_bundled_table_is_the_one_that_its_registration_names() -> None:
    """Its date, hash and attribution go into every database."""
    (build,) = open_network_types().builds
    (bundled,) = BUNDLED_NETWORK_TYPES
    packed = resources.files("snapshots.adapters.intel").joinpath("data", bundled.file).read_bytes()

    assert build.build.label == "network-types@2026-09-01"
    assert hashlib.sha256(lzma.decompress(packed)).hexdigest() == build.build.sha256
    assert "DB-IP (https://db-ip.com), CC BY 4.0" in build.build.licence
    assert len(packed) < 25_000


def test_the_bundled_types_are_those_that_well_known_networks_have() -> None:
    """Data center or access line for 95 of 100 of those with a type, and nine of ten of them have one."""
    with STATED.open(encoding="utf-8", newline="") as file:
        stated = {int(row["asn"]): IpType(row["type"]) for row in csv.DictReader(file)}
    (build,) = open_network_types().builds
    known = {asn: build.types[asn] for asn in stated.keys() & build.types.keys()}

    is_hosting = IpType.DATACENTER.__eq__
    assert len(known) >= 0.9 * len(stated)
    assert sum(is_hosting(known[asn]) == is_hosting(stated[asn]) for asn in known) >= 0.95 * len(known)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Example Hosting GmbH", "DATACENTER"),
        ("EXAMPLECLOUD LLC", "DATACENTER"),
        ("Example Mobile Ltd", "MOBILE"),
        ("Example Telecom Data Center", "DATACENTER"),
        ("Example Wireless LLC", "RESIDENTIAL"),
        ("Telefónica Example", "RESIDENTIAL"),
        ("Google Fiber Inc.", "RESIDENTIAL"),
        ("University Hosting Example", None),
        ("Example Census Internet Measurement", None),
        ("Niccolo Example", None),
        ("Example Trading", None),
    ],
)
def test_words_in_the_name_of_a_network_state_its_type(name: str, kind: str | None) -> None:
    """A name without such a word states no type."""
    code = "import sys, network_words; print(network_words.type_of(sys.argv[1]))"
    found = subprocess.run([sys.executable, "-c", code, name], cwd=TOOLS, capture_output=True, text=True, check=True)

    assert found.stdout.strip() == str(kind)


def test_a_build_of_networks_has_no_facts_about_addresses() -> None:
    """It is registered like other builds, and no address is looked up in it."""
    source = NetworkTypesSource(open_network_types().builds[0])

    assert (source.versions, source.look_up([IpAddress("8.8.8.8")])) == (frozenset(), {})


def test_an_operators_table_is_named_and_dated_by_its_file(tmp_path: Path) -> None:
    """Packed or not, with the names of types that providers use; it comes before the bundled one."""
    plain = tmp_path / "network-types-stated-2026-08-09.csv"
    plain.write_text("AS64500,hosting\n64501, ISP\n")
    packed = tmp_path / "network-types-mine-2026-08-10.csv.xz"
    packed.write_bytes(lzma.compress(b"64500,MOBILE\n"))

    types = open_network_types([plain, packed])

    assert types.sources == ("network-types-stated", "network-types-mine", "network-types")
    assert types.builds[0].build.label == "network-types-stated@2026-08-09"
    assert types.builds[0].types == {64500: IpType.DATACENTER, 64501: IpType.RESIDENTIAL}
    assert types.builds[1].types == {64500: IpType.MOBILE}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("types.csv", b"1,ISP\n", "is not named network-types-NAME-YYYY-MM-DD"),
        ("network-types-a-2026-08-09.csv", None, "cannot be read: No such file"),
        ("network-types-a-2026-08-09.csv", b"1,ISP\n1.2.3.4,ISP\n", "'1.2.3.4,ISP'"),
        ("network-types-a-2026-08-09.csv", b"1,enterprise\n", "'1,enterprise'"),
        ("network-types-a-2026-08-09.csv", b"1,TOR\n", "a type that no whole network has"),
        ("network-types-a-2026-08-09.csv", b"\xff", "is not a table"),
        ("network-types-a-2026-08-09.csv.xz", b"1,ISP\n", "is not a table"),
        ("network-types-a-2026-13-09.csv", b"1,ISP\n", "is not a table"),
    ],
)
def test_another_file_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """A table that is read by halves would give some networks no type, without a word."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SourceUnreadable, match=message):
        open_file(path)
