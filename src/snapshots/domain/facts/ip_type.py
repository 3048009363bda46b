"""What kind of network an address belongs to, and which kind tells most."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from snapshots.domain.errors import InvalidPolicy


class IpType(Enum):
    """A kind of network. What nobody knows is None, never one of these by default."""

    VPN = "VPN"
    TOR = "TOR"
    PROXY = "PROXY"
    DATACENTER = "DATACENTER"
    RESIDENTIAL = "RESIDENTIAL"
    MOBILE = "MOBILE"

    @classmethod
    def named(cls, word: str) -> "IpType | None":
        """Return the type that a provider means by *word*; None for a word without a meaning here."""
        return ALIASES.get(word.strip().lower().replace("-", "_").replace(" ", "_"))


ALIASES: Mapping[str, IpType] = MappingProxyType(
    {kind.value.lower(): kind for kind in IpType}
    | {
        "anonymous_vpn": IpType.VPN,
        "vpn_exit": IpType.VPN,
        "tor_exit": IpType.TOR,
        "tor_exit_node": IpType.TOR,
        "tor_proxy": IpType.TOR,
        "public_proxy": IpType.PROXY,
        "residential_proxy": IpType.PROXY,
        "web_proxy": IpType.PROXY,
        "private_relay": IpType.PROXY,
        "bot": IpType.DATACENTER,
        "cdn": IpType.DATACENTER,
        "cloud": IpType.DATACENTER,
        "content_delivery_network": IpType.DATACENTER,
        "data_center": IpType.DATACENTER,
        "hosting": IpType.DATACENTER,
        "hosting_provider": IpType.DATACENTER,
        "broadband": IpType.RESIDENTIAL,
        "cable/dsl": IpType.RESIDENTIAL,
        "isp": IpType.RESIDENTIAL,
        "cellular": IpType.MOBILE,
    }
)
"""What providers call the types, in lower case with underscores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpTypePriority:
    """
    Decides which of several types is said of an address.

    An address often is several things at once: a Tor exit stands in a data center. The type that says
    most about who is behind it comes first.

    Attributes:
        ranking: Every type once, the most telling first.

    Raises:
        InvalidPolicy: A type is missing from the ranking, or stands in it twice.
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

    def most_telling(self, types: Collection[IpType]) -> IpType | None:
        """Return the type of *types* that stands first in the ranking; None if there are none."""
        return min(types, key=self.ranking.index, default=None)
