"""Write addresses as a list for a firewall."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network
from pathlib import Path
from typing import BinaryIO

from snapshots.adapters.feeds.export_format import Export, Format, FormatOption, text_stream
from snapshots.app.errors import SourceUnreadable
from snapshots.app.wording import count_of
from snapshots.domain.errors import SnapshotsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAME = "cowrie_attackers"
"""Start of the names of ipsets, and name of the nftables table."""

MAX_ELEMENTS = 4_194_304
"""Elements of an ipset. Sets with another maximum are other sets, which `create -exist` refuses, so it is constant."""

ELEMENTS_PER_LINE = 8

RESEARCH_SCANNERS = Path(__file__).with_name("research-scanners.txt")
"""Allow list of networks of research scanners; its origin is in the file."""


class Style(Enum):
    """The forms of a block list."""

    PLAIN = "plain"
    CIDR = "cidr"
    NFTABLES = "nftables"
    IPSET = "ipset"


class AllowList:
    """
    Addresses and networks that a block list must not have.

    Args:
        networks: The networks; an address is one of its own.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._by_prefix: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            of_length = self._by_prefix.setdefault((network.version, network.prefixlen), set())
            of_length.add(_prefix(int(network.network_address), network.max_prefixlen, network.prefixlen))

    @classmethod
    def read(cls, *paths: Path) -> "AllowList":
        """
        Read files with addresses and CIDR blocks, one per line; text after # or ; is a comment.

        Raises:
            SourceUnreadable: The file cannot be read, or a line is something else.
        """
        return cls(network for path in paths for network in _networks_in(path))

    def __contains__(self, address: Address) -> bool:
        number, length = int(address), address.max_prefixlen
        return any(
            version == address.version and _prefix(number, length, prefix) in networks
            for (version, prefix), networks in self._by_prefix.items()
        )


def _networks_in(path: Path) -> Iterator[Network]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise SourceUnreadable(f"{path} cannot be read: {reason}") from exc
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].partition(";")[0].strip()
        if not text:
            continue
        try:
            yield ip_network(text, strict=False)
        except ValueError as exc:
            raise SourceUnreadable(f"line {number} of {path} is not an address or a CIDR block: {text[:40]!r}") from exc


def _prefix(number: int, length: int, prefix: int) -> int:
    return number >> (length - prefix)


class BlockList:
    """
    Addresses for a block list.

    Args:
        addresses: Routable addresses, each once.
        allowed: Addresses to leave out.

    Attributes:
        count: How many addresses were written so far.
        removed: How many were left out because they are allowed.
    """

    def __init__(self, addresses: Iterable[str], allowed: AllowList) -> None:
        self._addresses = addresses
        self._allowed = allowed
        self.count = self.removed = 0

    def lines(self, style: Style) -> Iterator[str]:
        """Yield the lines of the list. All styles but plain hold the addresses in memory."""
        addresses = self._kept()
        yield from map(str, addresses) if style is Style.PLAIN else _WRITERS[style](_collapsed(addresses))

    def _kept(self) -> Iterator[Address]:
        for text in self._addresses:
            address = ip_address(text)
            if address in self._allowed:
                self.removed += 1
                continue
            self.count += 1
            yield address


def _collapsed(addresses: Iterable[Address]) -> Mapping[int, Collection[str]]:
    """Return the fewest blocks that contain exactly the addresses, as texts by IP version, in order."""
    four: list[IPv4Address] = []
    six: list[IPv6Address] = []
    for address in addresses:
        if isinstance(address, IPv4Address):
            four.append(address)
        else:
            six.append(address)
    return {
        4: [_block(network) for network in collapse_addresses(map(IPv4Network, four))],
        6: [_block(network) for network in collapse_addresses(map(IPv6Network, six))],
    }


def _block(network: Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _cidr(blocks: Mapping[int, Collection[str]]) -> Iterator[str]:
    for version in blocks:
        yield from blocks[version]


def _nftables(blocks: Mapping[int, Collection[str]]) -> Iterator[str]:
    """Yield one transaction that creates the sets if they are missing, and replaces their elements."""
    yield f"add table inet {NAME}"
    for version, texts in blocks.items():
        name = f"addresses{version}"
        yield f"add set inet {NAME} {name} {{ type ipv{version}_addr; flags interval; }}"
        yield f"flush set inet {NAME} {name}"
        if texts:
            yield f"add element inet {NAME} {name} {{"
            parts = list(texts)
            for at in range(0, len(parts), ELEMENTS_PER_LINE):
                yield f"    {', '.join(parts[at : at + ELEMENTS_PER_LINE])},"
            yield "}"


def _ipset(blocks: Mapping[int, Collection[str]]) -> Iterator[str]:
    """Yield commands for `ipset restore` that fill new sets and swap them for the present ones."""
    for version, texts in blocks.items():
        name, family = f"{NAME}{version}", "inet" if version == 4 else "inet6"
        kind = f"hash:net family {family} maxelem {MAX_ELEMENTS}"
        yield f"create {name} {kind} -exist"
        yield f"create {name}-new {kind} -exist"
        yield f"flush {name}-new"
        yield from (f"add {name}-new {text}" for text in texts)
        yield f"swap {name}-new {name}"
        yield f"destroy {name}-new"


_WRITERS: Mapping[Style, Callable[[Mapping[int, Collection[str]]], Iterator[str]]] = {
    Style.CIDR: _cidr,
    Style.NFTABLES: _nftables,
    Style.IPSET: _ipset,
}


class EmptyList(SnapshotsError):
    """No address matches, and an empty list would replace one that is in use."""


def _write(export: Export, to: BinaryIO) -> Sequence[str]:
    options = export.options
    allowed = [options["except"]] if options["except"] is not None else []
    scanners = [RESEARCH_SCANNERS] if options["except-scanners"] else []
    allow_list = AllowList.read(*allowed, *scanners)
    found = BlockList(export.addresses(at_least=options["min-sessions"]), allow_list)
    with text_stream(to) as text:
        text.writelines(f"{line}\n" for line in found.lines(Style(options["style"])))
    if not found.count and export.replaced is not None and not options["allow-empty"]:
        raise EmptyList(
            f"no addresses match, so {export.replaced} was not replaced: use --allow-empty to write an empty list"
        )
    removed = f"{count_of(found.removed, 'address', 'addresses')} left out as allowed."
    return [*([removed] if found.removed else []), f"{count_of(found.count, 'address', 'addresses')} written."]


FORMAT = Format(
    name="blocklist",
    summary="Routable source addresses, for a firewall.",
    options=[
        FormatOption(
            name="style",
            default=Style.PLAIN.value,
            choices=tuple(style.value for style in Style),
            help="Addresses, the blocks that they fill, or a file for `nft -f` or `ipset restore`.",
        ),
        FormatOption(name="min-sessions", default=1, help="Only addresses with at least this many sessions."),
        FormatOption(name="except", help="Leave out these addresses and CIDR blocks, one per line."),
        FormatOption(
            name="except-scanners",
            default=False,
            help="Leave out the networks of Censys and Shodan (bundled list).",
        ),
        FormatOption(name="allow-empty", default=False, help="Replace a list also by an empty one."),
    ],
    write=_write,
    is_public=True,
)
