"""Tables of addresses, made for a test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def mmdb(path: Path, networks: Mapping[str, dict[str, Any]], version: int = 6, kind: str = "GeoLite2-ASN") -> Path:
    """Write an MMDB file, and return its path."""
    writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6, database_type=kind, int_type="u32")
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


def broken_record(path: Path, networks: Mapping[str, dict[str, Any]]) -> Path:
    """Write an MMDB file in which the last record is broken, and return its path."""
    data = bytearray(mmdb(path, networks).read_bytes())
    end = data.rindex(b"\xab\xcd\xefMaxMind.com")
    data[end - 8 : end] = b"\xff" * 8
    path.write_bytes(data)
    return path
