"""`snapshots drift`: compare the snapshots with the newest tables."""

from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, opened, stdout
from snapshots.adapters.cli.output.text.inventory import drift_csv, show_drift
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds import report_documents
from snapshots.adapters.feeds.json_text import to_json


@command(
    short_help="Compare snapshots with the newest tables.",
    examples=["snapshots facts drift", "snapshots facts drift --top 50 --format csv"],
)
@option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="Most frequent changes of each fact.",
)
@option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    section=Section.OUTPUT,
    help="Output format.",
)
@filter_options
@database_option
@click.pass_obj
def drift(open_application: OpenApplication, /, output: str, top: int, **options: Any) -> None:
    """
    Compare the facts in snapshots with those of the newest tables, and count the sessions that differ.

    The filters are those of `query`.
    """
    with opened(open_application, {"db": options.pop("db")}) as application:
        session_filter = filter_of(application, options)
        found = application.inventory.drift(now=application.now(), top=top, session_filter=session_filter)
        if not found.sealed:
            check_values(application, session_filter)
    if output == "json":
        click.echo(to_json(report_documents.drift_document(found)))
    elif output == "csv":
        click.echo(drift_csv(found), nl=False)
    else:
        show_drift(stdout(), found)
