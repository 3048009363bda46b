"""Options that select sessions, and the filter that they make."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from snapshots.adapters.cli.options import Command
from snapshots.adapters.cli.services import Application
from snapshots.app.queries.session_queries import FOUND_BY, Dimension, NetworkTime, SessionFilter

NOT_KNOWN = "none"
"""The word for a value that is not known."""


HELP = {
    Dimension.ASN: ("N", "Only sessions from this network."),
    Dimension.COUNTRY: ("CC", "Only sessions from this country."),
    Dimension.IP_TYPE: ("TYPE", "Only sessions from addresses of this type."),
    Dimension.ADDRESS: ("IP", "Only sessions from this address."),
    Dimension.SENSOR: ("NAME", "Only sessions of this honeypot."),
    Dimension.PROTOCOL: ("NAME", "Only ssh or telnet."),
    Dimension.CLIENT: ("TEXT", "Only clients with exactly this version string."),
    Dimension.HASSH: ("HASH", "Only clients with this fingerprint."),
    Dimension.USER: ("NAME", "Only sessions that tried this user name first."),
    Dimension.PASSWORD: ("SHA256", "Only sessions that tried the password with this hash first."),
    Dimension.COMMANDS: ("SIGNATURE", "Only sessions with these commands."),
    Dimension.SSH_KEY: ("FINGERPRINT", "Only sessions that installed this SSH key first."),
    Dimension.DOWNLOAD: ("HASH", "Only sessions that fetched this file first."),
    Dimension.METHOD: ("METHOD", "Only snapshots made this way: asof, inferred, corrected or adopted."),
    Dimension.GAP: ("REASON", "Only sessions that have no snapshot for this reason."),
}
"""What each filter is called in help; any may be repeated, and "none" finds sessions without it."""


AGO = re.compile(r"(\d{1,5})([hdw])")


UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Moment(click.ParamType[object]):
    """A moment in UTC: a date, a time, or how long ago, such as 7d."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return a moment, or how long ago it is."""
        if not isinstance(value, str):
            return value
        if found := AGO.fullmatch(value):
            return int(found[1]) * UNITS[found[2]]
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not a date, a time or a duration (such as 2026-03-01, 2026-03-01T12:00:00 or 7d)",
                param,
                ctx,
            )


def filter_options(command: Command) -> Command:
    """Add what says which sessions are asked for."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--since", type=Moment(), metavar="WHEN", help="A date or time in UTC, or how long ago: 7d, 12h, 4w."
        ),
        click.option(
            "--until", type=Moment(), metavar="WHEN", help="End of the range (exclusive); same formats as --since."
        ),
        *(click.option(f"--{key.value}", multiple=True, metavar=HELP[key][0], help=HELP[key][1]) for key in FOUND_BY),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def filter_of(
    application: Application, options: dict[str, Any], *, network_time: NetworkTime = NetworkTime.THEN
) -> SessionFilter:
    """Take what says which sessions are asked for out of a command's options."""
    now = application.now()
    moments = [options.pop(name) for name in ("since", "until")]
    try:
        since, until = (now - moment if isinstance(moment, timedelta) else moment for moment in moments)
    except OverflowError as exc:
        raise click.UsageError("--since or --until is too long ago: use a date, or a shorter duration") from exc
    chosen = {key: options.pop(key.value.replace("-", "_")) for key in FOUND_BY}
    values: dict[Dimension, Sequence[str | None]] = {
        key: [None if value.lower() == NOT_KNOWN else value for value in given]
        for key, given in chosen.items()
        if given
    }
    return SessionFilter(since=since, until=until, values=values, network_time=network_time)
