"""Check the ranges of facts about an address."""

import re
from datetime import UTC, datetime, timedelta

from snapshots.domain.errors import InvalidFact

LARGEST_ASN = 2**32 - 1
PSEUDO_COUNTRIES = frozenset({"XX", "ZZ", "EU", "AP"})
"""Codes that registries and databases use for unknown countries or regions."""

_ALPHA_2 = re.compile("[A-Z]{2}")
_ZERO = timedelta(0)


def check_asn(asn: int | None) -> None:
    """Raise InvalidFact unless *asn* is None or from 1 to LARGEST_ASN."""
    if asn is not None and not 1 <= asn <= LARGEST_ASN:
        raise InvalidFact(f"ASN {asn} is not in 1..{LARGEST_ASN}")


def check_country(country: str | None) -> None:
    """Raise InvalidFact unless *country* is None or an alpha-2 code of a country."""
    if country is not None and (country in PSEUDO_COUNTRIES or not _ALPHA_2.fullmatch(country)):
        raise InvalidFact(f"{country[:20]!r} is not a country code (use ISO 3166-1 alpha-2, such as DE)")


def check_utc(moment: datetime) -> None:
    """Raise InvalidFact unless *moment* is aware and in UTC."""
    if moment.tzinfo is not UTC and moment.utcoffset() != _ZERO:
        raise InvalidFact(f"{moment!r} is not in UTC")
