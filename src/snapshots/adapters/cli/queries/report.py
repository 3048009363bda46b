"""`snapshots report`: the report as a table, JSON or an HTML page."""

from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.options import (
    database_option,
    format_option,
    opened,
    stdout,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.adapters.cli.output.text.report import show_report
from snapshots.adapters.cli.services import OpenApplication


@click.command(short_help="Show who attacked.")
@database_option
@format_option
@click.option(
    "--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many networks and countries."
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False, readable=False),
    metavar="FILE",
    help="Write it as one page with charts, which a browser opens from the disk; - for standard output.",
)
@click.pass_obj
def report(open_application: OpenApplication, /, output: str, top: int, html: Path | None, **options: Any) -> None:
    """Show who attacked: networks, countries, types, days, and how much is known."""
    with opened(open_application, options) as application:
        if html is None and output == "table":
            show_report(stdout(), application.reports.report(top=top))
            return
        found = application.overview.overview(top=top)
        if html is not None:
            with opened_whole(html, is_private=any(group.password for group in found.passwords)) as to:
                to.write(application.page(found).encode())
            if str(html) != "-":
                click.echo(f"The report is in {html}.", err=True)
        if output == "json":
            click.echo(json_documents.to_json(json_documents.overview_document(found)))
