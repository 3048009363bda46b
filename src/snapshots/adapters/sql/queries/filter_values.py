"""Convert the values of a filter, as users write them, to their stored form."""

from collections.abc import Callable, Mapping

from snapshots.app.errors import InvalidQuery
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
    check_country(text.upper())
    return text.upper()


STORED: Mapping[Dimension, Callable[[str], str | int]] = {
    Dimension.ASN: _asn,
    Dimension.COUNTRY: _country,
    Dimension.IP_TYPE: lambda text: IpType(text.upper()).value,
    Dimension.ADDRESS: lambda text: IpAddress.parse(text).text,
    Dimension.METHOD: lambda text: Method(text.lower()).value,
    **dict.fromkeys(METHODS_OF_FACTS.values(), lambda text: Method(text.lower()).value),
    Dimension.TYPE_BY: lambda text: {"address": "address", "network": "network"}[text.lower()],
    Dimension.GAP: lambda text: Gap(text.lower()).value,
    Dimension.PROTOCOL: str.lower,
    Dimension.HASSH: str.lower,
    Dimension.PASSWORD: str.lower,
}
"""Converts values that users write in several forms to the stored form."""

METHODS = ", ".join(each.value for each in Method)

EXPECTED: Mapping[Dimension, str] = {
    Dimension.ASN: f"an ASN (use a number from 1 to {LARGEST_ASN}, such as 4134 or AS4134)",
    Dimension.COUNTRY: "a country code (use ISO 3166-1 alpha-2, such as DE)",
    Dimension.IP_TYPE: f"an IP type (use one of {', '.join(each.value for each in IpType)})",
    Dimension.ADDRESS: "an IP address (such as 192.0.2.1 or 2001:db8::1)",
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
    except (ValueError, KeyError, SnapshotsError) as exc:
        raise InvalidQuery(f"{value[:40]!r} is not {EXPECTED.get(key, key.value)}") from exc
