"""Choose the address that a session came from: its canonical source IP."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple, Self

from snapshots.domain.errors import InvalidAddress

LONGEST_ADDRESS = 80
"""Characters. An IPv6 address has at most 45, plus a zone; longer texts are rejected without parsing."""

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104 - some loaders write it for an unknown address


class IpAddress(NamedTuple):
    """
    An IP address in its canonical text form, made by `IpAddress.parse`. A tuple, because it is a key of many mappings.

    Attributes:
        text: Dotted IPv4, or compressed lower-case IPv6. An IPv4-mapped address is written as IPv4.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Parse an address in any usual form; the zone of a link-local IPv6 address is dropped.

        Raises:
            InvalidAddress: *text* is not an IPv4 or IPv6 address.
        """
        try:
            if _IPV4.fullmatch(text):  # fast path: most texts are already canonical
                return cls(text)
            return cls(str(_without_mapping(ip_address(text.strip().partition("%")[0]))))
        except ValueError as exc:
            raise InvalidAddress(f"{text[:80]!r} is not an IP address") from exc
        except TypeError as exc:
            raise InvalidAddress(f"{text!r:.80} is not a string with an IP address") from exc

    @property
    def number(self) -> int:
        """Return the address as an integer of 32 or 128 bits."""
        return int.from_bytes(inet_pton(AF_INET6 if ":" in self.text else AF_INET, self.text))

    @property
    def version(self) -> int:
        """Return 4 or 6."""
        return 6 if ":" in self.text else 4

    @property
    def is_routable(self) -> bool:
        """Whether IANA's special-purpose registries list it as globally reachable."""
        return _is_routable(self.text)


_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}")


@lru_cache(maxsize=4_096)
def _is_routable(text: str) -> bool:
    if ":" not in text:
        number = IpAddress(text).number
        before = bisect_right(_V4_FIRST, number) - 1
        return number > _V4_LAST[before] or number in _V4_EXCEPTIONS
    address = IPv6Address(text)
    if not any(address in net for net in _V6_ROUTABLE):
        return False
    return any(address in net for net in _V6_EXCEPTIONS) or not any(address in net for net in _V6_NOT_ROUTABLE)


def _without_mapping(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, "Globally Reachable".
# Listed here because the result of Python's `is_global` changed between releases.
_V4_NOT_ROUTABLE = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_V4_FIRST, _V4_LAST = zip(*((int(net[0]), int(net[-1])) for net in sorted(_V4_NOT_ROUTABLE)), strict=True)
_V4_EXCEPTIONS = (int(IPv4Address("192.0.0.9")), int(IPv4Address("192.0.0.10")))
_V6_ROUTABLE = (IPv6Network("2000::/3"), IPv6Network("64:ff9b::/96"))
_V6_NOT_ROUTABLE = tuple(IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_V6_EXCEPTIONS = tuple(
    IPv6Network(net)
    for net in (
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        "2001:3::/32",
        "2001:4:112::/48",
        "2001:20::/28",
        "2001:30::/28",
    )
)


class SightingKind(IntEnum):
    """The kind of event in which an address was seen, the most trustworthy first."""

    CONNECT = 0
    OTHER = 1
    FORWARD = 2


class Sighting(NamedTuple):
    """
    An address with the time and the kind of the event that names it. A tuple, because every session has one.

    Attributes:
        address: The address that the event names as the session's source.
        seen_at: The time of the event, in UTC.
        kind: The kind of the event.
        port: The attacker's port, 0 to 65535, if the event is a connect and contains it.
    """

    address: IpAddress
    seen_at: datetime
    kind: SightingKind = SightingKind.OTHER
    port: int | None = None

    def precedes(self, other: "Sighting") -> bool:
        """Whether this sighting takes precedence over *other* as the canonical source IP."""
        return self.rank < other.rank

    @property
    def rank(self) -> tuple[int, datetime, str, int]:
        """Return the sort key of that order; the smallest sighting is canonical."""
        return (self.kind, self.seen_at, self.address.text, -1 if self.port is None else self.port)


@dataclass(frozen=True, slots=True)
class CanonicalIpSelector:
    """
    Chooses the canonical source IP of a session: the address of its earliest sighting.

    A `cowrie.session.connect` event comes before every other event, then the earlier time, then the smaller address
    text; the position in a file does not matter. The address in a `direct-tcpip` event of older Cowrie releases was
    claimed by the client, so it counts only if the session has no other events.
    """

    def choose(self, sightings: Iterable[Sighting], *, only_forwards: bool) -> Sighting | None:
        """
        Return the canonical sighting of a session.

        Args:
            sightings: The sightings of one session, in any order.
            only_forwards: Whether every event of the session is a `direct-tcpip` event.

        Returns:
            The first sighting in the order above; None if no sighting counts.
        """
        counting = [s for s in sightings if only_forwards or s.kind is not SightingKind.FORWARD]
        return counting[0] if len(counting) == 1 else min(counting, key=lambda s: s.rank, default=None)
