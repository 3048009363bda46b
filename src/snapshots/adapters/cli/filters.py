"""Options that select sessions, and the filter that they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, option
from snapshots.adapters.cli.completions import completer_of
from snapshots.adapters.cli.options import valid_text
from snapshots.adapters.cli.services import Application
from snapshots.adapters.cli.stored_values import as_stored, check_stored, completed
from snapshots.adapters.cli.times import Time
from snapshots.app.queries.action import Action
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.session_queries import (
    ANY_TEXT,
    FOUND_BY,
    HASHES,
    METHODS_OF_FACTS,
    Dimension,
    NetworkTime,
    SessionFilter,
)
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.logins import MOST_CREDENTIALS
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

NONE = "none"
"""The value that selects sessions without a value."""

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

OPTIONS = tuple(key for key in FOUND_BY if key not in METHODS_OF_FACTS.values())
"""Dimensions with an option of their own; the methods of facts are values of --method."""

ACTIONS = [each.value for each in Action]

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


class Actions(click.ParamType[tuple[Action, ...]]):
    """One or more actions, separated by commas."""

    name = "action"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Action, ...]:
        """Return the actions."""
        words = str(value).lower().split(",")
        unknown = [word for word in words if word not in ACTIONS]
        if unknown:
            self.fail(f"{unknown[0][:40]!r} is not an action (use one or more of {','.join(ACTIONS)})", param, ctx)
        return tuple(Action(word) for word in words)


def filter_options(function: Decorated) -> Decorated:
    """Add the options that select sessions, each value filter also in a hidden form that excludes its values."""
    for each in reversed([*_time_options(), *_did_options(), *(_value_option(key) for key in OPTIONS)]):
        function = each(function)
    for key in OPTIONS:
        function = _value_option(key, prefix="not-", hidden=True)(function)
    return function


def _time_options() -> Iterable[Callable[[Decorated], Decorated]]:
    yield option(
        "--since",
        type=Time(),
        metavar="WHEN",
        section=Section.FILTERS,
        help="Start of the range: a date or time in UTC, or before now: 7d, 30m, '2 weeks', 1y, yesterday, monday.",
    )
    yield option(
        "--until",
        type=Time(),
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
    Remove the options that select sessions from *options*, and return them as a filter.

    The beginning of a hash is replaced by the stored hash that begins like it.

    Raises:
        click.UsageError: A time is too long ago, or no or several stored hashes begin like a value.
    """
    now = application.now()
    limits = [options.pop(name) for name in ("since", "until")]
    try:
        since, until = (limit.at(now) if limit is not None else None for limit in limits)
    except OverflowError as exc:
        raise click.UsageError("--since or --until is too long ago: use a date, or a shorter time") from exc
    did, did_not = (tuple(dict.fromkeys(sum(options.pop(name), ()))) for name in ("did", "not_did"))
    return SessionFilter(
        since=since,
        until=until,
        values=_values(application, options, prefix=""),
        excluded=_values(application, options, prefix="not-"),
        did=did,
        did_not=did_not,
        network_time=network_time,
    )


def check_values(application: Application, session_filter: SessionFilter) -> None:
    """
    Refuse values that no session has, for filters that select no session.

    Raises:
        click.UsageError: A value is not stored; the message lists the nearest ones that are.
    """
    for values in (session_filter.values, session_filter.excluded):
        check_stored(application, values)


def _values(
    application: Application, options: dict[str, Any], *, prefix: str
) -> Mapping[Dimension, Sequence[str | None]]:
    given: dict[Dimension, Sequence[str]] = {
        key: options.pop(f"{prefix}{key.value}".replace("-", "_")) for key in OPTIONS
    }
    given |= _methods_by_fact(given[Dimension.METHOD])
    return {
        key: [None if text.lower() == NONE else _stored(application, key, text) for text in map(valid_text, texts)]
        for key, texts in given.items()
        if texts
    }


def _stored(application: Application, key: Dimension, text: str) -> str:
    """Return the stored value that a printed one, or the beginning of a hash, stands for."""
    if key in HASHES:
        return completed(application, key, text)
    return as_stored(application, key, text) if key in ANY_TEXT else text


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
