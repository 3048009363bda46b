"""
Build the bundled types by network: the kind of each network, by words in its name in a bundled table.

    .venv/bin/python tools/build_network_types.py             write the table, and print the line the package must hold
    .venv/bin/python tools/build_network_types.py --check     only print how often it agrees with stated categories

The categories come from `whereip-network` (the extra `types`) and from tests/data/networks.csv. Nothing of the former
is redistributed: see docs/decisions/0015-types-by-network.md.
"""

import csv
import hashlib
import lzma
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import maxminddb

from network_words import type_of
from snapshots.adapters.intel.stated_types import stated_types

HERE = Path(__file__).parent.parent
FOLDER = HERE / "src/snapshots/adapters/intel/data"
STATED = HERE / "tests/data/networks.csv"


def main() -> None:
    names, addresses, built_at = read_names()
    types = {asn: kind for asn, name in sorted(names.items()) if (kind := type_of(name)) is not None}
    if "--check" not in sys.argv:
        write(types, built_at)
    print(f"{len(types):,} of {len(names):,} networks: {dict(Counter(types.values()))}")
    compare("tests/data/networks.csv", stated_in_test(), types, addresses)
    compare("whereip-network", stated_by_whereip(), types, addresses)


def read_names() -> tuple[dict[int, str], Counter[int], datetime]:
    """Return the names of networks, their numbers of IPv4 addresses, and the date of the table."""
    names: dict[int, str] = {}
    addresses: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.mmdb"
        path.write_bytes(lzma.decompress((FOLDER / "dbip-lite.mmdb.xz").read_bytes()))
        with maxminddb.open_database(path) as table:
            for network, record in table:
                asn = record.get("autonomous_system_number") if isinstance(record, dict) else None
                if asn and record.get("autonomous_system_organization"):
                    names[asn] = record["autonomous_system_organization"]
                    addresses[asn] += network.num_addresses if network.version == 4 else 0
            return names, addresses, datetime.fromtimestamp(table.metadata().build_epoch, UTC)


def write(types: dict[int, str], built_at: datetime) -> None:
    """Write the types as compressed lines of an ASN and the first letter of a type."""
    data = "".join(f"{asn},{kind[0]}\n" for asn, kind in types.items()).encode()
    target = FOLDER / f"network-types-{built_at:%Y-%m-%d}.csv.xz"
    target.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    print(f"{target.name}: {len(data)} bytes, {target.stat().st_size} compressed")
    print(f"sha256 of the unpacked table: {hashlib.sha256(data).hexdigest()}")


def stated_in_test() -> dict[int, str]:
    with STATED.open(encoding="utf-8", newline="") as file:
        return {int(row["asn"]): row["type"] for row in csv.DictReader(file)}


def stated_by_whereip() -> dict[int, str]:
    try:
        import whereip_network  # noqa: PLC0415 - an extra
    except ImportError:
        return {}
    return {asn: kind.value for asn, kind in stated_types(whereip_network.table())}


def compare(name: str, stated: dict[int, str], types: dict[int, str], addresses: Counter[int]) -> None:
    """Print how many networks, and how many of their addresses, have the stated type or at least its kind of line."""
    both = stated.keys() & types.keys()
    if not both:
        print(f"{name}: nothing to compare")
        return
    exact = sum(types[asn] == stated[asn] for asn in both)
    alike = [asn for asn in both if (types[asn] == "DATACENTER") == (stated[asn] == "DATACENTER")]
    space = sum(addresses[asn] for asn in alike) / max(1, sum(addresses[asn] for asn in both))
    print(
        f"{name}: {len(both):,} of {len(stated):,} stated networks have a type; data center or access line agrees"
        f" for {len(alike) / len(both):.1%} of them ({space:.1%} of their IPv4 addresses), all three types for"
        f" {exact / len(both):.1%}"
    )


if __name__ == "__main__":
    main()
