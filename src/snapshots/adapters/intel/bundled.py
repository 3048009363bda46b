"""The tables of ASN and country that come with the package."""

import hashlib
import lzma
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from io import BytesIO
from pathlib import Path

import maxminddb
from platformdirs import user_cache_path

from snapshots.adapters.intel.mmdb import MmdbSource
from snapshots.domain.facts.observation import SourceBuild


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledTable:
    """
    A table that `tools/build_ip_table.py` made.

    Attributes:
        source: Its name as a source of facts.
        file: Its packed file, among the package's data.
        sha256: The hash of the unpacked table.
        licence: Its terms, with the attribution they ask for.
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
"""DB-IP Lite's ASN and country, and origin-asn's ASN for what DB-IP does not know; the more trusted first."""


def open_bundled(table: BundledTable, cache: Path | None = None) -> MmdbSource:
    """
    Open a bundled table.

    It is unpacked once into the user's cache folder, and into memory where no folder can be written.

    Args:
        table: Which one.
        cache: The folder to unpack into; None for the user's.
    """
    folder = cache if cache is not None else user_cache_path("snapshots")
    reader = _open_cached(table, folder) or _open_in_memory(table)
    built_at = datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
    build = SourceBuild(
        name=table.source,
        built_at=built_at.replace(hour=0, minute=0, second=0),
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _write_whole(path: Path, data: bytes) -> None:
    """Write under a name of its own first, so that no other process opens half of it."""
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
