"""Kinds of networks, and their ranking for addresses of several kinds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from snapshots.domain.errors import InvalidPolicy


class IpType(Enum):
    """
    A kind of network, or a service that hides the user of an address. Unknown is None, never a default member.

    The members are in the order of `IpTypePriority`: of several types of an address, the first is its type.
    """

    VPN = "VPN"
    TOR = "TOR"
    PROXY = "PROXY"
    DATACENTER = "DATACENTER"
    RESIDENTIAL = "RESIDENTIAL"
    MOBILE = "MOBILE"

    @classmethod
    def named(cls, word: str) -> "IpType | None":
        """Return the type that a provider calls *word*; None for an unknown word."""
        return ALIASES.get(word.strip().lower().replace("-", "_").replace(" ", "_"))


ANONYMIZERS = frozenset({IpType.VPN, IpType.TOR, IpType.PROXY})
"""Services that hide the user of an address; they are known of addresses only, and change within days."""

NETWORK_KINDS = frozenset(IpType) - ANONYMIZERS
"""Kinds of networks that an address can be in, whether it serves an anonymizer or not."""

ALIASES: Mapping[str, IpType] = MappingProxyType(
    {kind.value.lower(): kind for kind in IpType}
    | {
        "anonymous_vpn": IpType.VPN,
        "epn": IpType.VPN,
        "vpn_exit": IpType.VPN,
        "tor_exit": IpType.TOR,
        "tor_exit_node": IpType.TOR,
        "tor_proxy": IpType.TOR,
        "consumer_privacy_network": IpType.PROXY,
        "cpn": IpType.PROXY,
        "private_relay": IpType.PROXY,
        "pub": IpType.PROXY,
        "public_proxy": IpType.PROXY,
        "relay": IpType.PROXY,
        "res": IpType.PROXY,
        "residential_proxy": IpType.PROXY,
        "web": IpType.PROXY,
        "web_proxy": IpType.PROXY,
        "bot": IpType.DATACENTER,
        "cdn": IpType.DATACENTER,
        "cloud": IpType.DATACENTER,
        "content_delivery_network": IpType.DATACENTER,
        "data_center": IpType.DATACENTER,
        "data_center/web_hosting/transit": IpType.DATACENTER,
        "dch": IpType.DATACENTER,
        "hosting": IpType.DATACENTER,
        "hosting_provider": IpType.DATACENTER,
        "search_engine_spider": IpType.DATACENTER,
        "ses": IpType.DATACENTER,
        "broadband": IpType.RESIDENTIAL,
        "cable/dsl": IpType.RESIDENTIAL,
        "dialup": IpType.RESIDENTIAL,
        "fixed_line_isp": IpType.RESIDENTIAL,
        "isp": IpType.RESIDENTIAL,
        "isp/mob": IpType.RESIDENTIAL,
        "residential_isp": IpType.RESIDENTIAL,
        "satellite": IpType.RESIDENTIAL,
        "cellular": IpType.MOBILE,
        "mob": IpType.MOBILE,
        "mobile_isp": IpType.MOBILE,
    }
)
"""
Names of the types at providers, in lower case with underscores.

Among them are the codes of IP2Proxy, where RES is a residential proxy and not a residential line, the codes of usage of
IP2Location, and the user and connection types of MaxMind. Business, government and education have no type.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpTypePriority:
    """
    Ranks the types of an address that has several.

    A Tor exit, for example, is often in a data center. The type that identifies the user of the address best comes
    first.

    Attributes:
        ranking: Every type once, the highest-ranked first.

    Raises:
        InvalidPolicy: A type is missing from the ranking or repeated.
    """

    ranking: tuple[IpType, ...] = (
        IpType.VPN,
        IpType.TOR,
        IpType.PROXY,
        IpType.DATACENTER,
        IpType.RESIDENTIAL,
        IpType.MOBILE,
    )

    def __post_init__(self) -> None:
        if len(self.ranking) != len(IpType) or set(self.ranking) != set(IpType):
            raise InvalidPolicy("a ranking names every IP type exactly once")

    def highest_ranked(self, types: Collection[IpType]) -> IpType | None:
        """Return the highest-ranked of *types*; None if there are none."""
        return min(types, key=self.ranking.index) if types else None
