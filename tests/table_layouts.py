"""Tables of addresses in every layout, made from the same ranges."""

import csv
import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, summarize_address_range

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts

_CODES = {IpType.VPN: "VPN", IpType.TOR: "TOR", IpType.PROXY: "PUB", IpType.DATACENTER: "DCH"}

MAPPED = int(IPv6Address("::ffff:0:0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """
    A range of addresses with all facts that a table can state about it.

    Attributes:
        first: The first address, as a number.
        last: The last address.
        asn: The autonomous system.
        name: Its name.
        country: The country.
        ip_type: The type.
        version: 4 or 6.
    """

    first: int
    last: int
    asn: int = 64500
    name: str = "Example"
    country: str = "DE"
    ip_type: IpType = IpType.DATACENTER
    version: int = 4

    @property
    def ends(self) -> tuple[str, str]:
        """Return both ends as text."""
        kind = IPv4Address if self.version == 4 else IPv6Address
        return str(kind(self.first)), str(kind(self.last))

    @property
    def blocks(self) -> list[str]:
        """Return the range as blocks."""
        kind = IPv4Address if self.version == 4 else IPv6Address
        return [str(block) for block in summarize_address_range(kind(self.first), kind(self.last))]


Write = Callable[[Sequence[Range]], str | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """
    How a layout is written.

    Attributes:
        file: The name of the file.
        write: Writes ranges as a table.
        asn: Whether the table states ASNs.
        name: Whether it states their names.
        country: Whether it states countries.
        types: Whether it states types.
        implied: The type that it implies.
        versions: The IP versions that it can hold together.
    """

    file: str
    write: Write
    asn: bool = False
    name: bool = False
    country: bool = False
    types: bool = False
    implied: IpType | None = None
    versions: tuple[int, ...] = (4, 6)

    def facts(self, stated: Range, ip_type: IpType | None = None) -> IpFacts:
        """Return what the table states about the addresses of a range."""
        kinds = {stated.ip_type} if self.types else {ip_type or self.implied} - {None}
        return IpFacts(
            asn=stated.asn if self.asn else None,
            organization=stated.name if self.name else None,
            country=stated.country if self.country else None,
            ip_types=frozenset(kind for kind in kinds if kind is not None),
        )


def _csv(rows: Sequence[Sequence[object]], delimiter: str = ",", *, quoted: bool = False) -> str:
    text = io.StringIO()
    if quoted:
        csv.writer(text, delimiter=delimiter, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    else:
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _per_block(ranges: Sequence[Range], row: Callable[[str, Range], Sequence[object]]) -> list[Sequence[object]]:
    return [row(block, each) for each in ranges for block in each.blocks]


def _bare(block: str) -> str:
    """Return a block of one IPv4 address without its length."""
    return block.removesuffix("/32") if ":" not in block else block


def _numbers(each: Range, *, mapped: bool = False) -> tuple[int, int]:
    shift = MAPPED if mapped and each.version == 4 else 0
    return each.first + shift, each.last + shift


def _blocks_by_version(ranges: Sequence[Range]) -> tuple[list[str], list[str]]:
    return (
        [block for each in ranges if each.version == 4 for block in each.blocks],
        [block for each in ranges if each.version == 6 for block in each.blocks],
    )


def _aws(ranges: Sequence[Range]) -> str:
    four, six = _blocks_by_version(ranges)
    return json.dumps(
        {
            "syncToken": "1",
            "prefixes": [{"ip_prefix": block, "region": "r", "service": "EC2"} for block in four],
            "ipv6_prefixes": [{"ipv6_prefix": block, "region": "r", "service": "EC2"} for block in six],
        },
        indent=2,
    )


def _gcp(ranges: Sequence[Range]) -> str:
    four, six = _blocks_by_version(ranges)
    prefixes = [{"ipv4Prefix": block, "scope": "x"} for block in four] + [{"ipv6Prefix": block} for block in six]
    return json.dumps({"syncToken": "1", "prefixes": prefixes})


def _azure(ranges: Sequence[Range]) -> str:
    values = [{"name": "a", "properties": {"region": "", "addressPrefixes": each.blocks}} for each in ranges]
    return json.dumps({"changeNumber": 1, "cloud": "Public", "values": values})


def _oracle(ranges: Sequence[Range]) -> str:
    regions = [{"region": "r", "cidrs": [{"cidr": block, "tags": ["OCI"]} for block in each.blocks]} for each in ranges]
    return json.dumps({"last_updated_timestamp": "2026-10-01T00:00:00", "regions": regions})


def _fastly(ranges: Sequence[Range]) -> str:
    four, six = _blocks_by_version(ranges)
    return json.dumps({"addresses": four, "ipv6_addresses": six})


def _onionoo(ranges: Sequence[Range]) -> str:
    relays: list[Mapping[str, object]] = [
        {"or_addresses": ["9.9.9.9:9001"], "flags": ["Guard", "Running"]},
        *({"or_addresses": ["9.9.9.9:9001"], "exit_addresses": [each.ends[0]]} for each in ranges),
    ]
    return json.dumps({"version": "8.0", "relays": relays})


def _exit_addresses(ranges: Sequence[Range]) -> str:
    return "@type tordnsel 1.0\nDownloaded 2026-10-09 04:02:00\n" + "".join(
        f"ExitNode {n:040}\nPublished 2026-10-09 04:00:00\nLastStatus 2026-10-09 18:00:00\n"
        f"ExitAddress {each.ends[0]} 2026-10-09 18:10:10\n"
        for n, each in enumerate(ranges)
    )


def _delegated(ranges: Sequence[Range]) -> str:
    lines = ["2|ripencc|20261001|3|19830705|20260930|+0200", "ripencc|*|ipv4|*|2|summary"]
    lines += ["ripencc|GB|asn|64500|1|20190101|allocated|a", "ripencc||ipv4|9.9.9.0|256||available"]
    for each in ranges:
        head = f"ripencc|{each.country}|ipv{each.version}"
        if each.version == 4:
            lines.append(f"{head}|{each.ends[0]}|{each.last - each.first + 1}|20190101|allocated|a")
        else:
            lines += [f"{head}|{block.replace('/', '|')}|20190101|assigned|b" for block in each.blocks]
    return "\n".join(lines) + "\n"


def _openasn(ranges: Sequence[Range]) -> bytes:
    ordered = sorted(ranges, key=lambda each: each.first)
    layers = [[each for each in ordered if each.ip_type is kind] for kind in (IpType.VPN, IpType.DATACENTER)]
    counts = [len(layer) for layer in (ordered, *layers)]
    base = b"".join(struct.pack(">IIIH", each.first, each.last, each.asn, 0) for each in ordered)
    other = b"".join(struct.pack(">II", each.first, each.last) for layer in layers for each in layer)
    return struct.pack(">4sBBHQIIII", b"OASN", 1, 4, 0, 1_790_000_000, *counts, 0) + base + other


EXAMPLES: Mapping[str, Example] = {
    "geolite2-asn": Example(
        file="GeoLite2-ASN-Blocks-IPv4_20261001.csv",
        write=lambda ranges: _csv(
            [
                ("network", "autonomous_system_number", "autonomous_system_organization"),
                *_per_block(ranges, lambda block, each: (block, each.asn, each.name)),
            ]
        ),
        asn=True,
        name=True,
    ),
    "ipinfo-lite": Example(
        file="ipinfo_lite_20261001.csv",
        write=lambda ranges: _csv(
            [
                ("network", "country", "country_code", "continent", "continent_code", "asn", "as_name", "as_domain"),
                *_per_block(
                    ranges,
                    lambda block, each: (
                        _bare(block),
                        "Land",
                        each.country,
                        "Europe",
                        "EU",
                        f"AS{each.asn}",
                        each.name,
                        "a.example",
                    ),
                ),
            ]
        ),
        asn=True,
        name=True,
        country=True,
    ),
    "ipinfo-lite-json": Example(
        file="ipinfo_lite_20261001.json",
        write=lambda ranges: "".join(
            json.dumps(
                {"network": b, "country": "Land", "country_code": e.country, "asn": f"AS{e.asn}", "as_name": e.name}
            )
            + "\n"
            for e in ranges
            for b in e.blocks
        ),
        asn=True,
        name=True,
        country=True,
    ),
    "anonymous-ip": Example(
        file="GeoIP2-Anonymous-IP-Blocks-IPv4_20261001.csv",
        write=lambda ranges: _csv(
            [
                (
                    "network",
                    "is_anonymous",
                    "is_anonymous_vpn",
                    "is_hosting_provider",
                    "is_public_proxy",
                    "is_tor_exit_node",
                ),
                *_per_block(
                    ranges,
                    lambda block, e: (
                        block,
                        1,
                        *(int(e.ip_type is k) for k in (IpType.VPN, IpType.DATACENTER, IpType.PROXY, IpType.TOR)),
                    ),
                ),
            ]
        ),
        types=True,
    ),
    "typed-records": Example(
        file="types-2026-10-01.json",
        write=lambda ranges: json.dumps([{"ip": b, "type": e.ip_type.value.lower()} for e in ranges for b in e.blocks]),
        types=True,
    ),
    "typed-blocks": Example(
        file="types-2026-10-01.csv",
        write=lambda ranges: _csv(_per_block(ranges, lambda block, each: (block, each.ip_type.value.lower()))),
        types=True,
    ),
    "ip2location-asn": Example(
        file="IP2LOCATION-LITE-ASN-20261001.CSV",
        write=lambda ranges: "\ufeff" + _csv([(*_numbers(e), e.blocks[0], e.asn, e.name) for e in ranges], quoted=True),
        asn=True,
        name=True,
        versions=(4,),
    ),
    "ip2location-db1": Example(
        file="IP2LOCATION-LITE-DB1-20261001.CSV",
        write=lambda ranges: _csv(
            [(0, 16777215, "-", "-"), *((*_numbers(e), e.country, "Land") for e in ranges)], quoted=True
        ),
        country=True,
        versions=(4,),
    ),
    "ip2location-db11-ipv6": Example(
        file="IP2LOCATION-LITE-DB11.IPV6-20261001.CSV",
        write=lambda ranges: _csv(
            [
                (0, MAPPED - 1, "-", "-", "-", "-", "0.000000", "0.000000", "-", "-"),
                *(
                    (*_numbers(e, mapped=True), e.country, "Land", "Region", "City", "1.5", "-2.5", "10115", "+02:00")
                    for e in ranges
                ),
            ],
            quoted=True,
        ),
        country=True,
    ),
    "ip2proxy-px1": Example(
        file="IP2PROXY-LITE-PX1-20261001.CSV",
        write=lambda ranges: _csv([(*_numbers(e), e.country, "Land") for e in ranges], quoted=True),
        country=True,
        implied=IpType.PROXY,
        versions=(4,),
    ),
    "ip2proxy-px2": Example(
        file="IP2PROXY-LITE-PX2-20261001.CSV",
        write=lambda ranges: _csv([(*_numbers(e), _CODES[e.ip_type], e.country, "Land") for e in ranges], quoted=True),
        country=True,
        types=True,
        versions=(4,),
    ),
    "iptoasn": Example(
        file="ip2asn-combined-20261001.tsv",
        write=lambda ranges: _csv(
            [("9.9.9.0", "9.9.9.255", 0, "None", "Not routed"), *((*e.ends, e.asn, e.country, e.name) for e in ranges)],
            "\t",
        ),
        asn=True,
        name=True,
        country=True,
    ),
    "dbip-country": Example(
        file="dbip-country-lite-2026-10-01.csv",
        write=lambda ranges: _csv([("0.0.0.0", "0.255.255.255", "ZZ"), *((*e.ends, e.country) for e in ranges)]),
        country=True,
    ),
    "dbip-asn": Example(
        file="dbip-asn-lite-2026-10-01.csv",
        write=lambda ranges: _csv([(*e.ends, e.asn, e.name) for e in ranges]),
        asn=True,
        name=True,
    ),
    "dbip-city": Example(
        file="dbip-city-lite-2026-10-01.csv",
        write=lambda ranges: _csv(
            [
                (*e.ends, ("EU", "AS", "NA")[n % 3], e.country, "State", "City", "1.5", "-2")
                for n, e in enumerate(ranges)
            ]
        ),
        country=True,
    ),
    "city-of-ip-location-db": Example(
        file="dbip-city-ipv4-2026-10-01.csv",
        write=lambda ranges: _csv([(*e.ends, e.country, "State", "", "City", "", "1.5", "-2.5", "") for e in ranges]),
        country=True,
    ),
    "asn-numbers-of-ip-location-db": Example(
        file="asn-ipv4-num-2026-10-01.csv",
        write=lambda ranges: _csv([(*_numbers(e), e.asn, e.name) for e in ranges]),
        asn=True,
        name=True,
        versions=(4,),
    ),
    "pyasn": Example(
        file="ipasn_20261001.dat",
        write=lambda ranges: (
            "; IP-ASN32-DAT file\n; Original file : rib\n"
            + _csv(_per_block(ranges, lambda block, each: (block, each.asn)), "\t")
        ),
        asn=True,
    ),
    "pfx2as": Example(
        file="routeviews-rv2-20261001-1200.pfx2as",
        write=lambda ranges: _csv(
            [("9.9.9.0", 24, "1_2"), *_per_block(ranges, lambda block, each: (*block.split("/"), each.asn))], "\t"
        ),
        asn=True,
    ),
    "openasn": Example(file="openasn-ipv4-2026-10-01.bin", write=_openasn, asn=True, types=True, versions=(4,)),
    "delegated": Example(file="delegated-ripencc-extended-20261001", write=_delegated, country=True),
    "geofeed": Example(
        file="geofeed-2026-10-01.csv",
        write=lambda ranges: (
            "# prefix,country,region,city,postal\n"
            + _csv(_per_block(ranges, lambda block, each: (block, each.country, f"{each.country}-BE", "Berlin", "")))
        ),
        country=True,
    ),
    "apple-relay": Example(
        file="egress-ip-ranges-2026-10-01.csv",
        write=lambda ranges: _csv(
            _per_block(ranges, lambda block, each: (block, each.country, f"{each.country}-EN", "London", ""))
        ),
        country=True,
        implied=IpType.PROXY,
    ),
    "geoip-legacy": Example(
        file="GeoIPCountryWhois-2026-10-01.csv",
        write=lambda ranges: _csv([(*e.ends, *_numbers(e), e.country, "Land") for e in ranges], quoted=True),
        country=True,
    ),
    "ip2location-cidr": Example(
        file="IP2LOCATION-LITE-DB1.CIDR-20261001.CSV",
        write=lambda ranges: _csv(_per_block(ranges, lambda block, e: (block, e.country, "Land")), quoted=True),
        country=True,
    ),
    "iptoasn-without-countries": Example(
        file="ip2asn-20261001.tsv",
        write=lambda ranges: _csv([(*e.ends, e.asn, "None", e.name) for e in ranges], "\t"),
        asn=True,
        name=True,
    ),
    "asn-and-country": Example(
        file="asn-country-2026-10-01.csv",
        write=lambda ranges: _csv([(*e.ends, e.asn, e.country) for e in ranges]),
        asn=True,
        country=True,
    ),
    "ipcat": Example(
        file="datacenters-2026-10-01.csv",
        write=lambda ranges: _csv([(*e.ends, "Example Hosting, Inc.", "http://hosting.example/") for e in ranges]),
        implied=IpType.DATACENTER,
    ),
    "aws": Example(file="ip-ranges-2026-10-01.json", write=_aws, implied=IpType.DATACENTER),
    "gcp": Example(file="cloud-2026-10-01.json", write=_gcp, implied=IpType.DATACENTER),
    "azure": Example(file="ServiceTags_Public_20261001.json", write=_azure, implied=IpType.DATACENTER),
    "oracle": Example(file="public_ip_ranges-2026-10-01.json", write=_oracle, implied=IpType.DATACENTER),
    "fastly": Example(file="public-ip-list-2026-10-01.json", write=_fastly, implied=IpType.DATACENTER),
}
"""Layouts of ranges."""

SINGLE: Mapping[str, Example] = {
    "onionoo": Example(file="details-2026-10-01.json", write=_onionoo, implied=IpType.TOR),
    "exit-addresses": Example(file="exit-addresses-2026-10-01", write=_exit_addresses, implied=IpType.TOR),
    "torbulkexitlist": Example(
        file="torbulkexitlist-2026-10-01",
        write=lambda ranges: "".join(f"{each.ends[0]}\n" for each in ranges),
        implied=IpType.TOR,
    ),
    "proxies": Example(
        file="http-2026-10-01.txt",
        write=lambda ranges: "".join(
            f"{each.ends[0] if each.version == 4 else f'[{each.ends[0]}]'}:3128\n" for each in ranges
        ),
    ),
    "proxies-with-passwords": Example(
        file="http-2026-10-01.txt",
        write=lambda ranges: "".join(f"{each.ends[0]}:3128:user:p\n" for each in ranges),
        versions=(4,),
    ),
    "socks": Example(
        file="all-2026-10-01.txt",
        write=lambda ranges: "".join(
            f"socks5://u:p@{each.ends[0] if each.version == 4 else f'[{each.ends[0]}]'}:1080\n" for each in ranges
        ),
        implied=IpType.PROXY,
    ),
}
"""Layouts of single addresses: the first of each range."""

LISTS: Mapping[str, Example] = {
    "list": Example(
        file="ipv4-2026-10-01.txt", write=lambda ranges: "".join(f"{b}\n" for e in ranges for b in e.blocks)
    ),
    "x4b": Example(
        file="vpn-2026-10-01.txt",
        write=lambda ranges: "# vpn\r\n\r\n" + "".join(f"{b}\r\n" for e in ranges for b in e.blocks),
    ),
    "columns-with-pipes": Example(
        file="nodes-2026-10-01.txt",
        write=lambda ranges: "".join(f"{b}|name|9001|EFRSV\n" for e in ranges for b in e.blocks),
    ),
    "spamhaus": Example(
        file="drop-2026-10-01.txt",
        write=lambda ranges: "; list\n" + "".join(f"{b} ; SBL1\n" for e in ranges for b in e.blocks),
    ),
    "ranges-with-a-dash": Example(
        file="r-2026-10-01.txt", write=lambda ranges: "".join(f"{e.ends[0]} - {e.ends[1]}\n" for e in ranges)
    ),
    "two-columns": Example(file="r-2026-10-01.csv", write=lambda ranges: _csv([e.ends for e in ranges])),
    "two-words": Example(
        file="r-2026-10-01.txt", write=lambda ranges: "".join(f"{' '.join(e.ends)}\n" for e in ranges)
    ),
    "ipset": Example(
        file="sets-2026-10-01.ipset",
        write=lambda ranges: (
            "create a hash:net family inet hashsize 1024 maxelem 65536\n"
            + "".join(f"add a {b} timeout 300\n" for e in ranges for b in e.blocks)
        ),
    ),
    "strings": Example(
        file="list-2026-10-01.json", write=lambda ranges: json.dumps([b for e in ranges for b in e.blocks])
    ),
    "firehol": Example(
        file="a-2026-10-01.netset",
        write=lambda ranges: (
            "#\n# firehol_proxies\n#\n# ipv4 hash:net ipset\n#\n"
            + "".join(f"{_bare(b)}\n" for e in ranges for b in e.blocks)
        ),
        implied=IpType.PROXY,
    ),
}
"""Lists of ranges that need --type, unless a type is implied."""
