"""`snapshots events`: the stored events of sessions, as they were logged."""

from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import database_option, opened, valid_text
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.safe_text import escaped


@command(
    short_help="Show stored events (load --store-events).",
    examples=["snapshots events 0a1b2c3d4e5f", "snapshots events --raw 0a1b2c3d4e5f | jq .eventid"],
)
@click.argument("sessions", metavar="SESSION...", nargs=-1, required=True)
@option(
    "--raw",
    is_flag=True,
    section=Section.OUTPUT,
    help="Write the bytes as they were logged, for example for jq or another load.",
)
@database_option
@click.pass_obj
def events(open_application: OpenApplication, /, sessions: tuple[str, ...], *, raw: bool, **options: Any) -> None:
    """Show the stored events of each SESSION in chronological order. Requires `load --store-events`."""
    with opened(open_application, options) as application:
        for session in sessions:
            for line in application.events.of(valid_text(session)):
                click.echo(line if raw else escaped(line.decode("utf-8", "backslashreplace")))
