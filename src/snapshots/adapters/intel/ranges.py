"""Read facts from text files: lists of addresses of one type, and CSV tables of ranges."""

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
"""Digits of the largest IPv6 address; some tables contain addresses as numbers."""


class Row(NamedTuple):
    """A range of addresses of one IP version, both ends included, and its facts."""

    version: int
    first: int
    last: int
    facts: IpFacts


class RangeSource:
    """
    Ranges in memory. Where ranges overlap, the one that begins last applies.

    Args:
        build: The build that the file contains.
        rows: The ranges, in any order.
        unread: Number of lines of the file that are not ranges.
    """

    def __init__(self, build: SourceBuild, rows: Iterable[Row], unread: int = 0) -> None:
        self._build = build
        self._facts: list[IpFacts | None] = [None]
        self.unread = unread
        known: dict[int, int] = {}  # by identity, because hashing the facts of every row would dominate the time
        by_version: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        for version, first, last, facts in rows:
            index = known.get(id(facts))
            if index is None:
                index = known[id(facts)] = len(self._facts)
                self._facts.append(facts)
            by_version[version].append((first, last, index))
        self._pieces = {version: _flattened(own) for version, own in by_version.items() if own}

    @property
    def build(self) -> SourceBuild:
        """Return the build that the file contains."""
        return self._build

    @property
    def versions(self) -> frozenset[int]:
        """Return the IP versions of the ranges."""
        return frozenset(self._pieces)

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """Return the facts of each address in a range; other addresses are absent."""
        found = {}
        for address in addresses:
            pieces = self._pieces.get(address.version)
            if pieces is None:
                continue
            starts, indexes = pieces
            at = bisect_right(starts, int(ip_address(address.text))) - 1
            facts = self._facts[indexes[at]] if at >= 0 else None
            if facts is not None:
                found[address] = facts
        return found


def _flattened(rows: list[tuple[int, int, int]]) -> tuple[Sequence[int], Sequence[int]]:
    """Return the starts and the indexes of facts of disjoint pieces; index 0 means no facts."""
    starts: list[int] = []
    indexes = array("L")

    def add(start: int, index: int) -> None:
        if starts and starts[-1] == start:
            indexes[-1] = index
        else:
            starts.append(start)
            indexes.append(index)

    within: list[tuple[int, int]] = []  # (last, index) of the ranges that contain the current start, the innermost last
    for first, last, index in sorted(rows, key=lambda row: (row[0], -row[1])):
        while within and within[-1][0] < first:
            over = within.pop()[0]
            while within and within[-1][0] <= over:
                within.pop()
            add(over + 1, within[-1][1] if within else 0)
        add(first, index)
        within.append((last, index))
    while within:
        over = within.pop()[0]
        while within and within[-1][0] <= over:
            within.pop()
        add(over + 1, within[-1][1] if within else 0)
    return (array("L", starts) if starts[-1] < 2**64 else starts), indexes


def open_list(path: Path, ip_type: IpType, build: SourceBuild) -> RangeSource:
    """
    Open a list of addresses of one type, with one address, CIDR block or range `first-last` per line.

    Only the first word of a line is read; text after `#` or `;` is a comment.

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
    """Whether a file begins with ranges in CSV, with or without a header."""
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
        raise SourceUnreadable(f"{path} contains no readable address; {unread:,} lines are something else")
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
    """Return the cells of one line of CSV; [] if the line is invalid."""
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
    """Return the facts of a row; equal cells give the same object."""
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
        pass  # not IPv4
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
