"""Since when an autonomous system number can have been in use."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

SIXTEEN_BIT = 2**16 - 1
FIRST_LONG_NUMBERS = datetime(2007, 1, 1, tzinfo=UTC)
"""The registries have assigned numbers of more than 16 bits since 2007."""

SEEN_AT = datetime(2025, 4, 2, tzinfo=UTC)
MARGIN = 1024
"""Registries receive numbers in blocks of this size, so that many can have been assigned without being announced."""


class NumberBlock(NamedTuple):
    """
    The numbers of one registry, which it assigns in ascending order.

    Attributes:
        first: Its first number of more than 16 bits.
        last: Its last one.
        highest: The highest one that was announced at SEEN_AT, without isolated ones, which are typing errors.
    """

    first: int
    last: int
    highest: int


BLOCKS = (
    NumberBlock(131_072, 196_607, 153_749),  # APNIC
    NumberBlock(196_608, 262_143, 216_475),  # RIPE NCC
    NumberBlock(262_144, 327_679, 274_788),  # LACNIC
    NumberBlock(327_680, 393_215, 329_522),  # AFRINIC
    NumberBlock(393_216, 458_751, 401_639),  # ARIN
)
"""From the table @ip-location-db/asn of 2025-04-02 (RouteViews and DB-IP, CC BY 4.0)."""


@lru_cache(maxsize=20_000)
def first_possible_use(asn: int) -> datetime | None:
    """
    Return a time before which a number was certainly not in use; None if it is not known.

    The bound is conservative: most numbers were assigned years after it.
    """
    if asn <= SIXTEEN_BIT:
        return None
    for block in BLOCKS:
        if block.first <= asn <= block.last and asn > block.highest + MARGIN:
            return SEEN_AT
    return FIRST_LONG_NUMBERS


def can_have_existed(asn: int, at: datetime) -> bool:
    """Whether a number can have been in use at a time."""
    since = first_possible_use(asn)
    return since is None or at >= since
