"""Tables that are compressed or in an archive."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from snapshots.adapters.intel import unpack
from snapshots.adapters.intel.layouts import table
from snapshots.adapters.intel.mmdb import open_mmdb
from snapshots.adapters.intel.open_table import ImportOptions, open_again, open_table
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.observation import IpFacts
from tests.tables import mmdb

TABLE = b"1.0.0.0,1.0.0.255,64500,Example\n"
INSIDE = IpAddress("1.0.0.9")
FACTS = IpFacts(asn=64500, organization="Example")


def tar(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


DOCUMENTS = {"a/LICENSE.txt": b"1.2.3.4", "a/README_LITE.TXT": b"x", "a/COPYRIGHT.txt": b"y"}

PACKED: Mapping[str, Callable[[str, bytes], bytes]] = {
    ".gz": lambda _, data: gzip.compress(data),
    ".xz": lambda _, data: lzma.compress(data),
    ".bz2": lambda _, data: bz2.compress(data),
    ".gz.gz": lambda _, data: gzip.compress(gzip.compress(data)),
    ".zip": lambda name, data: zipped({f"a/{name}": data, **DOCUMENTS}),
    ".tar.gz": lambda name, data: tar({f"a/{name}": data, **DOCUMENTS}),
    ".tar.xz": lambda name, data: tar({f"a/{name}.gz": gzip.compress(data), **DOCUMENTS}, "w:xz"),
    ".tar": lambda name, data: tar({f"a/{name}": data, **DOCUMENTS}, "w"),
}


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("name", ["asn-2026-10-01.csv", "geo-2026-10-01.mmdb"])
def test_a_packed_table_is_the_same_table(tmp_path: Path, suffix: str, name: str) -> None:
    """Also its hash: importing it packed and unpacked is one build."""
    plain = tmp_path / name
    if name.endswith(".mmdb"):
        mmdb(plain, {"1.0.0.0/24": {"asn": 64500, "as_name": "Example"}})
    else:
        plain.write_bytes(TABLE)
    packed = tmp_path / f"{name}{suffix}"
    packed.write_bytes(PACKED[suffix](name, plain.read_bytes()))

    source = open_table(packed, ImportOptions())

    assert source.look_up([INSIDE]) == {INSIDE: FACTS}
    expected = open_table(plain, ImportOptions()).build
    assert (source.build.label, source.build.sha256) == (expected.label, expected.sha256)
    assert open_again(source.build).look_up([INSIDE]) == {INSIDE: FACTS}


def test_a_packed_mmdb_file_can_be_used_without_an_import(tmp_path: Path) -> None:
    """As with --mmdb."""
    plain = mmdb(tmp_path / "a.mmdb", {"1.0.0.0/24": {"asn": 64500}})
    (tmp_path / "a.mmdb.gz").write_bytes(gzip.compress(plain.read_bytes()))

    assert open_mmdb(tmp_path / "a.mmdb.gz", in_memory=True).look_up([INSIDE]) == {INSIDE: IpFacts(asn=64500)}


BLOCKS = b"network,geoname_id,registered_country_geoname_id\n"
LOCATIONS = (
    b"geoname_id,locale_code,continent_code,continent_name,country_iso_code,country_name\n"
    b"1,en,OC,Oceania,AU,Australia\n2,en,EU,Europe,,\n"
)
GEOLITE2 = {
    "G/GeoLite2-Country-Blocks-IPv4.csv": BLOCKS + b"1.0.0.0/24,1,2\n9.9.9.0/24,2,\n8.8.8.0/24,,1\n",
    "G/GeoLite2-Country-Blocks-IPv6.csv": BLOCKS + b"2600::/32,1,1\n",
    "G/GeoLite2-Country-Locations-de.csv": b"geoname_id\n",
    "G/GeoLite2-Country-Locations-en.csv": LOCATIONS,
    "G/LICENSE.txt": b"text",
}


def test_blocks_are_joined_with_their_locations(tmp_path: Path) -> None:
    """In an archive, blocks of both versions are one table; in a folder, each is one."""
    archive = tmp_path / "GeoLite2-Country-CSV_20261001.zip"
    archive.write_bytes(zipped(GEOLITE2))
    (tmp_path / "G").mkdir()
    for name, data in GEOLITE2.items():
        (tmp_path / name).write_bytes(data)
    asked = [IpAddress(text) for text in ("1.0.0.9", "9.9.9.9", "8.8.8.8", "2600::1")]
    wish = ImportOptions(name="geolite2", as_of=open_table(archive, ImportOptions()).build.built_at)

    whole = open_table(archive, wish)
    four = open_table(tmp_path / "G/GeoLite2-Country-Blocks-IPv4.csv", wish)

    assert whole.look_up(asked) == {asked[0]: IpFacts(country="AU"), asked[3]: IpFacts(country="AU")}
    assert four.look_up(asked) == {asked[0]: IpFacts(country="AU")}
    assert whole.unused == {"without a fact": 2}

    (tmp_path / "G/GeoLite2-Country-Locations-en.csv").unlink()
    with pytest.raises(SourceUnreadable, match=r"put the table of locations \(GeoLite2-Country-Locations-en.csv\)"):
        open_table(tmp_path / "G/GeoLite2-Country-Blocks-IPv4.csv", wish)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.zip", zipped({"a.csv": TABLE})[:-30], "is a damaged zip archive"),
        ("b.zip", zipped(DOCUMENTS), "contains no table"),
        ("c.zip", zipped({"a.csv": TABLE, "b.json": b'{"addresses": [], "ipv6_addresses": []}'}), "several layouts"),
        ("d.tar.gz", tar({"a.csv": TABLE * 9999})[:-30], "cannot be read|damaged tar"),
        ("e.csv.gz", gzip.compress(TABLE * 9, mtime=0)[:-9], "cannot be read"),
        ("f.csv.xz", lzma.compress(TABLE * 9)[:-9], "cannot be read"),
        ("g.csv.zst", b"\x28\xb5\x2f\xfd000", "is compressed with zstd; decompress it first"),
        ("h.parquet", b"PAR1", "is a Parquet file; export it as CSV"),
        ("i.gz", gzip.compress(gzip.compress(gzip.compress(gzip.compress(TABLE)))), "known layout"),
        ("DB1.BIN", b"\x01\x02\x03\x04", "is a binary table of another program; use its CSV or MMDB file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",  # archives contain the time, and names must not
)
def test_a_file_that_cannot_be_unpacked_is_refused(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    """In one sentence."""
    (tmp_path / name).write_bytes(data)

    with pytest.raises(SourceUnreadable, match=problem):
        open_table(tmp_path / name, ImportOptions())


def test_a_table_that_expands_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is limited after decompression."""
    monkeypatch.setattr(unpack, "MOST_BYTES", 2**20)
    (tmp_path / "a-2026-10-01.csv.gz").write_bytes(gzip.compress(bytes(2**21)))

    with pytest.raises(SourceUnreadable, match="is larger than"):
        open_table(tmp_path / "a-2026-10-01.csv.gz", ImportOptions())


def test_a_json_document_of_one_long_line_is_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit; a line of a CSV table is cut much earlier."""
    prefixes = ",".join('{"ip_prefix": "1.0.0.0/24"}' for _ in range(50_000))
    path = tmp_path / "aws-2026-10-01.json"
    path.write_text(f'{{"prefixes": [{prefixes}, {{"ip_prefix": "8.8.8.0/24"}}]}}')
    address = IpAddress("8.8.8.8")

    assert open_table(path, ImportOptions()).look_up([address])[address].ip_types

    monkeypatch.setattr(table, "LARGEST_DOCUMENT", 2**20)
    with pytest.raises(SourceUnreadable, match="is a JSON document of more than 1 MiB"):
        open_table(path, ImportOptions())


def test_an_archive_of_several_databases_is_refused(tmp_path: Path) -> None:
    """Each is a source of its own."""
    data = mmdb(tmp_path / "a.mmdb", {"1.0.0.0/24": {"asn": 64500}}).read_bytes()
    (tmp_path / "a.zip").write_bytes(zipped({"a.mmdb": data, "b.mmdb": data, "c.bin": bytes(9)}))

    with pytest.raises(SourceUnreadable, match="contains 2 MMDB files; extract them and import the folder"):
        open_table(tmp_path / "a.zip", ImportOptions())


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    """There is no option for a password."""
    data = bytearray(zipped({"a.csv": TABLE}))
    data[6] |= 1  # the flag in the header of the file
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # and in the directory
    (tmp_path / "a.zip").write_bytes(data)

    with pytest.raises(SourceUnreadable, match="encrypted"):
        open_table(tmp_path / "a.zip", ImportOptions())
