"""Kinds of facts, each of which is valid for a time of its own."""

from collections.abc import Collection
from enum import Enum

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import SourceBuild


class FactKind(Enum):
    """The ASN, the country, or one IP type."""

    ASN = "ASN"
    COUNTRY = "country"
    VPN = "VPN"
    TOR = "TOR"
    PROXY = "PROXY"
    DATACENTER = "DATACENTER"
    RESIDENTIAL = "RESIDENTIAL"
    MOBILE = "MOBILE"

    @property
    def ip_type(self) -> IpType | None:
        """Return the IP type; None for the ASN and the country."""
        return None if self in {FactKind.ASN, FactKind.COUNTRY} else IpType(self.value)


def kinds_in_list(build: SourceBuild) -> Collection[FactKind]:
    """Return the kind of facts in a list of one IP type; nothing for other tables, whose form does not state it."""
    _, _, word = build.form.partition(" ")
    return {FactKind(word)} if word in {ip_type.value for ip_type in IpType} else set()
