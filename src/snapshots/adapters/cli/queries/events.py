"""The command about events as they were logged."""

from typing import Any

import click

from snapshots.adapters.cli.options import database_option, opened, valid_text
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.safe_text import escaped


@click.command(short_help="Show the events of sessions that were loaded with --store-events.")
@click.argument("sessions", metavar="SESSION...", nargs=-1, required=True)
@database_option
@click.option("--raw", is_flag=True, help="Write the bytes as they were logged, such as for jq or another load.")
@click.pass_obj
def events(open_application: OpenApplication, /, sessions: tuple[str, ...], *, raw: bool, **options: Any) -> None:
    """Show each line that the honeypot logged of each SESSION, in the order of time."""
    with opened(open_application, options) as application:
        for session in sessions:
            for line in application.events.of(valid_text(session)):
                click.echo(line if raw else escaped(line.decode("utf-8", "backslashreplace")))
