"""Facts from plain files of addresses: lists of one type, and tables of ranges."""

import csv
import gzip
import hashlib
import re
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from socket import AF_INET, inet_pton
from typing import NamedTuple

from snapshots.adapters.intel.parsing import asn_in, country_in
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts, SourceBuild

LONGEST_NUMBER = 39
"""Digits of the largest IPv6 address; tables write addresses as numbers too."""


class Row(NamedTuple):
    """A range of addresses of one version, both ends included, and what is said of it."""

    version: int
    first: int
    last: int
    facts: IpFacts


class RangeSource:
    """
    Ranges in memory. Of ranges that overlap, the one that begins last says what is said.

    Args:
        build: Which build they are.
        rows: The ranges, in any order.
        unread: How many lines of the file were none.
    """

    def __init__(self, build: SourceBuild, rows: Iterable[Row], unread: int = 0) -> None:
        self._build = build
        self._facts: list[IpFacts | None] = [None]
        self.unread = unread
        known: dict[int, int] = {}  # by identity: hashing facts for each of many rows would take longer than all else
        by_version: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        for version, first, last, facts in rows:
            says = known.get(id(facts))
            if says is None:
                says = known[id(facts)] = len(self._facts)
                self._facts.append(facts)
            by_version[version].append((first, last, says))
        self._pieces = {version: _flattened(own) for version, own in by_version.items() if own}

    @property
    def build(self) -> SourceBuild:
        """Return name and date."""
        return self._build

    @property
    def versions(self) -> frozenset[int]:
        """Return the versions of IP that the file has ranges of."""
        return frozenset(self._pieces)

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """Return what is said of each address that stands in a range."""
        found = {}
        for address in addresses:
            pieces = self._pieces.get(address.version)
            if pieces is None:
                continue
            starts, says = pieces
            at = bisect_right(starts, int(ip_address(address.text))) - 1
            facts = self._facts[says[at]] if at >= 0 else None
            if facts is not None:
                found[address] = facts
        return found


def _flattened(rows: list[tuple[int, int, int]]) -> tuple[Sequence[int], Sequence[int]]:
    """Return where each piece starts and what is said of it, 0 for nothing; pieces do not overlap."""
    starts: list[int] = []
    says = array("L")

    def say(start: int, what: int) -> None:
        if starts and starts[-1] == start:
            says[-1] = what
        else:
            starts.append(start)
            says.append(what)

    within: list[tuple[int, int]] = []  # (last, what) of the ranges that are not over, the innermost last
    for first, last, what in sorted(rows, key=lambda row: (row[0], -row[1])):
        while within and within[-1][0] < first:
            over = within.pop()[0]
            while within and within[-1][0] <= over:
                within.pop()
            say(over + 1, within[-1][1] if within else 0)
        say(first, what)
        within.append((last, what))
    while within:
        over = within.pop()[0]
        while within and within[-1][0] <= over:
            within.pop()
        say(over + 1, within[-1][1] if within else 0)
    return (array("L", starts) if starts[-1] < 2**64 else starts), says


def open_list(path: Path, ip_type: IpType, build: SourceBuild) -> RangeSource:
    """
    Open a file that lists addresses of one type: single ones, CIDR blocks and ranges `first-last`, one a line.

    What follows the first word of a line is passed over, and so is what follows `#` or `;`.

    Raises:
        SourceUnreadable: The file is missing, or has no address.
    """
    facts = IpFacts(ip_types=frozenset({ip_type}))
    rows, unread = [], 0
    for line in _lines(path):
        words = re.split(r"[#;]", line)[0].replace("ExitAddress", " ").replace(" - ", "-").split()
        if not words:
            continue
        block = _block(words[0].strip("\"',").split(",")[0])
        if block is None:
            unread += 1
        else:
            rows.append(Row(*block, facts))
    return _opened(path, build, rows, unread)


def open_ranges(path: Path, build: SourceBuild) -> RangeSource:
    """
    Open a CSV file of ranges: `first,last,asn[,organization]` or `first,last,country`.

    Raises:
        SourceUnreadable: The file is missing, or has no range.
    """
    rows, unread = [], 0
    for line in _lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        row = _row_in(_cells(line))
        if row is None:
            unread += 1
        elif row.facts is not NO_FACTS:
            rows.append(row)
    return _opened(path, build, rows, unread)


def is_ranges(path: Path) -> bool:
    """Whether a file begins with ranges in CSV, perhaps after a header."""
    lines = _lines(path)
    head = [line for line, _ in zip(lines, range(3), strict=False)]
    return any(_row_in(_cells(line)) is not None for line in head)


def sha256_of(path: Path) -> str:
    """
    Return the hash of a file.

    Raises:
        SourceUnreadable: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _opened(path: Path, build: SourceBuild, rows: list[Row], unread: int) -> RangeSource:
    if not rows:
        raise SourceUnreadable(f"{path} holds no address that can be read; {unread:,} lines are something else")
    return RangeSource(build, rows, unread)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if is_packed else raw
            for line in file:
                yield line.decode("utf-8", "replace").replace("\x00", "\ufffd")
    except (OSError, EOFError, zlib.error) as exc:
        raise SourceUnreadable(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc


def _cells(line: str) -> Sequence[str]:
    """Return the cells of one line of CSV; none of a line that breaks its rules."""
    if '"' not in line:
        return line.rstrip("\r\n").split(",")
    try:
        return next(csv.reader([line.replace("\r", " ")]), [])
    except csv.Error:
        return []


def _row_in(cells: Sequence[str]) -> Row | None:
    if len(cells) < 3:
        return None
    first, last = _end(cells[0]), _end(cells[1])
    if first is None or last is None or first[0] != last[0] or first[1] > last[1]:
        return None
    return Row(first[0], first[1], last[1], _facts(cells[2].strip(), cells[3].strip() if len(cells) > 3 else ""))


@lru_cache(maxsize=1_000_000)
def _facts(word: str, name: str) -> IpFacts:
    """Return what a row says, the same object for the same words."""
    asn, country = asn_in(word), country_in(word)
    if asn is None and country is None:
        return NO_FACTS
    return IpFacts(asn=asn, organization=name or None if asn is not None else None, country=country)


def _end(text: str) -> tuple[int, int] | None:
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER:
        number = int(text)
        return (4, number) if number < 2**32 else (6, number) if number < 2**128 else None
    try:
        return 4, int.from_bytes(inet_pton(AF_INET, text), "big")
    except OSError:
        pass  # no IPv4
    try:
        return _plain(IPv6Address(text))
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> tuple[int, int]:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)


def _block(text: str) -> tuple[int, int, int] | None:
    """Return version, first and last of an address, a CIDR block or a range."""
    first_text, dash, last_text = text.partition("-")
    if dash:
        first, last = _end(first_text), _end(last_text)
        if first is None or last is None or first[0] != last[0] or first[1] > last[1]:
            return None
        return first[0], first[1], last[1]
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    (version, first_number), (_, last_number) = _plain(network[0]), _plain(network[-1])
    return version, first_number, last_number
