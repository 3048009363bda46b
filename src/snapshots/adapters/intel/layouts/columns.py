"""Rows of cells whose columns are known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from snapshots.adapters.intel.layouts.addresses import (
    MIXED,
    NO_ADDRESS,
    REVERSED,
    NotABlock,
    block_of,
    netmask_length,
    range_between,
)
from snapshots.adapters.intel.layouts.facts import CONTINENTS, NO_COUNTRIES, TRUE, facts_of, is_blank
from snapshots.adapters.intel.layouts.table import Row, Unused
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts

NO_FACT = "without a fact"
BAD_FACT = "with an unknown country or an invalid ASN"
BAD_PART = "with an unknown country or an invalid ASN, but another fact"
CONTINENT = "with a continent in place of the country"

MOST_KNOWN = 1_000_000
"""Maximum number of different facts that are cached."""

MALFORMED = frozenset({NO_ADDRESS, MIXED, REVERSED, BAD_FACT})
"""Reasons that are faults of a row; rows without a fact are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """
    The meaning of columns, by their index from 0.

    Attributes:
        first: The first address of a range or, without *last*, an address or a block.
        last: The last address of a range, or a netmask.
        length: The length of the prefix that begins at *first*.
        asn: Numbers of autonomous systems.
        organization: Names of autonomous systems.
        country: Country codes.
        ip_types: Words for types.
        flags: Columns with a Boolean, each with the type that it stands for.
        places: Columns with identifiers of places, the preferred first.
        countries: The country codes of these places.
        has_continents: Whether continents stand in the column of countries, so that AF, AS, NA or SA is no country.
        numbers_are_ipv6: Whether addresses that are numbers are all IPv6 addresses.
    """

    first: int
    last: int | None = None
    length: int | None = None
    asn: int | None = None
    organization: int | None = None
    country: int | None = None
    ip_types: tuple[int, ...] = ()
    flags: Mapping[int, IpType] = field(default_factory=dict)
    places: tuple[int, ...] = ()
    countries: Mapping[str, str] = field(default_factory=dict)
    has_continents: bool = False
    numbers_are_ipv6: bool = False

    @property
    def stated(self) -> frozenset[str]:
        """Return which of "asn", "country" and "type" there are columns of."""
        has_country = self.country is not None or bool(self.places)
        found = {"asn": self.asn is not None, "country": has_country, "type": bool(self.ip_types or self.flags)}
        return frozenset(fact for fact, is_there in found.items() if is_there)

    def rows(self, records: Iterable[Sequence[str]], unused: Unused) -> Iterator[Row]:
        """Yield the rows of cells as ranges with facts, and count those that are not used."""
        stated = [
            i
            for i in (self.asn, self.organization, self.country, *self.ip_types, *self.flags, *self.places)
            if i is not None
        ]
        key_of = itemgetter(*stated) if stated else len
        known: dict[object, tuple[IpFacts, str]] = {}
        for cells in records:
            try:
                version, first, last = self._block(cells)
            except (NotABlock, IndexError) as exc:
                unused[str(exc) if isinstance(exc, NotABlock) else NO_ADDRESS] += 1
                continue
            try:
                key = key_of(cells)
            except IndexError:  # the row lacks its last cells
                key = (None, *cells)
            found = known.get(key)
            if found is None:
                if len(known) >= MOST_KNOWN:
                    known.clear()
                found = known[key] = self._facts(cells)
            if found[1]:
                unused[found[1]] += 1
            yield Row(version, first, last, found[0])

    def _block(self, cells: Sequence[str]) -> tuple[int, int, int]:
        if self.length is not None:
            return block_of(f"{cells[self.first].strip()}/{cells[self.length].strip()}")
        if self.last is None:
            return block_of(cells[self.first])
        length = netmask_length(cells[self.last])
        if length is not None:
            return block_of(f"{cells[self.first].strip()}/{length}")
        return range_between(cells[self.first], cells[self.last], numbers_are_ipv6=self.numbers_are_ipv6)

    def _facts(self, cells: Sequence[str]) -> tuple[IpFacts, str]:
        """Return the facts in a row, and why there are none; "" if there are."""

        def cell(index: int | None) -> str:
            return cells[index] if index is not None and index < len(cells) else ""

        country = cell(self.country)
        if not country and self.places:
            country = next((code for i in self.places if (code := self.countries.get(cell(i)))), "")
        is_continent = self.has_continents and country.strip().upper() in CONTINENTS
        facts = facts_of(
            cell(self.asn),
            cell(self.organization),
            "" if is_continent else country,
            tuple(cell(i) for i in self.ip_types),
            frozenset(kind for i, kind in self.flags.items() if cell(i).strip().lower() in TRUE),
        )
        if is_continent:
            return facts, CONTINENT
        is_bad_asn = facts.asn is None and not is_blank(cell(self.asn))
        is_bad_country = facts.country is None and not is_blank(country) and country.strip().upper() not in NO_COUNTRIES
        if is_bad_asn or is_bad_country:
            return facts, BAD_FACT if facts is NO_FACTS else BAD_PART
        return facts, NO_FACT if facts is NO_FACTS and self.stated else ""
