"""Options that several commands share."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.cli.settings import Settings
from snapshots.app.retry import LOCK_TIMEOUT_SECONDS
from snapshots.domain.snapshot.policy import Requirement

PIPE_WIDTH = 140


Command = Callable[..., Any]


def database_option(command: Command) -> Command:
    """Add `--db`."""
    return click.option(
        "--db",
        envvar="SNAPSHOTS_DB",
        metavar="URL|PATH",
        help="The database.  [env var: SNAPSHOTS_DB; default: sqlite:///snapshots.db]",
    )(command)


def lock_option(command: Command) -> Command:
    """Add `--lock-timeout`."""
    return click.option(
        "--lock-timeout",
        "lock_timeout_seconds",
        type=click.FloatRange(0, 1e6),
        metavar="SECONDS",
        help=f"Fail if another process holds a lock for longer than this.  [default: {LOCK_TIMEOUT_SECONDS}]",
    )(command)


def one_of(*names: str, kinds: type[Enum], default: Enum, **more: Any) -> Callable[[Command], Command]:
    """Return what adds an option whose values are those of an enum."""
    choice = click.Choice([kind.value for kind in kinds])
    return click.option(*names, type=choice, default=default.value, show_default=True, **more)


def format_option(command: Command) -> Command:
    """Add `--format`."""
    choice = click.Choice(["table", "json"])
    return click.option("--format", "output", type=choice, default="table", show_default=True)(command)


def output_options(command: Command) -> Command:
    """Add `-q` and `-v`."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            help="Log each batch to stderr, as JSON unless it is a terminal.",
        ),
    ):
        command = option(command)
    return command


def metrics_option(command: Command) -> Command:
    """Add `--metrics-file`."""
    return click.option(
        "--metrics-file",
        type=click.Path(path_type=Path, dir_okay=False, readable=False),
        metavar="FILE",
        help="Write metrics for the textfile collector of Prometheus' node exporter to this file. If it cannot be"
        " written, a warning goes to stderr and the exit code stays the same.",
    )(command)


def facts_options(command: Command) -> Command:
    """Add what says which facts a snapshot may hold."""
    for option in (
        click.option(
            "--max-type-lag",
            "max_type_lag_days",
            type=click.FloatRange(0, 100_000),
            metavar="DAYS",
            help=(
                "Ignore IP types stated more than this long after the attack.  "
                "[default: 14 for TOR and PROXY, 45 for VPN, 400 for DATACENTER, no limit for others]"
            ),
        ),
        click.option(
            "--max-lag",
            "max_lag_days",
            type=click.FloatRange(0, 100_000),
            metavar="DAYS",
            help="Ignore facts stated more than this long after the attack.",
        ),
        click.option(
            "--requires",
            type=click.Choice([r.value for r in Requirement]),
            help="Which facts a snapshot must state.  [default: asn_or_country]",
        ),
        click.option(
            "--max-age",
            "max_age_days",
            type=click.FloatRange(0, 100_000),
            metavar="DAYS",
            help="Ignore ASNs and countries older than this at the time of the attack.  [default: 400]",
        ),
        click.option(
            "--prefer",
            multiple=True,
            metavar="FACT=SOURCE",
            help="Believe this source first for asn or country, such as country=geolite2-country. May be repeated.",
        ),
        click.option(
            "--mmdb",
            multiple=True,
            type=click.Path(path_type=Path),
            help="An MMDB file to look addresses up in, before the bundled table. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def freshness_options(command: Command) -> Command:
    """Add what says when a newer build should be had."""
    for option in (
        click.option(
            "--fresh-fast",
            "fresh_days_fast",
            type=click.FloatRange(0, 100_000),
            metavar="DAYS",
            help="The same for VPNs, Tor exits and datacenters.  [default: 7]",
        ),
        click.option(
            "--fresh",
            "fresh_days",
            type=click.FloatRange(0, 100_000),
            metavar="DAYS",
            help="Call facts fresh until they are so old.  [default: 30]",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def opened(open_application: OpenApplication, /, options: dict[str, Any]) -> Iterator[Application]:
    """Open what a command works with, as its options say."""
    with open_application(Settings.of(**options)) as application:
        yield application


def valid_text(argument: str) -> str:
    """Return an argument as text that a database takes, whatever bytes the shell passed."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def stdout() -> SafeConsole:
    """Return the console for results; a pipe gets lines as wide as they are useful."""
    console = SafeConsole()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
