"""What the filters of sessions mean: help of options, and descriptions of parameters."""

from collections.abc import Iterable, Mapping

from snapshots.app.queries.action import Action
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.session_queries import Dimension
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.logins import MOST_CREDENTIALS
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

BOUND = f"of each session at most {MOST_CREDENTIALS:,} pairs of user name and password are stored"
"""Which login attempts are not found."""

HELP = {
    Dimension.ASN: ("N", "ASN of the network, such as 4134."),
    Dimension.NETWORK: ("NAME", "Part of the name of the network's holder, such as digitalocean."),
    Dimension.COUNTRY: ("COUNTRY", "Country, as a code such as DE or an English name."),
    Dimension.IP_TYPE: ("TYPE", "IP type: VPN, TOR, PROXY, DATACENTER, RESIDENTIAL or MOBILE."),
    Dimension.ADDRESS: ("IP", "Source IP address, or a network such as 192.0.2.0/24."),
    Dimension.SENSOR: ("NAME", "Name of the honeypot."),
    Dimension.PROTOCOL: ("NAME", "ssh or telnet."),
    Dimension.CLIENT: ("TEXT", "Exact version string of the client."),
    Dimension.HASSH: ("HASH", "Client fingerprint (HASSH), or how it begins."),
    Dimension.USER: ("NAME", f"User name of any login attempt; {BOUND}."),
    Dimension.PASSWORD: ("TEXT", f"Password of any login attempt, or its SHA-256, whole or as in tables; {BOUND}."),
    Dimension.COMMANDS: ("SIGNATURE", "Signature of the commands, or how it begins."),
    Dimension.SSH_KEY: ("FINGERPRINT", "Fingerprint of an SSH key that was installed, or how it begins."),
    Dimension.DOWNLOAD: ("HASH", "Hash of a downloaded or uploaded file, or how it begins."),
    Dimension.METHOD: (
        "[FACT=]METHOD",
        "How the snapshot was made: asof, inferred, corrected or adopted; or one fact, such as country=asof.",
    ),
    Dimension.TYPE_BY: (
        "PRECISION",
        "Whether the IP type is that of the address or its network: address or network.",
    ),
    Dimension.GAP: ("REASON", "Why there is no snapshot."),
}
"""Metavar and help of each filter."""

WORDS: Mapping[Dimension, Iterable[str]] = {
    Dimension.COUNTRY: COUNTRY_NAMES,
    Dimension.IP_TYPE: [kind.value for kind in IpType],
    Dimension.PROTOCOL: ("ssh", "telnet"),
    Dimension.METHOD: [method.value for method in Method],
    Dimension.TYPE_BY: ("address", "network"),
    Dimension.GAP: [gap.value for gap in Gap],
}
"""Values of closed sets, which a shell completes."""

MEANINGS = {Action.LOGIN: "login (successful)"}
"""How the help names an action whose name could mean more."""

SINCE = "Start of the range: a date or time in UTC, or before now: 7d, 30m, '2 weeks', 1y, yesterday, monday."
UNTIL = "End of the range (exclusive); same formats as --since."
DID = f"Only sessions that did one of these: {', '.join(MEANINGS.get(each, each.value) for each in Action)}."
NOT_DID = "Only sessions that did none of these. Every filter has such an inverse: --not-country CN."
