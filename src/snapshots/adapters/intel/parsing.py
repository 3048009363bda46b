"""How others write the number of a network and the code of a country."""

import re

from snapshots.domain.facts.validation import LARGEST_ASN, PSEUDO_COUNTRIES


def asn_in(value: object) -> int | None:
    """Return an AS number that is written as 64500, "64500" or "AS64500"; None for anything else, and for 0."""
    digits = re.fullmatch(r"(?:AS)?(\d{1,10})", str(value), re.ASCII | re.IGNORECASE)
    number = int(digits[1]) if digits else 0
    return number if 1 <= number <= LARGEST_ASN else None


def country_in(value: object) -> str | None:
    """Return a country's code in upper case; None for anything else, and for codes that name no country."""
    if isinstance(value, str) and re.fullmatch("[A-Za-z]{2}", value) and value.upper() not in PSEUDO_COUNTRIES:
        return value.upper()
    return None
