"""`snapshots explain`: how sessions got their address and their snapshot."""

from typing import Any

import click

from snapshots.adapters.cli.command import command
from snapshots.adapters.cli.options import (
    database_option,
    facts_options,
    format_option,
    opened,
    stdout,
    valid_text,
)
from snapshots.adapters.cli.output.text.explanation import show_explanation
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.json_text import to_json
from snapshots.adapters.feeds.session_documents import explanation_document
from snapshots.app.queries.explained import anonymizer_lists, explained


@command(
    short_help="Show one session and where its facts come from.",
    examples=["snapshots explain 0a1b2c3d4e5f", "snapshots explain 0a1b 9f8e --format json"],
)
@click.argument("sessions", metavar="SESSION...", nargs=-1, required=True)
@facts_options
@format_option
@database_option
@click.pass_obj
def explain(open_application: OpenApplication, /, sessions: tuple[str, ...], output: str, **options: Any) -> None:
    """
    Show the address and the snapshot of each SESSION, with the source and the date of each fact.

    SESSION is an ID, or how it begins if no other begins alike. If the session was loaded with options such as --mmdb
    or --max-lag, pass the same options.
    """
    with opened(open_application, options) as application:
        found = [
            explained(
                application.reports,
                application.session_queries,
                valid_text(session),
                database=application.shown_database,
            )
            for session in dict.fromkeys(sessions)
        ]
        lists = [anonymizer_lists(application.fact_validity, each) for each in found]
    if output == "json":
        documents = [explanation_document(*each) for each in zip(found, lists, strict=True)]
        click.echo(to_json(documents if len(documents) > 1 else documents[0]))
        return
    console = stdout()
    for number, each in enumerate(found):
        if number:
            console.print()
        show_explanation(console, each, lists[number])
