"""Addresses whose network changed between two attacks."""

from datetime import datetime
from typing import NamedTuple


class AddressMove(NamedTuple):
    """
    The latest change of an address's ASN between two consecutive attacks with known ASNs.

    Attributes:
        address: The address.
        before: ASN of the earlier attack.
        before_name: Its organization, if known.
        before_method: How it was obtained, such as asof or inferred.
        before_at: Time of the earlier attack.
        asn: ASN of the later attack.
        name: Its organization, if known.
        method: How it was obtained.
        at: Time of the later attack.
    """

    address: str
    before: int
    before_name: str | None
    before_method: str | None
    before_at: datetime
    asn: int
    name: str | None
    method: str | None
    at: datetime
