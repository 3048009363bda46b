"""Addresses whose network changed between two attacks."""

from datetime import datetime
from typing import NamedTuple


class AddressMove(NamedTuple):
    """
    An address whose newest attack has another ASN in its snapshot than its previous one.

    Attributes:
        address: The address.
        before: ASN of the previous attack with a known ASN.
        before_name: Its organization, if known.
        before_method: How it was obtained, such as asof or inferred.
        before_at: Time of that attack.
        asn: ASN of the newest attack.
        name: Its organization, if known.
        method: How it was obtained.
        at: Time of the newest attack.
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
