"""Parse addresses, blocks and ranges in the notations of tables."""

import re
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

LONGEST_NUMBER = 39
"""Digits of the largest IPv6 address; some tables contain addresses as numbers."""

MAPPED = 0xFFFF << 32
"""The first IPv4-mapped IPv6 address, ::ffff:0.0.0.0."""

_HOST_AND_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|(\d+(?:\.\d+){3}):\d{1,5}(?::\S*)?")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[^@/\s]*@)?([^/\s]*)/?", re.IGNORECASE)


class Block(NamedTuple):
    """Consecutive addresses of one IP version, both ends included."""

    version: int
    first: int
    last: int


class NotABlock(ValueError):
    """A text is no address and no block; the message is the reason, as it is counted."""


NO_ADDRESS = "without an address"
MIXED = "from an IPv4 to an IPv6 address"
REVERSED = "with the last address before the first"


def end_of(text: str, *, numbers_are_ipv6: bool = False) -> tuple[int, int]:
    """
    Return the version and the number of an address, also of one that is written as a number.

    Args:
        text: The address; an IPv4-mapped one is IPv4.
        numbers_are_ipv6: Whether numbers below 2**32 are IPv6 addresses too, as in tables of both versions.

    Raises:
        NotABlock: The text is not an address.
    """
    text = text.strip()
    try:
        if ":" in text:
            return _plain(int.from_bytes(inet_pton(AF_INET6, text.partition("%")[0]), "big"))
        if "." in text:
            return 4, int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError) as exc:
        raise NotABlock(NO_ADDRESS) from exc
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 2**128
    if number < 2**32 and not numbers_are_ipv6:
        return 4, number
    if number < 2**128:
        return _plain(number)
    raise NotABlock(NO_ADDRESS)


def between(first: tuple[int, int], last: tuple[int, int]) -> Block:
    """
    Return the block from one address to another.

    Raises:
        NotABlock: They are of two versions, or in reverse order.
    """
    if first[0] != last[0]:
        raise NotABlock(MIXED)
    if first[1] > last[1]:
        raise NotABlock(REVERSED)
    return Block(first[0], first[1], last[1])


def range_between(first: str, last: str, *, numbers_are_ipv6: bool = False) -> Block:
    """
    Return the block between two addresses in the same notation.

    Raises:
        NotABlock: They are no addresses, of two versions or notations, or in reverse order.
    """
    if first.strip().isdigit() != last.strip().isdigit():
        raise NotABlock(NO_ADDRESS)
    return between(end_of(first, numbers_are_ipv6=numbers_are_ipv6), end_of(last, numbers_are_ipv6=numbers_are_ipv6))


def block_of(text: str) -> Block:
    """
    Return the block in `1.2.3.4`, `1.2.3.0/24`, `1.2.3.0/255.255.255.0`, `1.2.3.4-1.2.3.9` or `1.2.3.4:80`.

    A scheme and a user name are ignored, as in `socks5://user@1.2.3.4:1080`.

    Raises:
        NotABlock: The text is none of these.
    """
    text = text.strip()
    address, slash, length = text.partition("/")
    if slash and length.isascii() and length.isdigit() and len(length) < 4:
        version, number = end_of(address) if not address.isdigit() else (0, 0)
        return _prefix(address, version, number, int(length))
    text = _without_scheme(text)
    first, dash, last = text.partition("-")
    if dash:
        return between(end_of(first), end_of(last))
    if slash and "://" not in text and (mask := netmask_length(length)) is not None:
        return block_of(f"{address}/{mask}")
    host = _HOST_AND_PORT.fullmatch(text)
    if text.isdigit():
        raise NotABlock(NO_ADDRESS)  # a lone number in a list is a port, a rank or an ID
    version, number = end_of((host[1] or host[2]) if host else text)
    return Block(version, number, number)


def _prefix(address: str, version: int, number: int, length: int) -> Block:
    """Return the block of a prefix; the length of an IPv4-mapped prefix counts from the beginning of IPv6."""
    if version == 4 and ":" in address:
        length -= 96
    bits = {4: 32, 6: 128}.get(version, -1)
    if not 0 <= length <= bits:
        raise NotABlock(NO_ADDRESS)
    first = number >> (bits - length) << (bits - length)
    return Block(version, first, first + (1 << (bits - length)) - 1)


def netmask_length(text: str) -> int | None:
    """Return the prefix length of a netmask such as 255.255.255.0; None for everything else."""
    if not text.lstrip().startswith("255."):
        return None
    try:
        mask = int.from_bytes(inet_pton(AF_INET, text.strip()), "big")
    except (OSError, ValueError):
        return None
    length = mask.bit_count()
    return length if mask == (2**32 - 1) << (32 - length) & (2**32 - 1) else None


def _without_scheme(text: str) -> str:
    found = _SCHEME.fullmatch(text)
    return found[2] if found else text


def _plain(number: int) -> tuple[int, int]:
    """Return the version and the number of an IPv6 address, as IPv4 if it is mapped."""
    return (4, number - MAPPED) if MAPPED <= number < MAPPED + 2**32 else (6, number)
