"""Parse ASNs and country codes in the notations of providers."""

import re

from snapshots.domain.facts.validation import LARGEST_ASN, PSEUDO_COUNTRIES


def asn_in(value: object) -> int | None:
    """Return the ASN in 64500, "64500" or "AS64500"; None for 0 and everything else."""
    digits = re.fullmatch(r"(?:AS)?(\d{1,10})", str(value), re.ASCII | re.IGNORECASE)
    number = int(digits[1]) if digits else 0
    return number if 1 <= number <= LARGEST_ASN else None


def country_in(value: object) -> str | None:
    """Return an alpha-2 code in upper case; None for pseudo codes and everything else."""
    if isinstance(value, str) and re.fullmatch("[A-Za-z]{2}", value) and value.upper() not in PSEUDO_COUNTRIES:
        return value.upper()
    return None
