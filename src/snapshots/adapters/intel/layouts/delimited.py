"""CSV and TSV tables without a header, recognized by the kinds of all their columns."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snapshots.adapters.intel.layouts.addresses import NotABlock, block_of, end_of, netmask_length, range_between
from snapshots.adapters.intel.layouts.cells import cells_of, delimiter_of, is_comment, records
from snapshots.adapters.intel.layouts.columns import Columns
from snapshots.adapters.intel.layouts.facts import CONTINENTS, NO_COUNTRIES, are_continents, country_code, is_blank
from snapshots.adapters.intel.layouts.headers import has_large_number, is_address
from snapshots.adapters.intel.layouts.table import Layout, Reading, TableText
from snapshots.adapters.intel.parsing import asn_in
from snapshots.domain.facts.ip_type import IpType

FEWEST_RANGES = 0.9
"""Share of the rows whose first two addresses must be the ends of a range."""

WIDEST_RANGE = 2**24
"""IPv4 addresses of a range, as many as the largest allocations have; wider ranges are rare."""

MOST_EXCEPTIONS = 0.01
"""Share of the cells of a column that may be of another kind."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    The first rows of a table without a header.

    Attributes:
        table: The table.
        delimiter: What separates its cells.
        rows: The rows that begin with an address.
    """

    table: TableText
    delimiter: str
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, table: TableText) -> "Sample | None":
        """Return the sample of a table; None if most of its lines do not begin with an address."""
        lines = [line for line in table.head if not is_comment(line)]
        if table.document is not None or not lines:
            return None
        delimiter = delimiter_of(lines)
        rows = [cells for line in lines if len(cells := cells_of(line, delimiter)) > 1 and _begins(cells[0])]
        return cls(table, delimiter, rows) if len(rows) * 2 > len(lines) else None

    @property
    def width(self) -> int:
        """Return the largest number of cells of a row."""
        return max(map(len, self.rows))

    def all_are(self, index: int, is_kind: Callable[[str], bool]) -> bool:
        """Whether the cells of a column that state something are of a kind, with few exceptions, and there are any."""
        return self._stated(index).total() > 0 and self.may_be(index, is_kind)

    def may_be(self, index: int, is_kind: Callable[[str], bool]) -> bool:
        """The same, also for a column that states nothing."""
        stated = self._stated(index)
        exceptions = sum(count for word, count in stated.items() if not is_kind(word))
        return exceptions <= MOST_EXCEPTIONS * stated.total()

    def names_continents(self, index: int) -> bool:
        """Whether a column has continents."""
        return are_continents(self._stated(index))

    def _stated(self, index: int) -> Counter[str]:
        words = Counter(cells[index].strip() for cells in self.rows if index < len(cells))
        return Counter({word: count for word, count in words.items() if not is_blank(word)})

    @property
    def has_two_addresses(self) -> bool:
        """Whether the first two columns are addresses."""
        return all(is_address(cells[0]) and is_address(cells[1]) for cells in self.rows) or self.has_numbers

    @property
    def is_range(self) -> bool:
        """Whether the first two columns are the ends of ranges, or an address and a netmask."""
        return are_ranges(self.rows)

    @property
    def has_numbers(self) -> bool:
        """Whether addresses are written as numbers."""
        return all(cells[0].strip().isdigit() and cells[1].strip().isdigit() for cells in self.rows)

    @property
    def has_blocks(self) -> bool:
        """Whether the first column has blocks with a length."""
        return all("/" in cells[0] for cells in self.rows)

    def reading(self, *, ip_type: IpType | None = None, **columns: object) -> Reading:
        """Return how the table is read with the columns at these indexes."""
        is_range = columns.get("last") is not None
        numbers_are_ipv6 = is_range and has_large_number(self.rows, (0, 1))
        found = Columns(first=0, numbers_are_ipv6=numbers_are_ipv6, **columns)  # type: ignore[arg-type]  # named as the fields
        return Reading(
            rows=lambda unused: found.rows(records(self.table, self.delimiter), unused),
            ip_type=ip_type,
            stated=found.stated,
        )


def is_country(word: str) -> bool:
    """Whether a cell is the code of a country, or one in its place."""
    return country_code(word) is not None or word.upper() in NO_COUNTRIES


def is_asn(word: str) -> bool:
    """Whether a cell is the number of an autonomous system."""
    return asn_in(word) is not None


def _is_coordinate(word: str) -> bool:
    return re.fullmatch(r"-?\d{1,3}(\.\d+)?", word) is not None


def _is_continent(word: str) -> bool:
    return word.upper() in CONTINENTS


def _is_url(word: str) -> bool:
    return re.match(r"https?://|www\.", word, re.IGNORECASE) is not None


def _is_region(word: str) -> bool:
    return re.fullmatch(r"[A-Z]{2}-[A-Z0-9]{1,3}", word) is not None


def _begins(cell: str) -> bool:
    for parse in (end_of, block_of):
        try:
            parse(cell)
        except NotABlock:
            continue
        return True
    return False


def are_ranges(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first two cells of rows are the ends of ranges, or an address and a netmask, with few exceptions."""
    return sum(_is_range(*cells[:2]) for cells in rows) >= FEWEST_RANGES * len(rows)


def _is_range(first: str, last: str) -> bool:
    if netmask_length(last) is not None:
        return True
    is_ipv6 = has_large_number([(first, last)], (0, 1))
    try:
        block = range_between(first, last, numbers_are_ipv6=is_ipv6)
    except NotABlock:
        return False
    return block.version == 6 or block.last - block.first < WIDEST_RANGE


def _ip2location(sample: Sample) -> Reading | None:
    if not sample.table.is_chosen and not (
        sample.is_range and sample.has_numbers and "ip2proxy" not in sample.table.name
    ):
        return None
    if sample.all_are(2, lambda word: "/" in word and _begins(word)) and sample.all_are(3, is_asn):
        return sample.reading(last=1, asn=3, organization=4)
    if sample.width > 3 and sample.all_are(2, is_country):
        return sample.reading(last=1, country=2)
    return None


def _ip2proxy(sample: Sample) -> Reading | None:
    if not sample.table.is_chosen and not (sample.is_range and sample.has_numbers):
        return None
    if sample.all_are(2, lambda word: word.isupper() and IpType.named(word) is not None) and sample.all_are(
        3, is_country
    ):
        return sample.reading(last=1, ip_types=(2,), country=3)
    is_named = sample.table.is_chosen or "ip2proxy" in sample.table.name
    if is_named and sample.all_are(2, is_country):
        return sample.reading(last=1, country=2, ip_type=IpType.PROXY)
    return None


def _dbip_location(sample: Sample) -> Reading | None:
    if not sample.table.is_chosen and not (sample.is_range and sample.width >= 6):
        return None
    if sample.all_are(2, _is_continent) and sample.all_are(3, is_country):
        return sample.reading(last=1, country=3)
    return None


def _city(sample: Sample) -> Reading | None:
    has_place = sample.width >= 9 and sample.all_are(7, _is_coordinate) and sample.all_are(8, _is_coordinate)
    if (sample.table.is_chosen or (sample.is_range and has_place)) and sample.all_are(2, is_country):
        return sample.reading(last=1, country=2)
    return None


def _iptoasn(sample: Sample) -> Reading | None:
    if not sample.table.is_chosen and not (sample.is_range and sample.width == 5):
        return None
    if sample.all_are(2, is_asn) and sample.may_be(3, is_country):
        return sample.reading(last=1, asn=2, country=3, organization=4)
    return None


def _geoip_legacy(sample: Sample) -> Reading | None:
    has_numbers = sample.width in {5, 6} and sample.all_are(2, str.isdigit) and sample.all_are(3, str.isdigit)
    if sample.is_range and has_numbers and sample.all_are(4, is_country):
        return sample.reading(last=1, country=4)
    return None


def _ipcat(sample: Sample) -> Reading | None:
    is_named = sample.table.is_chosen or re.search("datacenters|ipcat", sample.table.name)
    if is_named and sample.is_range and sample.width == 4 and sample.all_are(3, _is_url):
        return sample.reading(last=1, ip_type=IpType.DATACENTER)
    return None


def _apple_relay(sample: Sample) -> Reading | None:
    is_named = sample.table.is_chosen or re.search("egress.?ip.?ranges|private.?relay", sample.table.name)
    if is_named and sample.all_are(1, is_country):
        return sample.reading(country=1, ip_type=IpType.PROXY)
    return None


def _geofeed(sample: Sample) -> Reading | None:
    has_regions = sample.all_are(2, _is_region)
    is_feed = sample.width == 5 and sample.delimiter == "," and sample.has_blocks and sample.may_be(2, _is_region)
    if not (sample.table.is_chosen or is_feed) or (sample.names_continents(1) and not has_regions):
        return None
    return sample.reading(country=1) if sample.all_are(1, is_country) else None


def _ranges(sample: Sample) -> Reading | None:
    if not sample.is_range:
        return None
    if sample.width in {3, 4} or sample.table.is_chosen:
        name = 3 if sample.width > 3 and not sample.names_continents(3) else None
        if sample.all_are(2, is_asn):
            has_countries = name is not None and sample.all_are(name, is_country)
            return sample.reading(
                last=1, asn=2, country=name if has_countries else None, organization=None if has_countries else name
            )
        if sample.all_are(2, is_country) and not sample.names_continents(2):
            return sample.reading(last=1, country=2)
        if sample.all_are(2, lambda word: IpType.named(word) is not None):
            return sample.reading(last=1, ip_types=(2,))
    return None


def _blocks(sample: Sample) -> Reading | None:
    if sample.is_range:
        return None
    name = 2 if sample.width > 2 else None
    if sample.all_are(1, lambda word: not word.isdigit() and IpType.named(word) is not None) and sample.width == 2:
        return sample.reading(ip_types=(1,))
    if not (sample.table.is_chosen or sample.has_blocks) or sample.width > 3:
        return None
    if sample.all_are(1, is_asn) and (
        sample.table.is_chosen or name or sample.all_are(1, lambda word: word[:2].upper() == "AS")
    ):
        return sample.reading(asn=1, organization=name)
    if sample.all_are(1, is_country) and not sample.names_continents(1):
        return sample.reading(country=1)
    return None


def _layout(name: str, summary: str, reading: Callable[[Sample], Reading | None]) -> Layout:
    def reading_of(table: TableText) -> Reading | None:
        sample = table.cached(Sample.of)
        return reading(sample) if sample is not None else None

    return Layout(name=name, summary=summary, reading=reading_of)


DELIMITED = (
    _layout(
        "apple-relay",
        "Apple's egress-ip-ranges.csv; all addresses are PROXY, countries are those of the users",
        _apple_relay,
    ),
    _layout("ip2proxy", "IP2Proxy LITE PX1 to PX11 CSV", _ip2proxy),
    _layout("ip2location", "IP2Location LITE CSV: DB1 to DB11 and ASN, for IPv4 and IPv6", _ip2location),
    _layout("dbip-location", "DB-IP city and location CSV: first,last,continent,country,...", _dbip_location),
    _layout("city", "ip-location-db city CSV: first,last,country,state,...,latitude,longitude,...", _city),
    _layout("iptoasn", "iptoasn.com TSV: first,last,asn,country,name; countries are those of the holders", _iptoasn),
    _layout("geoip-legacy", "GeoIPCountryWhois.csv of GeoIP Legacy", _geoip_legacy),
    _layout("ipcat", "ipcat datacenters.csv: first,last,name,URL; all addresses are DATACENTER", _ipcat),
    _layout("ranges", "CSV or TSV: first,last,asn[,name] or first,last,country or first,last,type", _ranges),
    _layout("geofeed", "geofeed (RFC 8805): block,country,region,city,", _geofeed),
    _layout("blocks", "CSV or TSV: block,asn,name or block,country[,name] or address,type", _blocks),
)
"""Tables without a header; of the layouts that fit, the first is used."""
