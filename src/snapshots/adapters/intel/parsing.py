"""Parse ASNs and country codes in the notations of providers."""

import re

from snapshots.domain.facts.validation import LARGEST_ASN, PSEUDO_COUNTRIES

_ASN = re.compile(r"(?:AS)?(\d{1,10})", re.ASCII | re.IGNORECASE)
_COUNTRY = re.compile("[A-Za-z]{2}")


def asn_in(value: object) -> int | None:
    """Return the ASN in 64500, "64500" or "AS64500"; None for 0 and everything else."""
    if type(value) is int:
        number = value
    else:
        digits = _ASN.fullmatch(str(value))
        number = int(digits[1]) if digits else 0
    return number if 1 <= number <= LARGEST_ASN else None


def country_in(value: object) -> str | None:
    """Return an alpha-2 code in upper case; None for pseudo codes and everything else."""
    if isinstance(value, str) and _COUNTRY.fullmatch(value) and value.upper() not in PSEUDO_COUNTRIES:
        return value.upper()
    return None
