"""Text formats of registries, of routing tables and of the Tor Project."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from snapshots.adapters.intel.layouts.addresses import NO_ADDRESS, NotABlock, block_of, end_of
from snapshots.adapters.intel.layouts.cells import is_comment, records
from snapshots.adapters.intel.layouts.columns import NO_FACT, Columns
from snapshots.adapters.intel.layouts.facts import facts_of
from snapshots.adapters.intel.layouts.table import Layout, Reading, Row, TableText, Unused
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS

REGISTRIES = "afrinic|apnic|arin|iana|lacnic|ripencc|nro"
AS_NUMBERS = "for AS numbers"
UNALLOCATED = "for addresses that are not allocated"
SEVERAL_ORIGINS = "with several origin ASNs"


def _delegated(table: TableText) -> Reading | None:
    pattern = re.compile(rf"(\d+(\.\d+)?\|({REGISTRIES})|({REGISTRIES})\|[A-Z*]*\|(ipv4|ipv6|asn))\|", re.IGNORECASE)
    lines = [line for line in table.head[:100] if not is_comment(line)]
    if not lines or not pattern.match(lines[0]):
        return None
    serial = lines[0].split("|")[2]
    built_at = None
    with suppress(ValueError):
        built_at = end_of_day(datetime.strptime(serial, "%Y%m%d").replace(tzinfo=UTC).date())
    return Reading(rows=lambda unused: _allocations(table, unused), stated=frozenset({"country"}), built_at=built_at)


def _allocations(table: TableText, unused: Unused) -> Iterator[Row]:
    for cells in records(table, "|"):
        if len(cells) < 7 or cells[0][:1].isdigit() or cells[5] == "summary":
            if len(cells) < 6:
                unused[NO_ADDRESS] += 1
            continue  # the version line and the summary
        _, country, kind, start, size, _, status = cells[:7]
        if kind == "asn":
            unused[AS_NUMBERS] += 1
        elif status.strip().lower() not in {"allocated", "assigned"}:
            unused[UNALLOCATED] += 1
        else:
            try:
                block = _allocated(kind, start, size)
            except (NotABlock, ValueError):
                unused[NO_ADDRESS] += 1
                continue
            facts = facts_of("", "", country, (), frozenset())
            if facts is NO_FACTS:
                unused[NO_FACT] += 1
            yield Row(*block, facts)


def _allocated(kind: str, start: str, size: str) -> tuple[int, int, int]:
    """Return a block: the size is a number of IPv4 addresses, or the length of an IPv6 prefix."""
    if kind == "ipv6":
        return block_of(f"{start}/{int(size)}")
    version, first = end_of(start)
    last = first + int(size) - 1
    if version != 4 or not first <= last < 2**32:
        raise NotABlock(NO_ADDRESS)
    return version, first, last


def _pyasn(table: TableText) -> Reading | None:
    has_title = any("IP-ASN32-DAT" in line for line in table.head[:10])
    if not (table.is_chosen or has_title or re.search(r"ipasn|\.dat$", table.name)):
        return None
    rows = [line.split() for line in table.head[:1000] if not is_comment(line)]
    if not rows or sum(len(words) == 2 and "/" in words[0] and words[1].isdigit() for words in rows) * 2 < len(rows):
        return None
    columns = Columns(first=0, asn=1)
    return Reading(rows=lambda unused: columns.rows(_words(table), unused), stated=columns.stated)


def _words(table: TableText) -> Iterator[list[str]]:
    return (line.split() for line in table.lines() if not is_comment(line))


def _pfx2as(table: TableText) -> Reading | None:
    rows = [line.split("\t") for line in table.head[:1000]]
    if not rows or not all(len(cells) == 3 and re.fullmatch(r"\d{1,3}", cells[1]) for cells in rows):
        return None
    columns = Columns(first=0, length=1, asn=2)

    def single_origins(unused: Unused) -> Iterator[list[str]]:
        for cells in _words(table):
            if len(cells) == 3 and re.search("[_,]", cells[2]):
                unused[SEVERAL_ORIGINS] += 1
            else:
                yield cells

    return Reading(rows=lambda unused: columns.rows(single_origins(unused), unused), stated=columns.stated)


def _exit_addresses(table: TableText) -> Reading | None:
    if not any(line.startswith(("ExitNode ", "ExitAddress ")) for line in table.head[:10]):
        return None

    def rows(unused: Unused) -> Iterator[Row]:
        for line in table.lines():
            words = line.split()
            if words[:1] == ["ExitAddress"]:
                try:
                    yield Row(*block_of(words[1] if len(words) > 1 else ""), NO_FACTS)
                except NotABlock as exc:
                    unused[str(exc)] += 1

    return Reading(rows=rows, ip_type=IpType.TOR, built_at=_downloaded_at(table))


def _downloaded_at(table: TableText) -> datetime | None:
    """Return when CollecTor downloaded an exit list."""
    for line in table.head[:10]:
        if line.startswith("Downloaded "):
            with suppress(ValueError):
                return datetime.fromisoformat(line.removeprefix("Downloaded ").strip()).replace(tzinfo=UTC)
    return None


RECORDS = (
    Layout(
        name="delegated",
        summary="delegated statistics of the registries; countries are those of the holders of addresses",
        reading=_delegated,
    ),
    Layout(name="pyasn", summary="ipasn .dat of pyasn: block,asn", reading=_pyasn),
    Layout(name="pfx2as", summary="pfx2as of CAIDA: prefix,length,asn", reading=_pfx2as),
    Layout(
        name="exit-addresses",
        summary="exit-addresses of the Tor Project, and exit lists of CollecTor; all addresses are TOR",
        reading=_exit_addresses,
    ),
)
