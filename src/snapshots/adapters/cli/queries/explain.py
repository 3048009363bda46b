"""`snapshots explain`: how sessions got their address and their snapshot."""

from collections.abc import Sequence
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
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.feeds.json_text import to_json
from snapshots.adapters.feeds.session_documents import explanation_document
from snapshots.app.queries.reports import Explanation
from snapshots.app.queries.validity import AnonymizerList
from snapshots.app.safe_text import escaped

SHOWN = 5
"""Sessions that are listed if several begin alike."""


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
        found = [_explanation(application, valid_text(session)) for session in dict.fromkeys(sessions)]
        lists = [_anonymizer_lists(application, each) for each in found]
    if output == "json":
        documents = [explanation_document(*each) for each in zip(found, lists, strict=True)]
        click.echo(to_json(documents if len(documents) > 1 else documents[0]))
        return
    console = stdout()
    for number, each in enumerate(found):
        if number:
            console.print()
        show_explanation(console, each, lists[number])


def _anonymizer_lists(application: Application, explanation: Explanation) -> Sequence[AnonymizerList]:
    sighting = explanation.session.sighting
    if sighting is None:
        return []
    return application.fact_validity.anonymizer_lists(explanation.considered, sighting.seen_at)


def _explanation(application: Application, session: str) -> Explanation:
    """Return the explanation of a session by its ID, or by how it begins."""
    found = application.reports.explain(session)
    if found is None:
        alike = application.session_queries.session_ids(session, limit=SHOWN + 1)
        if len(alike) > 1:
            more = " and more" if len(alike) > SHOWN else ""
            raise click.ClickException(
                f"{session!r}: several session IDs start with this: {', '.join(map(escaped, alike[:SHOWN]))}{more}"
            )
        found = application.reports.explain(alike[0]) if alike else None
    if found is None:
        raise click.ClickException(f"there is no session {session!r} in {application.shown_database}")
    return found
