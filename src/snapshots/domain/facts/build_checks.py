"""Decide whether a new build of a source is plausible, before its facts are used."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from types import MappingProxyType

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnownAddress:
    """
    An address whose network is stable.

    Attributes:
        address: The address.
        asn: Its autonomous system.
        country: Its country; None if tables differ about it.
        since: When both became true, in UTC.
    """

    address: IpAddress
    asn: int
    country: str | None
    since: datetime


WELL_KNOWN = tuple(
    WellKnownAddress(address=IpAddress(text), asn=asn, country=country, since=datetime(year, 1, 1, tzinfo=UTC))
    for text, asn, country, year in (
        ("8.8.8.8", 15169, "US", 2011),  # Google Public DNS
        ("1.1.1.1", 13335, None, 2019),  # Cloudflare DNS, registered in Australia and used everywhere
        ("208.67.222.222", 36692, "US", 2009),  # OpenDNS
        ("193.0.6.139", 3333, "NL", 2008),  # RIPE NCC
        ("128.112.128.1", 88, "US", 2008),  # Princeton University
        ("130.237.28.40", 1653, "SE", 2008),  # KTH in Stockholm, behind SUNET
    )
)
"""Addresses whose network has been the same for years in the tables of all makers."""

MOST_WRONG = 1
"""Well-known addresses about which a table may state something else: makers differ about single addresses."""

SAMPLE = tuple(
    address
    for number in range(2**24 + 2**15, 224 * 2**24, 3_600_001)
    if (address := IpAddress(str(IPv4Address(number)))).is_routable
)
"""A thousand addresses from the whole of IPv4; the step is odd, so that they differ in all their bytes."""

WHOLE = 0.5
"""Share of the sample of which a table that claims to cover all addresses states a fact."""

FEW_RANGES = 10_000
"""A source with fewer ranges, such as a list, grows and shrinks by more than the shares below."""

SIZE_CHANGE, SIZE_CHANGE_PER_YEAR = 0.03, 0.36
"""Share by which the number of ranges of a large source may change at once, and in each year between two builds."""

SMALL_FROM, SMALL_LOSS = 100, 2 / 3
"""A small source of at least so many ranges may lose this share of them."""

FEWEST_COMPARED = 50
"""Addresses below which the share of changed facts has no meaning."""

CHANGED, CHANGED_PER_YEAR = 0.1, 0.1
"""Share of addresses with another ASN or country: measured are 2 to 3 % after half a year, and 44 % after ten years."""

CHANGED_TYPES = 0.9
"""The same for the types in a list: most exits of Tor and most proxies are gone after months."""

YEAR = timedelta(days=365)

LARGEST_SHARES: Mapping[IpType, float] = MappingProxyType(
    {
        IpType.VPN: 0.01,
        IpType.TOR: 0.001,
        IpType.PROXY: 0.01,
        IpType.DATACENTER: 0.2,
        IpType.RESIDENTIAL: 0.8,
        IpType.MOBILE: 0.3,
    }
)
"""Share of an IP version's addresses that a plausible list types: the widest public lists have half of it."""


def refused_share(shares: Mapping[IpType, float]) -> str:
    """Return what a list types implausibly much of; "" if nothing."""
    for kind, share in shares.items():
        if share > LARGEST_SHARES[kind]:
            return f"types {share:.1%} of all addresses as {kind.value} (usual are at most {LARGEST_SHARES[kind]:.1%})"
    return ""


def wrong_well_known(
    sample: Mapping[IpAddress, IpFacts], known: Mapping[IpAddress, IpFacts], built_at: datetime
) -> str:
    """
    Return what a table that covers all addresses states wrongly about well-known ones; "" if it is plausible.

    Args:
        sample: What it states about SAMPLE.
        known: What it states about the addresses of WELL_KNOWN.
        built_at: When it was built: addresses that were not well known yet are ignored.
    """
    probes = [each for each in WELL_KNOWN if each.since <= built_at]
    stated = {probe.address: known.get(probe.address, NO_FACTS) for probe in probes}
    networks = [
        f"{probe.address.text} is AS{stated[probe.address].asn or '-'} and not AS{probe.asn}"
        for probe in probes
        if stated[probe.address].asn != probe.asn and _states(sample, lambda facts: facts.asn is not None)
    ]
    countries = [
        f"{probe.address.text} is in {stated[probe.address].country or '-'} and not in {probe.country}"
        for probe in probes
        if probe.country not in {None, stated[probe.address].country}
        and _states(sample, lambda facts: facts.country is not None)
    ]
    return next((", ".join(wrong) for wrong in (networks, countries) if len(wrong) > MOST_WRONG), "")


def refused_size(before: int, now: int, apart: timedelta) -> str:
    """Return how much the number of ranges differs from that of another build of the source; "" if it is plausible."""
    if before < SMALL_FROM:
        return ""
    if before < FEW_RANGES:
        is_refused = now < before * (1 - SMALL_LOSS)
    else:
        most = 1 + SIZE_CHANGE + SIZE_CHANGE_PER_YEAR * (apart / YEAR)
        is_refused = not before / most <= now <= before * most
    return f"it has {now:,} ranges, and the build before it has {before:,}" if is_refused else ""


def refused_changes(pairs: Iterable[tuple[IpFacts, IpFacts]], apart: timedelta) -> str:
    """
    Return how many facts differ from those of another build of the source; "" if that is plausible.

    Args:
        pairs: For each address the facts of the other build, and those of this one.
        apart: The time between the builds.
    """
    stated: Sequence[tuple[IpFacts, IpFacts]] = [(before, now) for before, now in pairs if before != NO_FACTS]
    networks = [(b, n) for b, n in stated if b.asn is not None or b.country is not None]
    types = [(b, n) for b, n in stated if b.asn is None and b.country is None]
    changed = sum((b.asn, b.country) != (n.asn, n.country) for b, n in networks)
    gone = sum(b.ip_types.isdisjoint(n.ip_types) for b, n in types)
    limits = ((changed, len(networks), CHANGED + CHANGED_PER_YEAR * (apart / YEAR)), (gone, len(types), CHANGED_TYPES))
    for count, compared, most in limits:
        if compared >= FEWEST_COMPARED and count > most * compared:
            return f"it changes the facts of {count:,} of {compared:,} addresses of the inventory"
    return ""


def _states(sample: Mapping[IpAddress, IpFacts], is_stated: Callable[[IpFacts], bool]) -> bool:
    return sum(map(is_stated, sample.values())) >= WHOLE * len(SAMPLE)
