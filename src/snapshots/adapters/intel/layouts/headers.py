"""Tables whose header, or whose JSON keys, name the columns."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from snapshots.adapters.intel.layouts.addresses import NotABlock, block_of
from snapshots.adapters.intel.layouts.cells import cells_of, delimiter_of, is_comment, records
from snapshots.adapters.intel.layouts.columns import Columns
from snapshots.adapters.intel.layouts.facts import BLANKS, FLAGS, NEGATIVES, TYPES, are_continents, country_code
from snapshots.adapters.intel.layouts.table import SAMPLE, Layout, Reading, TableText
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType

BLOCK = (
    "network",
    "cidr",
    "prefix",
    "ip_prefix",
    "ip_range",
    "range",
    "subnet",
    "netblock",
    "ip_network",
    "ip_address",
    "ip_addr",
    "ip",
    "address",
    "addr",
    "src_ip",
    "source_ip",
    "exit_address",
    "exitaddress",
)
FIRST = (
    "start_ip",
    "ip_start",
    "range_start",
    "ip_range_start",
    "start",
    "first",
    "first_ip",
    "ip_from",
    "from",
    "begin",
    "begin_ip",
    "network_start_ip",
    "start_address",
    "startip",
    "low",
    "ip_first",
    "ip_begin",
)
LAST = (
    "end_ip",
    "ip_end",
    "range_end",
    "ip_range_end",
    "end",
    "last",
    "last_ip",
    "ip_to",
    "to",
    "network_end_ip",
    "end_address",
    "endip",
    "high",
    "ip_last",
    "netmask",
    "mask",
    "broadcast",
    "upper",
    "last_address",
)
LENGTH = (
    "prefix_length",
    "prefixlength",
    "prefix_len",
    "prefixlen",
    "length",
    "masklen",
    "mask_length",
    "bits",
    "mask",
    "netmask",
    "cidr",
    "prefix",
)
OTHER_ADDRESSES = frozenset({"join_key"})
"""Columns of addresses that are no ends of ranges: of IPinfo, the address by which a row is found."""

ERRORS = frozenset({"error", "errors", "message", "detail"})
"""Keys of the answer of a service that refused to deliver a table."""

ASN = ("autonomous_system_number", "asn", "as_number", "asnum", "as_num", "origin_as", "asn_number", "as")
ORGANIZATION = (
    "autonomous_system_organization",
    "as_name",
    "asname",
    "as_org",
    "as_organization",
    "asn_org",
    "asn_name",
    "as_description",
    "organization",
    "org",
    "name",
    "description",
    "isp",
)
COUNTRY = (
    "country_code",
    "country_iso_code",
    "cc",
    "iso_code",
    "country_iso",
    "countrycode",
    "country_code2",
    "country_2",
    "iso2",
    "alpha_2",
    "alpha2",
    "country",
)
PLACES = ("geoname_id",)
"""Names of columns in lower case with underscores, the preferred first."""


def header_names(cells: Sequence[str]) -> list[str]:
    """Return the names of columns in lower case with underscores."""
    return [re.sub(r"[^a-z0-9]+", "_", cell.strip().strip("#").lower()).strip("_") for cell in cells]


def is_address(text: str) -> bool:
    """Whether a cell is an address or a block; a number is not enough."""
    try:
        block_of(text)
    except NotABlock:
        return False
    return True


def columns_named(names: Sequence[str], samples: Sequence[Sequence[str]]) -> Columns | None:
    """Return the columns with known names; None if none of them has addresses."""

    def index(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    first, last, length = index(FIRST), index(LAST), None
    if first is None:
        first = index(BLOCK)
    if first is None:
        return None
    if _all(samples, first, _is_bare_address):
        others = [i for i in range(len(names)) if i != first and names[i] not in OTHER_ADDRESSES]
        ends = [i for i in others if _all(samples, i, _is_bare_address)]
        lengths = [i for i in others if names[i] in LENGTH and _all(samples, i, _is_length)]
        if [i for i in ends if i != last]:
            return None  # another address of each row: it may be the end of a range, or a different address
        last, length = (last, None) if ends else (None, next(iter(lengths), None))
    elif last is not None and not _all(samples, first, lambda text: "/" not in text):
        last = None
    asn = index(ASN)
    types = tuple(i for i, name in enumerate(names) if name in TYPES and _has_types(i, samples))
    flags = {i: FLAGS[name] for i, name in enumerate(names) if name in FLAGS}
    country = next((names.index(n) for n in COUNTRY if n in names and _has_countries(names.index(n), samples)), None)
    if country is None and (asn is not None or types or flags):
        country = index(COUNTRY)  # its cells are counted
    return Columns(
        first=first,
        last=last,
        length=length,
        asn=asn,
        organization=index(ORGANIZATION) if asn is not None else None,
        country=country,
        ip_types=types,
        flags=flags,
        places=tuple(names.index(name) for name in PLACES if name in names),
        has_continents=country is not None and _has_continents(country, samples, is_code=names[country] != "country"),
        numbers_are_ipv6=last is not None and has_large_number(samples, (first, last)),
    )


def _all(samples: Sequence[Sequence[str]], index: int, is_kind: Callable[[str], bool]) -> bool:
    """Whether all cells of a column that are not empty are of a kind, and there is one."""
    cells = [cells[index].strip() for cells in samples if index < len(cells) and cells[index].strip()]
    return bool(cells) and all(map(is_kind, cells))


def _is_bare_address(text: str) -> bool:
    return not _is_number(text) and "/" not in text and "-" not in text and is_address(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_length(text: str) -> bool:
    return _is_number(text) and int(text) <= 128


def _has_countries(index: int, samples: Sequence[Sequence[str]]) -> bool:
    return any(country_code(cells[index]) is not None for cells in samples if index < len(cells))


def _has_continents(index: int, samples: Sequence[Sequence[str]], *, is_code: bool) -> bool:
    """Whether a column has continents; a column of codes of countries has, if it names one that no country has."""
    words = {cells[index].strip().upper() for cells in samples if index < len(cells)}
    return "OC" in words or (not is_code and are_continents(words))


def _has_types(index: int, samples: Sequence[Sequence[str]]) -> bool:
    """Whether a column has types, or states of every address that it has none."""
    words = {cells[index].strip().lower() for cells in samples if index < len(cells)}
    is_negative = bool(words & NEGATIVES) and words <= NEGATIVES | BLANKS
    return is_negative or any(IpType.named(word) is not None for word in words)


def has_large_number(samples: Sequence[Sequence[str]], indexes: Sequence[int]) -> bool:
    """Whether addresses are numbers beyond IPv4: then all numbers of the table are IPv6 addresses."""
    words = (cells[i].strip() for cells in samples for i in indexes if i < len(cells))
    return any(word.isascii() and word.isdigit() and len(word) > 9 and int(word) >= 2**32 for word in words)


def header_of(
    table: TableText, required: AbstractSet[str] = frozenset({*BLOCK, *FIRST})
) -> tuple[list[str], str, list[Sequence[str]]] | None:
    """Return the names of the columns, the delimiter, and the sampled rows; None if there is no header."""
    lines = [line for line in table.head if not is_comment(line)]
    if len(lines) < 2:
        return None
    delimiter = delimiter_of(lines)
    names = header_names(cells_of(lines[0], delimiter))
    if any(is_address(cell) for cell in cells_of(lines[0], delimiter)) or required.isdisjoint(names):
        return None
    return names, delimiter, [cells_of(line, delimiter) for line in lines[1:]]


def reading_of_header(table: TableText) -> Reading | None:
    """Read a table with a header."""
    if table.document is not None or (header := header_of(table)) is None:
        return None
    names, delimiter, samples = header
    columns = columns_named(names, samples)
    if columns is None:
        return None
    if columns.places and columns.asn is None and columns.country is None:
        columns = replace(columns, countries=countries_of_places(table))
    return _reading(columns, lambda: records(table, delimiter, skip=1))


def reading_of_records(table: TableText) -> Reading | None:
    """Read a JSON array, or lines, of objects whose keys name the columns."""
    found = [table.document] if isinstance(table.document, dict) else table.document
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found[:SAMPLE]):
        return None
    if len(found) == 1 and not ERRORS.isdisjoint(found[0]):
        return None
    keys = list(dict.fromkeys(key for each in found[:SAMPLE] for key in each))
    rows = [[_text(each.get(key)) for key in keys] for each in found if isinstance(each, dict)]
    columns = columns_named(header_names(keys), rows[:SAMPLE])
    return _reading(columns, lambda: iter(rows)) if columns is not None else None


def _reading(columns: Columns, cells: Callable[[], Iterator[Sequence[str]]]) -> Reading:
    return Reading(
        rows=lambda unused: columns.rows(cells(), unused),
        stated=columns.stated,
    )


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def countries_of_places(table: TableText) -> Mapping[str, str]:
    """
    Return the country codes of the places in the table of locations that accompanies a table of blocks.

    Raises:
        SourceUnreadable: There is no such table.
    """
    prefix = table.name.partition("blocks")[0]
    candidates = [each for each in table.neighbors() if "locations" in each.name and each.name.startswith(prefix)]
    for each in sorted(candidates, key=lambda c: ("-en" not in c.name, c.name)):
        header = header_of(each, required={"geoname_id"})
        if header is not None and "country_iso_code" in header[0]:
            names, delimiter, _ = header
            place, code = names.index("geoname_id"), names.index("country_iso_code")
            rows = records(each, delimiter, skip=1)
            return {cells[place]: cells[code] for cells in rows if len(cells) > max(place, code) and cells[code]}
    kind = table.file_name.partition("Blocks")[0] if "Blocks" in table.file_name else "GeoLite2-Country-"
    raise SourceUnreadable(
        f"{table.path} names places by geoname_id only: put the table of locations ({kind}Locations-en.csv) into the"
        " same folder, or import the zip archive"
    )


HEADER = Layout(
    name="header",
    summary="CSV or TSV whose header names the columns: GeoLite2 and GeoIP2 blocks, IPinfo Lite and others",
    reading=reading_of_header,
)
RECORDS = Layout(
    name="records",
    summary="JSON array or JSON lines of objects whose keys name the columns, such as IPinfo Lite as JSON",
    reading=reading_of_records,
)
