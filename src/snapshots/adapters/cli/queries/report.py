"""`snapshots report`: the report as a table, JSON or an HTML page."""

from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, format_option, opened, stdout
from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.adapters.cli.output.text.load import show_expired
from snapshots.adapters.cli.output.text.report import show_report
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds import report_documents
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.queries.common_passwords import public_text
from snapshots.app.queries.filters.filter_text import filter_text
from snapshots.app.queries.session_queries import EVERYTHING, Group


@command(
    short_help="Show where the attacks came from.",
    examples=[
        "snapshots report",
        "snapshots report --since 7d --html report.html",
        "snapshots report --format json | jq .networks",
    ],
)
@option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="Rows per table.",
)
@option(
    "--html",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False, readable=False),
    metavar="FILE",
    section=Section.OUTPUT,
    help="Write a self-contained HTML page with charts; - for standard output.",
)
@format_option
@filter_options
@database_option
@click.pass_obj
def report(open_application: OpenApplication, /, output: str, top: int, html: Path | None, **options: Any) -> None:
    """
    Count sessions by network, country, IP type and day, and show the coverage of snapshots.

    The filters are those of `query`. With --since, the HTML page compares with the period of the same length before.
    """
    with opened(open_application, {"db": options.pop("db")}) as application:
        session_filter = filter_of(application, options)
        if html is None and output == "table":
            found_report = application.reports.report(top=top, session_filter=session_filter)
            if not found_report.coverage.sessions.total and session_filter != EVERYTHING:
                check_values(application, session_filter)
            show_report(stdout(), found_report, filter_text(session_filter))
            show_expired(stdout(), application.fact_validity.expired(found_report.last_event_at))
            return
        found = application.overview.overview(top=top, session_filter=session_filter)
        if not found.report.coverage.sessions.total and session_filter != EVERYTHING:
            check_values(application, session_filter)
        if html is not None:
            with opened_whole(html, is_private=any(map(_is_secret, found.passwords))) as to:
                to.write(application.page(found).encode())
            if str(html) != "-":
                click.echo(f"Report written to {html}.", err=True)
        if output == "json":
            click.echo(to_json(report_documents.overview_document(found)))


def _is_secret(group: Group) -> bool:
    """Whether a group has the text of a password that may not be published."""
    return group.password != public_text(group.values[0], group.password)
