"""Open the bundled tables of ASN and country."""

import hashlib
import lzma
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from io import BytesIO
from pathlib import Path

import maxminddb
from platformdirs import user_cache_path

from snapshots.adapters.intel.mmdb import MmdbSource
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.fact_kind import FactKind
from snapshots.domain.facts.observation import SourceBuild


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledTable:
    """
    A table built by `tools/build_ip_table.py`.

    Attributes:
        source: The name of the source.
        file: The name of the compressed file in the package data.
        sha256: The SHA-256 of the decompressed table, in hexadecimal.
        licence: The terms of use, with the required attribution.
    """

    source: str
    file: str
    sha256: str
    licence: str


BUNDLED = (
    BundledTable(
        source="dbip",
        file="dbip-lite.mmdb.xz",
        sha256="85b0dcfa68867664ef46dd5427fd9b37127ed6ab1f447e8938c2a2acf5b78626",
        licence="IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0",
    ),
    BundledTable(
        source="origin-asn",
        file="origin-asn.mmdb.xz",
        sha256="dbd5f5d5ecca9663e7389e2383eafdeb72d114f9098a05ea63d86c0cbe6af532",
        licence="origin-asn of ip-location-db (https://github.com/sapics/ip-location-db), PDDL 1.0",
    ),
)
"""ASN and country of DB-IP Lite, and the ASN of origin-asn where DB-IP has none; the more trusted first."""


KINDS = {
    "dbip": (FactKind.ASN, FactKind.COUNTRY),
    "origin-asn": (FactKind.ASN,),
    "iporigin": (FactKind.VPN, FactKind.TOR, FactKind.PROXY, FactKind.DATACENTER),
}
"""The kinds of facts that each bundled source states."""


def open_bundled(table: BundledTable, cache: Path | None = None) -> MmdbSource:
    """
    Open a bundled table.

    It is decompressed once into the cache folder of the user, or into memory if the folder is not writable.

    Args:
        table: The table.
        cache: The folder for the decompressed file; None for the cache folder of the user.
    """
    folder = cache if cache is not None else user_cache_path("snapshots")
    reader = _open_cached(table, folder) or _open_in_memory(table)
    built_at = datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
    build = SourceBuild(
        name=table.source,
        built_at=end_of_day(built_at.date()),
        licence=table.licence,
        sha256=table.sha256,
        origin="bundled",
    )
    return MmdbSource(build, reader)


def _open_cached(table: BundledTable, folder: Path) -> maxminddb.Reader | None:
    path = folder / f"{table.source}-{table.sha256[:16]}.mmdb"
    with suppress(OSError):
        if not _is_whole(path, table.sha256):
            _write_whole(path, _unpacked(table))
        return maxminddb.open_database(path)
    return None


def _is_whole(path: Path, sha256: str) -> bool:
    if not path.exists():
        return False
    status = path.stat()
    return _digest(path, (status.st_ino, status.st_size, status.st_mtime_ns)) == sha256


@lru_cache(maxsize=8)
def _digest(path: Path, _state: tuple[int, int, int]) -> str:
    """Return the SHA-256 of a file in a state; a process that opens the tables repeatedly reads it once (12 ms)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    """Write to a temporary name and rename, so that no other process opens an incomplete file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _open_in_memory(table: BundledTable) -> maxminddb.Reader:
    file = BytesIO(_unpacked(table))
    return maxminddb.open_database(file, maxminddb.MODE_FD)


def _unpacked(table: BundledTable) -> bytes:
    packed = resources.files("snapshots.adapters.intel").joinpath("data", table.file)
    return lzma.decompress(packed.read_bytes())
