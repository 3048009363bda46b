"""Conditions of a filter that are more than a comparison with a column."""

import sys
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, cast, false, func, or_, select

from snapshots.adapters.sql.connection.dialects.expressions import compared_by_bytes
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.schema.tables import known_networks, session_summaries
from snapshots.app.queries.action import Action

SESSIONS = session_summaries.c
FIRST_SURROGATE, AFTER_SURROGATES = 0xD800, 0xE000
"""The surrogates are no characters; a text cannot contain them."""

DID: Mapping[Action, ColumnElement[bool]] = {
    Action.LOGIN: func.coalesce(SESSIONS.login_succeeded, false()),
    Action.COMMAND: SESSIONS.command_count > 0,
    Action.DOWNLOAD: SESSIONS.file_downloads > 0,
    Action.UPLOAD: func.coalesce(SESSIONS.file_uploads, 0) > 0,
    Action.FORWARD: SESSIONS.forward_count > 0,
}
"""The condition that a session did something."""


def begins_with(connection: Connection, column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Return the condition that a column has a text that begins like this, byte for byte; "" is how any begins."""
    text = compared_by_bytes(connection, column)
    if not beginning:
        return column.is_not(None)
    end = _next_text(beginning)
    return text >= beginning if end is None else and_(text >= beginning, text < end)


def _next_text(text: str) -> str | None:
    """Return the least text that is greater than all that begin like *text*; None if there is none."""
    head = text.rstrip(chr(sys.maxunicode))
    if not head:
        return None
    following = ord(head[-1]) + 1
    return head[:-1] + chr(AFTER_SURROGATES if following == FIRST_SURROGATE else following)


def did_any_of(actions: Collection[Action]) -> ColumnElement[bool]:
    """Return the condition that a session did at least one of these."""
    return or_(false(), *(DID[action] for action in actions))


def is_in_networks_named(connection: Connection, parts: Sequence[str]) -> ColumnElement[bool]:
    """
    Return the condition that the name of a session's network contains one of some texts, in any case.

    Names are compared here: SQLite and PostgreSQL change the case of different characters.
    """
    folded = [part.casefold() for part in parts]
    names = connection.execute(select(known_networks.c.asn_number, known_networks.c.organization_name))
    found = [str(asn) for asn, name in names if name and any(part in name.casefold() for part in folded)]
    return SESSIONS.snapshot_asn.in_(select(cast(select_texts(connection, found).subquery().c.value, BigInteger)))


def is_among_addresses(connection: Connection, texts: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that the address of a session is one of some, or lies in one of some networks (CIDR)."""
    found = [text for text in texts if "/" not in text]
    for text in texts:
        if "/" in text:
            found += _stored_addresses(connection, ip_network(text))
    return SESSIONS.source_ip.in_(select_texts(connection, found))


def _stored_addresses(connection: Connection, network: IPv4Network | IPv6Network) -> Sequence[str]:
    """Return the stored addresses in a network; texts of another loader that are not addresses are in none."""
    query = select(SESSIONS.source_ip).distinct()
    query = query.where(begins_with(connection, SESSIONS.source_ip, common_prefix(network)))
    return [text for text in connection.execute(query).scalars() if _is_in(text, network)]


def common_prefix(network: IPv4Network | IPv6Network) -> str:
    """
    Return how the canonical texts of all addresses in a network begin; "" if they have no beginning in common.

    Of an IPv6 network, this ends before the first group that is zero, because it may be abbreviated.
    """
    separator, bits = (".", 8) if network.version == 4 else (":", 16)
    groups = [
        network.network_address.packed[n : n + bits // 8] for n in range(0, network.max_prefixlen // 8, bits // 8)
    ]
    prefix = ""
    for group in groups[: network.prefixlen // bits]:
        number = int.from_bytes(group)
        if network.version == 6 and not number:
            break
        prefix += (f"{number:x}" if network.version == 6 else str(number)) + separator
    return prefix.removesuffix(separator) if network.prefixlen == network.max_prefixlen else prefix


def _is_in(text: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(text) in network
    except ValueError:
        return False
