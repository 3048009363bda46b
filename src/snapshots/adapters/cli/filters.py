"""Options that select sessions, and the filter that they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, option
from snapshots.adapters.cli.completions import completer_of
from snapshots.adapters.cli.options import TimeText, valid_text
from snapshots.adapters.cli.services import Application
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.action import Action
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.filters.filter_reader import ACTIONS, FILTER_NAMES, KEYS, NOT, FilterReader, actions_of
from snapshots.app.queries.session_queries import Dimension, NetworkTime, SessionFilter
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


class Actions(click.ParamType[str]):
    """One or more actions, separated by commas."""

    name = "action"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, after a check of its form."""
        try:
            actions_of(str(value))
        except InvalidQuery as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


def filter_options(function: Decorated) -> Decorated:
    """Add the options that select sessions, each value filter also in a hidden form that excludes its values."""
    for each in reversed([*_time_options(), *_did_options(), *(_value_option(key) for key in KEYS)]):
        function = each(function)
    for key in KEYS:
        function = _value_option(key, prefix=NOT, hidden=True)(function)
    return function


def _time_options() -> Iterable[Callable[[Decorated], Decorated]]:
    yield option(
        "--since",
        type=TimeText(),
        metavar="WHEN",
        section=Section.FILTERS,
        help="Start of the range: a date or time in UTC, or before now: 7d, 30m, '2 weeks', 1y, yesterday, monday.",
    )
    yield option(
        "--until",
        type=TimeText(),
        metavar="WHEN",
        section=Section.FILTERS,
        help="End of the range (exclusive); same formats as --since.",
    )


def _did_options() -> Iterable[Callable[[Decorated], Decorated]]:
    for name, help_text in (
        (
            "--did",
            f"Only sessions that did one of these: {', '.join(MEANINGS.get(each, each.value) for each in Action)}.",
        ),
        ("--not-did", "Only sessions that did none of these. Every filter has such an inverse: --not-country CN."),
    ):
        yield option(
            name,
            type=Actions(),
            multiple=True,
            metavar="WHAT[,WHAT]",
            section=Section.FILTERS,
            help=help_text,
            shell_complete=completer_of(ACTIONS),
        )


def _value_option(key: Dimension, *, prefix: str = "", hidden: bool = False) -> Callable[[Decorated], Decorated]:
    metavar, help_text = HELP[key]
    return option(
        f"--{prefix}{key.value}",
        multiple=True,
        metavar=metavar,
        section=Section.FILTERS,
        help=help_text,
        hidden=hidden,
        shell_complete=completer_of(WORDS[key]) if key in WORDS else None,
    )


def filter_of(
    application: Application, options: dict[str, Any], *, network_time: NetworkTime = NetworkTime.THEN
) -> SessionFilter:
    """
    Remove the options that select sessions from *options*, and return them as a filter: see `FilterReader`.

    Raises:
        InvalidQuery: A value is not valid.
    """
    given: dict[str, Sequence[str]] = {}
    for name in FILTER_NAMES:
        value = options.pop(name.replace("-", "_"))
        given[name] = _texts(value) if value else ()
    return _reader(application).read(given, network_time=network_time)


def check_values(application: Application, session_filter: SessionFilter) -> None:
    """
    Refuse values that no session has, for filters that select no session.

    Raises:
        InvalidQuery: A value is not stored; the message lists the nearest ones that are.
    """
    _reader(application).check_values(session_filter)


def _reader(application: Application) -> FilterReader:
    return FilterReader(application.session_queries, application.now())


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return [valid_text(text) for text in ([value] if isinstance(value, str) else value)]
