"""Convert the values of a filter, as users write them, to their stored form."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from hashlib import sha256
from ipaddress import ip_network

from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.session_queries import METHODS_OF_FACTS, Dimension
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.validation import LARGEST_ASN, check_asn, check_country
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method


def _asn(text: str) -> int:
    number = text.upper().removeprefix("AS")
    asn = int(number) if number.isascii() and number.isdecimal() else 0
    check_asn(asn)
    return asn


def _country(text: str) -> str:
    """Return the code of a country that is given by its code or by one of its English names."""
    code = CODES.get(text.casefold(), text.upper())
    if code not in COUNTRY_NAMES and len(text) > len("DE"):
        alike = [COUNTRY_NAMES[CODES[name]][0] for name in get_close_matches(text.casefold(), CODES, 3)]
        nearest = f"; nearest: {', '.join(dict.fromkeys(alike))}" if alike else ""
        raise InvalidQuery(f"{text[:40]!r} is not {EXPECTED[Dimension.COUNTRY]}{nearest}")
    check_country(code)
    return code


def _address(text: str) -> str:
    """Return an address, or a network in CIDR notation, in canonical form; bits after the prefix are dropped."""
    return str(ip_network(text.strip(), strict=False)) if "/" in text else IpAddress.parse(text).text


def _part_of_name(text: str) -> str:
    if not text.strip():
        raise InvalidQuery("--network needs a part of a name; none selects sessions without a known network")
    return text


def _password(text: str) -> str:
    """Return the hash of a password, which is given as text or as its hash."""
    return text.lower() if SHA256.fullmatch(text) else sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


CODES = {name.casefold(): code for code, names in COUNTRY_NAMES.items() for name in reversed(names)}
"""Codes of countries by their names in lower case."""

PROTOCOLS = ("ssh", "telnet")
SHA256 = re.compile("[0-9a-fA-F]{64}")

STORED: Mapping[Dimension, Callable[[str], str | int]] = {
    Dimension.ASN: _asn,
    Dimension.COUNTRY: _country,
    Dimension.IP_TYPE: lambda text: IpType(text.upper()).value,
    Dimension.NETWORK: _part_of_name,
    Dimension.ADDRESS: _address,
    Dimension.METHOD: lambda text: Method(text.lower()).value,
    **dict.fromkeys(METHODS_OF_FACTS.values(), lambda text: Method(text.lower()).value),
    Dimension.TYPE_BY: lambda text: {"address": "address", "network": "network"}[text.lower()],
    Dimension.GAP: lambda text: Gap(text.lower()).value,
    Dimension.PROTOCOL: lambda text: {name: name for name in PROTOCOLS}[text.lower()],
    Dimension.HASSH: str.lower,
    Dimension.PASSWORD: _password,
}
"""Converts values that users write in several forms to the stored form."""

METHODS = ", ".join(each.value for each in Method)

EXPECTED: Mapping[Dimension, str] = {
    Dimension.ASN: (
        f"an ASN (use a number from 1 to {LARGEST_ASN}, such as 4134 or AS4134; --network finds networks by name)"
    ),
    Dimension.COUNTRY: "a country (use ISO 3166-1 alpha-2, such as DE, or the English name)",
    Dimension.PROTOCOL: f"a protocol (use one of {', '.join(PROTOCOLS)})",
    Dimension.IP_TYPE: f"an IP type (use one of {', '.join(each.value for each in IpType)})",
    Dimension.ADDRESS: "an IP address or network (such as 192.0.2.1, 2001:db8::1 or 192.0.2.0/24)",
    **dict.fromkeys((Dimension.METHOD, *METHODS_OF_FACTS.values()), f"a method (use one of {METHODS})"),
    Dimension.TYPE_BY: "address or network",
    Dimension.GAP: f"a gap (use one of {', '.join(each.value for each in Gap)})",
}
"""Expected form of a value, for error messages."""


def stored_value(key: Dimension, value: str) -> str | int:
    """
    Return the stored form of a value.

    Raises:
        InvalidQuery: The value is not valid; the message states the expected form.
    """
    try:
        return STORED.get(key, str)(value)
    except InvalidQuery:
        raise
    except (ValueError, KeyError, SnapshotsError) as exc:
        raise InvalidQuery(f"{value[:40]!r} is not {EXPECTED.get(key, key.value)}") from exc
