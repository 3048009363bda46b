"""`snapshots drift`: compare the snapshots with the newest tables."""

from typing import Any

import click

from snapshots.adapters.cli.options import (
    database_option,
    opened,
    stdout,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.text.inventory import drift_csv, show_drift
from snapshots.adapters.cli.services import OpenApplication


@click.command(short_help="Show then against now.")
@database_option
@click.option("--format", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many moves of each fact.")
@click.pass_obj
def drift(open_application: OpenApplication, /, output: str, top: int, **options: Any) -> None:
    """Compare what sessions hold of their addresses with what is known of them today."""
    with opened(open_application, options) as application:
        found = application.inventory.drift(now=application.now(), top=top)
    if output == "json":
        click.echo(json_documents.to_json(json_documents.drift_document(found)))
    elif output == "csv":
        click.echo(drift_csv(found), nl=False)
    else:
        show_drift(stdout(), found)
