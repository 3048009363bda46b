"""Results of queries of analysts that are no groups and no sessions."""

from collections.abc import Sequence
from typing import NamedTuple

from snapshots.domain.address.source_ip import IpAddress


class NotCurrent(NamedTuple):
    """Sessions without a table newer than the attack, and with one that is too old today; see `CurrentSince`."""

    without_newer: int
    expired: int


class AddressPage(NamedTuple):
    """A page of addresses in text order. `last` is the cursor of the next page; "" if there is none."""

    addresses: Sequence[IpAddress]
    last: str
