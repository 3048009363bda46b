"""Options that several commands share."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, option, renamed_option
from snapshots.adapters.cli.completions import complete_files
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.cli.settings import Settings
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.filters.times import time_before
from snapshots.app.retry import LOCK_TIMEOUT_SECONDS
from snapshots.domain.snapshot.policy import Requirement

PIPE_WIDTH = 140
"""Columns of a table that is not written to a terminal."""

DAYS = click.FloatRange(0, 100_000)


def _all_of(options: Sequence[Callable[[Decorated], Decorated]]) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds options, which help lists in this order."""

    def add(function: Decorated) -> Decorated:
        for each in reversed(options):
            function = each(function)
        return function

    return add


def one_of(
    *names: str, kinds: type[Enum], default: Enum, section: Section, **more: Any
) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds an option whose values are those of an enum."""
    choice = click.Choice([kind.value for kind in kinds])
    return option(*names, type=choice, default=default.value, show_default=True, section=section, **more)


database_option = option(
    "--db",
    envvar="SNAPSHOTS_DB",
    metavar="URL|PATH",
    shell_complete=complete_files,
    section=Section.DATABASE,
    help="The database.  [env var: SNAPSHOTS_DB; default: sqlite:///snapshots.db]",
)

lock_option = option(
    "--lock-timeout",
    "lock_timeout_seconds",
    type=click.FloatRange(0, 1e6),
    metavar="SECONDS",
    section=Section.DATABASE,
    help=f"Fail if another process holds a lock for longer than this.  [default: {LOCK_TIMEOUT_SECONDS}]",
)

format_option = option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    section=Section.OUTPUT,
    help="Output format.",
)

output_options = _all_of(
    [
        option("-q", "--quiet", is_flag=True, section=Section.OUTPUT, help="Print only errors."),
        option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            section=Section.OUTPUT,
            help="Log each batch to stderr, as JSON unless it is a terminal.",
        ),
    ]
)

metrics_option = option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    metavar="FILE",
    section=Section.OUTPUT,
    help="Write metrics for the textfile collector of the Prometheus node exporter to this file. If it cannot be"
    " written, a warning goes to stderr and the exit code stays the same.",
)

network_types_option = option(
    "--network-types",
    multiple=True,
    type=click.Path(path_type=Path),
    envvar="SNAPSHOTS_NETWORK_TYPES",
    metavar="FILE",
    section=Section.FACTS,
    help="A table of an ASN and a type in each line, named network-types-NAME-YYYY-MM-DD.csv, consulted before the"
    " bundled one. May be repeated.  [env var: SNAPSHOTS_NETWORK_TYPES]",
)

facts_options = _all_of(
    [
        option(
            "--mmdb",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            section=Section.FACTS,
            help="An MMDB file, consulted before the bundled tables. May be repeated.",
        ),
        network_types_option,
        option(
            "--prefer",
            multiple=True,
            metavar="FACT=SOURCE",
            section=Section.FACTS,
            help="Use this source first for asn or country, such as country=geolite2-country. May be repeated.",
        ),
        option(
            "--requires",
            type=click.Choice([r.value for r in Requirement]),
            section=Section.FACTS,
            help="Facts that a snapshot must have.  [default: asn_or_country]",
        ),
        option(
            "--max-age",
            "max_age_days",
            type=DAYS,
            metavar="DAYS",
            section=Section.FACTS,
            help="Ignore ASNs and countries older than this at the time of the attack.  [default: 400]",
        ),
        option(
            "--max-lag",
            "max_lag_days",
            type=DAYS,
            metavar="DAYS",
            section=Section.FACTS,
            help="Ignore facts stated more than this long after the attack.",
        ),
        option(
            "--max-type-lag",
            "max_type_lag_days",
            type=DAYS,
            metavar="DAYS",
            section=Section.FACTS,
            help=(
                "Ignore IP types stated more than this long after the attack.  "
                "[default: 14 for TOR and PROXY, 45 for VPN, 400 for DATACENTER, no limit for others]"
            ),
        ),
    ]
)

freshness_options = _all_of(
    [
        option(
            "--max-fresh-age",
            "fresh_days",
            type=DAYS,
            metavar="DAYS",
            section=Section.FACTS,
            help="Facts are fresh up to this age.  [default: 30]",
        ),
        option(
            "--max-fresh-age-volatile",
            "fresh_days_fast",
            type=DAYS,
            metavar="DAYS",
            section=Section.FACTS,
            help="The same for VPN, Tor and datacenter addresses, which change often.  [default: 7]",
        ),
        renamed_option("--fresh", "--max-fresh-age", parameter="fresh_days", type=DAYS),
        renamed_option("--fresh-fast", "--max-fresh-age-volatile", parameter="fresh_days_fast", type=DAYS),
    ]
)


@contextmanager
def opened(open_application: OpenApplication, /, options: dict[str, Any]) -> Iterator[Application]:
    """Open the application with the settings in a command's options."""
    with open_application(Settings.of(**options)) as application:
        yield application


class TimeText(click.ParamType[str]):
    """A time in UTC, or relative to now: see `TimeBefore`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, after a check of its form."""
        try:
            time_before(str(value))
        except InvalidQuery as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


def valid_text(argument: str) -> str:
    """Return an argument as text that a database accepts, whatever bytes the shell passed."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def stdout() -> SafeConsole:
    """Return the console for results; tables are PIPE_WIDTH wide unless it is a terminal."""
    console = SafeConsole()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
