"""Find the page of a text that was searched for."""

import re
from collections.abc import Mapping

from snapshots.adapters.web.selection import (
    ALL,
    SPAN,
    address_path,
    behaviour_path,
    href,
    network_path,
    session_path,
)
from snapshots.app.queries.session_queries import Dimension, SessionQueries
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress

BEHAVIOURS: Mapping[str, tuple[Dimension, str]] = {
    "hassh": (Dimension.HASSH, "Client fingerprint (HASSH)"),
    "commands": (Dimension.COMMANDS, "Commands"),
    "ssh-key": (Dimension.SSH_KEY, "SSH key"),
    "download": (Dimension.DOWNLOAD, "File"),
    "user": (Dimension.USER, "User name"),
    "client": (Dimension.CLIENT, "Client"),
}
"""Behaviors with a page of their own, by the name of their filter: what they filter by, and their title."""

ASN = re.compile(r"(AS)?(\d{1,10})", re.IGNORECASE)
LONGEST_BARE_ASN = 6
"""Digits of an ASN without AS; longer numbers are the beginning of an ID or a hash."""

CIDR = re.compile(r"[0-9A-Fa-f.:]+/\d{1,3}")


def page_of(queries: SessionQueries, text: str) -> str:
    """
    Return the page of an address, a network, a session or a behavior; else that of networks whose name has the text.

    Args:
        queries: The stored values.
        text: What was searched for; beginnings of IDs and hashes are enough.
    """
    if not text:
        return "/"
    return _address(text) or _network(text) or _stored(queries, text) or href("/", [("network", text)], {SPAN: ALL})


def asn_of(text: str) -> str | None:
    """Return the number in a text such as AS4134; None if it is none."""
    found = ASN.fullmatch(text)
    return str(int(found[2])) if found is not None else None


def _address(text: str) -> str | None:
    if CIDR.fullmatch(text):
        return href("/sessions", [("address", text)])
    try:
        return address_path(IpAddress.parse(text).text)
    except InvalidAddress:
        return None


def _network(text: str) -> str | None:
    asn = asn_of(text)
    is_long = text.isdigit() and len(text) > LONGEST_BARE_ASN
    return network_path(asn) if asn is not None and not is_long else None


def _stored(queries: SessionQueries, text: str) -> str | None:
    beginning = text.removesuffix("…")
    if queries.session_ids(beginning, limit=1):
        return session_path(beginning)
    for name, (key, _) in BEHAVIOURS.items():
        stored = queries.stored_values(key, beginning=beginning, limit=1)
        if stored:
            return behaviour_path(name, stored[0])
    return None
