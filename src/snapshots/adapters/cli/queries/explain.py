"""`snapshots explain`: how one session got its address and its snapshot."""

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
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.session_documents import explanation_document
from snapshots.adapters.cli.output.text.explanation import show_explanation
from snapshots.adapters.cli.services import OpenApplication


@command(
    short_help="Show one session and where its facts come from.",
    examples=["snapshots explain 0a1b2c3d4e5f", "snapshots explain 0a1b2c3d4e5f --format json"],
)
@click.argument("session")
@facts_options
@format_option
@database_option
@click.pass_obj
def explain(open_application: OpenApplication, /, session: str, output: str, **options: Any) -> None:
    """
    Show the address and the snapshot of SESSION, with the source and the date of each fact.

    If the session was loaded with options such as --mmdb or --max-lag, pass the same options.
    """
    with opened(open_application, options) as application:
        found = application.reports.explain(valid_text(session))
        if found is None:
            raise click.ClickException(f"there is no session {session!r} in {application.shown_database}")
    if output == "json":
        click.echo(json_documents.to_json(explanation_document(found)))
    else:
        show_explanation(stdout(), found)
