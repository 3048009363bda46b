"""Types that networks state themselves: built from the extra `types` on the machine of the operator."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from snapshots.adapters.intel.network_types import open_network_types
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType

PACKAGE = "whereip-network"

RELEASES: Mapping[str, date] = MappingProxyType({"0.1.0": date(2026, 8, 31)})
"""The end of the month in which each version was released: the package states no date."""

CATEGORIES = {
    "hosting": IpType.DATACENTER,
    "content": IpType.DATACENTER,
    "isp": IpType.RESIDENTIAL,
    "mobile": IpType.MOBILE,
}
"""Categories of networks; `enterprise` is a fallback there, and contains clouds."""


def write_stated_types(folder: Path) -> Path | None:
    """
    Write the stated types as a table for `--network-types`, unless it was written before; return its path.

    The table is dated by the release of the package or, for an unknown version, by its installation. Decoding takes
    about 20 seconds and 100 MB, so this is not done while loading.

    Args:
        folder: Created if it is missing.

    Returns:
        The path; None if the package is not installed.

    Raises:
        SourceUnreadable: The package has another structure, or the table cannot be written.
    """
    try:
        import whereip_network  # noqa: PLC0415 - an extra

        release = RELEASES.get(version(PACKAGE)) or _installed_on(Path(whereip_network.__file__))
    except (ImportError, PackageNotFoundError):
        return None
    target = folder / f"network-types-stated-{release}.csv"
    if target.exists():
        return target
    try:
        stated = dict(stated_types(whereip_network.table()))
        if not stated:
            raise SourceUnreadable(f"{PACKAGE} states no type of a network")
        named = open_network_types().builds[-1].types  # of an access network, the name may tell more
        types = {asn: named.get(asn, kind) if kind is IpType.RESIDENTIAL else kind for asn, kind in stated.items()}
        _write_whole(target, "".join(f"{asn},{types[asn].value}\n" for asn in sorted(types)))
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise SourceUnreadable(f"{PACKAGE} {version(PACKAGE)} has an unknown structure: {exc}") from exc
    except OSError as exc:
        raise SourceUnreadable(f"{target} cannot be written: {exc.strerror or exc}") from exc
    return target


def stated_types(table: Any) -> Iterator[tuple[int, IpType]]:
    """Yield the ASN and the type that each network states in the table of the package."""
    for rank in count():
        try:
            facts = table.facts(rank)
        except IndexError:
            return
        if facts.category in CATEGORIES:
            yield facts.asn, CATEGORIES[facts.category]


def _installed_on(path: Path) -> date:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()


def _write_whole(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
