"""`snapshots sources`: list the registered builds of all sources."""

from typing import Any

import click

from snapshots.adapters.cli.command import command
from snapshots.adapters.cli.options import (
    database_option,
    format_option,
    freshness_options,
    opened,
    stdout,
)
from snapshots.adapters.cli.output.text.inventory import show_sources
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds import inventory_documents
from snapshots.adapters.feeds.json_text import to_json


@command(
    short_help="List the registered builds of all sources.",
    examples=["snapshots facts sources", "snapshots facts sources --format json"],
)
@freshness_options
@format_option
@database_option
@click.pass_obj
def sources(open_application: OpenApplication, /, output: str, **options: Any) -> None:
    """List every registered build of a source: date, observations, file and license."""
    with opened(open_application, options) as application:
        found = application.inventory.status(now=application.now()).sources
    if output == "json":
        click.echo(to_json([inventory_documents.source_document(state) for state in found]))
    else:
        show_sources(stdout(), found)
