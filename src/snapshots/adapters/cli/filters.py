"""Options that select sessions, and the filter that they make."""

from collections.abc import Sequence
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, option
from snapshots.adapters.cli.services import Application
from snapshots.adapters.cli.times import Time
from snapshots.app.queries.session_queries import (
    FOUND_BY,
    METHODS_OF_FACTS,
    Dimension,
    NetworkTime,
    SessionFilter,
)

NONE = "none"
"""The value that selects sessions without a value."""

HELP = {
    Dimension.ASN: ("N", "ASN of the network, such as 4134."),
    Dimension.COUNTRY: ("CC", "Country code, such as DE."),
    Dimension.IP_TYPE: ("TYPE", "IP type: VPN, TOR, PROXY, DATACENTER, RESIDENTIAL or MOBILE."),
    Dimension.ADDRESS: ("IP", "Source IP address."),
    Dimension.SENSOR: ("NAME", "Name of the honeypot."),
    Dimension.PROTOCOL: ("NAME", "ssh or telnet."),
    Dimension.CLIENT: ("TEXT", "Exact version string of the client."),
    Dimension.HASSH: ("HASH", "Client fingerprint (HASSH)."),
    Dimension.USER: ("NAME", "User name of the first login attempt."),
    Dimension.PASSWORD: ("SHA256", "SHA-256 of the password of the first login attempt."),
    Dimension.COMMANDS: ("SIGNATURE", "Signature of the commands."),
    Dimension.SSH_KEY: ("FINGERPRINT", "Fingerprint of the first SSH key that was installed."),
    Dimension.DOWNLOAD: ("HASH", "Hash of the first downloaded file."),
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

OPTIONS = tuple(key for key in FOUND_BY if key not in METHODS_OF_FACTS.values())
"""Dimensions with an option of their own; the methods of facts are values of --method."""


def filter_options(function: Decorated) -> Decorated:
    """Add the options that select sessions."""
    options = [
        option(
            "--since",
            type=Time(),
            metavar="WHEN",
            section=Section.FILTERS,
            help="Start of the range: a date or time in UTC, or before now: 7d, 30m, '2 weeks', 1y, yesterday, monday.",
        ),
        option(
            "--until",
            type=Time(),
            metavar="WHEN",
            section=Section.FILTERS,
            help="End of the range (exclusive); same formats as --since.",
        ),
        *(
            option(f"--{key.value}", multiple=True, metavar=HELP[key][0], section=Section.FILTERS, help=HELP[key][1])
            for key in OPTIONS
        ),
    ]
    for each in reversed(options):
        function = each(function)
    return function


def filter_of(
    application: Application, options: dict[str, Any], *, network_time: NetworkTime = NetworkTime.THEN
) -> SessionFilter:
    """
    Remove the options that select sessions from *options*, and return them as a filter.

    Raises:
        click.UsageError: A duration is too long.
    """
    now = application.now()
    limits = [options.pop(name) for name in ("since", "until")]
    try:
        since, until = (limit.at(now) if limit is not None else None for limit in limits)
    except OverflowError as exc:
        raise click.UsageError("--since or --until is too long ago: use a date, or a shorter time") from exc
    given: dict[Dimension, Sequence[str]] = {key: options.pop(key.value.replace("-", "_")) for key in OPTIONS}
    given |= _methods_by_fact(given[Dimension.METHOD])
    values: dict[Dimension, Sequence[str | None]] = {
        key: [None if value.lower() == NONE else value for value in texts] for key, texts in given.items() if texts
    }
    return SessionFilter(since=since, until=until, values=values, network_time=network_time)


def _methods_by_fact(texts: Sequence[str]) -> dict[Dimension, Sequence[str]]:
    """
    Return the values of --method by dimension: of the whole snapshot, and of one fact as FACT=METHOD.

    Raises:
        click.UsageError: There is no such fact.
    """
    found: dict[Dimension, list[str]] = {Dimension.METHOD: []}
    for text in texts:
        fact, mark, method = text.rpartition("=")
        if mark and fact.lower() not in METHODS_OF_FACTS:
            raise click.UsageError(f"--method {text[:40]!r}: use asn=, country= or type= with a method")
        key = METHODS_OF_FACTS[fact.lower()] if mark else Dimension.METHOD
        found.setdefault(key, []).append(method)
    return dict(found)
