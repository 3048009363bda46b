"""Open tables of the operator: detect their format, name and date."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from snapshots.adapters.intel.layouts.columns import BAD_FACT, BAD_PART, MALFORMED, NO_FACT
from snapshots.adapters.intel.layouts.delimited import WIDEST_RANGE
from snapshots.adapters.intel.layouts.detect import columns_seen, reading_of
from snapshots.adapters.intel.layouts.facts import typed
from snapshots.adapters.intel.layouts.table import EXCLUDED, Reading, Row, TableText, Unused
from snapshots.adapters.intel.mmdb import MmdbSource, is_mmdb, open_mmdb
from snapshots.adapters.intel.moment_in_name import MOMENT, moment_of_table, name_without_moment
from snapshots.adapters.intel.ranges import RangeSource
from snapshots.adapters.intel.unpack import DOCUMENTS, PACKING, contents_of, is_packed, sha256_of
from snapshots.app.errors import SettingRefused, SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, SourceBuild

OWN_LICENCE = "as granted to the operator by the maker of the file"
SUFFIXES = re.compile(
    r"\.(mmdb|csv|tsv|txt|list|lst|netset|ipset|json|jsonl|ndjson|dat|pfx2as|bin|nft|restore)$", re.IGNORECASE
)
NAMES = re.compile(r"torbulkexitlist|exit-addresses|delegated-|.*-blocks-ipv[46]", re.IGNORECASE)
"""Names of tables without a suffix."""

HELPERS = re.compile(r".*-locations-[a-z-]+(_\d+)?\.csv", re.IGNORECASE)
"""Names of tables that are read with another one."""

WIDEST = {4: 2**32, 6: 2**125}
"""Addresses of a default route: all of IPv4, or all of IPv6 that is assigned. No network and no country has them."""

TOO_WIDE = "for a range that is too wide, such as a default route"

MOST_MALFORMED = 0.5
"""Share of malformed rows above which a table is refused: it is damaged, or has another layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """
    Options of an import.

    Attributes:
        name: The name of the source; None to derive it from the file.
        as_of: The moment of the build, in UTC; None to derive it from the file.
        ip_type: The type of all addresses; None if the table states types, or has none.
        layout: The name of the layout; None to detect it.
    """

    name: str | None = None
    as_of: datetime | None = None
    ip_type: IpType | None = None
    layout: str | None = None


def open_table(path: Path, options: ImportOptions) -> MmdbSource | RangeSource:
    """
    Open an MMDB file, or a table of a layout in `layouts.detect.LAYOUTS`, packed or not.

    Raises:
        SourceUnreadable: The file is missing, damaged or none of these.
        SettingRefused: Its date is unknown, or the options contradict it.
    """
    if is_mmdb(path):
        source = open_mmdb(path, built_at=options.as_of)
        return source.renamed(replace(source.build, name=_name(options.name or source.build.name)))
    tables = _tables_in(path)
    layout, chosen = _readings_of(path, tables, options.layout)
    if options.ip_type is not None and any("type" in reading.stated for reading in chosen):
        raise SettingRefused(f"{path} states types itself ({layout}); leave out --type")
    if options.ip_type is None and not all(reading.ip_type or reading.stated for reading in chosen):
        raise SettingRefused(
            f"{path} states no ASN, country code or type that is read ({columns_seen(tables[0])}): add --type if it is"
            " a list of addresses, or name its layout with --layout"
        )
    implied = {reading.ip_type for reading in chosen if "type" not in reading.stated}
    ip_type = options.ip_type or (implied.pop() if len(implied) == 1 else None)
    build = SourceBuild(
        name=_name(options.name or name_without_moment(path, SUFFIXES.sub("", PACKING.sub("", path.name)))),
        built_at=options.as_of or moment_of_table(path, max((r.built_at for r in chosen if r.built_at), default=None)),
        licence=OWN_LICENCE,
        sha256=sha256_of(path),
        origin=str(path.absolute()),
        form=layout if ip_type is None else f"{layout} {ip_type.value}",
    )
    return _read(path, build, chosen, ip_type)


def open_again(build: SourceBuild) -> MmdbSource | RangeSource:
    """
    Open the file of a registered build.

    Raises:
        SourceUnreadable: The file is missing or has changed.
    """
    path = Path(build.origin)
    if sha256_of(path) != build.sha256:
        raise SourceUnreadable(f"{path} has changed since it was imported as {build.label}")
    layout, _, word = build.form.partition(" ")
    if layout == "mmdb":
        return open_mmdb(path, built_at=build.built_at).renamed(build)
    return _read(path, build, _readings_of(path, _tables_in(path), layout)[1], IpType(word) if word else None)


def _tables_in(path: Path) -> Sequence[TableText]:
    """Return the tables in a file: an archive may have one per IP version."""
    contents = contents_of(path)
    found = [TableText(path, content) for content in contents]
    for table in found:
        table.neighbors = lambda: found if is_packed(path) else _neighbors(path)
    tables = [table for table in found if len(found) == 1 or _may_be_table(table.name)]
    if not tables:
        raise SourceUnreadable(f"{path} contains no table")
    return tables


def _readings_of(path: Path, tables: Sequence[TableText], layout: str | None) -> tuple[str, Sequence[Reading]]:
    """Return the layout of tables, and how each is read."""
    readings = {table.file_name: reading_of(table, layout) for table in tables}
    layouts = {name for name, _ in readings.values()}
    if len(layouts) > 1 or len({reading.stated for _, reading in readings.values()}) > 1:
        kinds = "layouts" if len(layouts) > 1 else "kinds of facts"
        raise SourceUnreadable(
            f"{path} contains tables of several {kinds} ({', '.join(readings)}): extract it, and import the folder"
        )
    return layouts.pop(), [reading for _, reading in readings.values()]


def _neighbors(path: Path) -> Sequence[TableText]:
    """Return the tables that may accompany a table in its folder."""
    files = sorted(each for each in path.parent.iterdir() if HELPERS.fullmatch(PACKING.sub("", each.name)))
    return [TableText(file, content) for file in files for content in contents_of(file)]


def _read(path: Path, build: SourceBuild, readings: Sequence[Reading], ip_type: IpType | None) -> RangeSource:
    unused = Unused()
    count, has_routable = 0, False

    def rows() -> Iterator[Row]:
        nonlocal count, has_routable
        for reading in readings:
            kind = ip_type or reading.ip_type
            for row in reading.rows(unused):
                count += 1
                has_place = row.facts.asn is not None or row.facts.country is not None
                if has_place and row.last - row.first + 1 >= WIDEST[row.version]:
                    unused[TOO_WIDE] += 1
                elif row.facts is EXCLUDED:
                    yield row._replace(facts=NO_FACTS)
                elif kind is not None or row.facts is not NO_FACTS:
                    has_routable = has_routable or _is_routable(row)
                    yield row if kind is None else row._replace(facts=typed(row.facts, kind))

    source = RangeSource(build, rows(), unused)
    layout = build.form.partition(" ")[0]
    if ip_type or any(reading.ip_type for reading in readings):
        unused.pop(NO_FACT, None)
        unused[BAD_PART] += unused.pop(BAD_FACT, 0)
    unused += Unused()  # without zeros
    malformed = sum(number for reason, number in unused.items() if reason in MALFORMED)
    reasons = "; ".join(f"{number:,} rows {reason}" for reason, number in unused.most_common(4))
    if malformed > MOST_MALFORMED * (count + malformed):
        raise SourceUnreadable(f"{path} is damaged, or has another layout than {layout}: {reasons}")
    if not has_routable:
        raise SourceUnreadable(
            f"{path} states no fact about a routable address ({reasons or f'{count:,} rows of other addresses'})"
        )
    return source


def _is_routable(row: Row) -> bool:
    """Whether a range has addresses that attackers can have."""
    kind = IPv4Address if row.version == 4 else IPv6Address
    return row.last - row.first > WIDEST_RANGE or any(
        IpAddress(str(kind(number))).is_routable for number in (row.first, row.last)
    )


def tables_below(folder: Path) -> Iterator[Path]:
    """
    Yield the files of a folder and all its sub-folders that may be tables, sorted by path.

    Links to folders are not followed: they may form a loop.

    Raises:
        SourceUnreadable: A folder cannot be read.
    """
    waiting, found = [str(folder)], list[str]()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif _may_be_table(entry.name) and _is_file(entry):
                        found.append(entry.path)
        except OSError as exc:
            raise SourceUnreadable(f"{exc.filename} cannot be read: {exc.strerror or exc}") from exc
    yield from map(Path, sorted(found))


def _may_be_table(name: str) -> bool:
    """Whether a name has a suffix of tables, or ends with a date, as the lists of CollecTor do."""
    plain = PACKING.sub("", name)
    if name.startswith(".") or DOCUMENTS.fullmatch(name) or HELPERS.fullmatch(plain):
        return False
    is_named = bool(SUFFIXES.search(plain) or PACKING.search(name) or NAMES.match(name))
    return is_named or any(found.end() == len(plain) for found in MOMENT.finditer(plain))


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _name(text: str) -> str:
    """Return a valid name of a source for provenance: one word of at most 64 characters."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64] or "table"
