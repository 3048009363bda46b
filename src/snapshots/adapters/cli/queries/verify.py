"""`snapshots verify`: coverage, and checks that no sealed session was changed."""

from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    format_option,
    lock_option,
    metrics_option,
    network_types_option,
    opened,
    stdout,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.text.report import show_coverage, show_inspection
from snapshots.adapters.cli.run_names import completed_run
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.feeds import report_documents
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.safe_text import escaped

SHOWN_VIOLATIONS = 100


@command(
    short_help="Check coverage and integrity.",
    examples=["snapshots verify", "snapshots verify --target 95 --full", "snapshots verify --format json"],
)
@option(
    "--target",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    section=Section.GENERAL,
    help="Exit with code 3 if less than this share of the sessions has a snapshot, an ASN or a country.",
)
@option(
    "--run",
    metavar="RUN",
    section=Section.GENERAL,
    help="Check only the sessions that this run sealed; a prefix of its name is enough.",
)
@option(
    "--full",
    is_flag=True,
    section=Section.GENERAL,
    help="Check all sealed sessions. By default, a random sample of about 50,000 is checked if there are more than"
    " 200,000.",
)
@network_types_option
@format_option
@metrics_option
@database_option
@lock_option
@click.pass_obj
def verify(
    open_application: OpenApplication,
    /,
    output: str,
    target: float | None,
    run: str | None,
    *,
    full: bool,
    metrics_file: Path | None,
    **options: Any,
) -> None:
    """
    Show how many sessions have a snapshot, and check that no sealed session was changed.

    Sessions from private, shared or reserved addresses are excluded from the shares. The check
    compares sealed sessions with their seals and with the observations of their addresses, the number of sealed
    sessions with the audit tables, and the counts per address with the stored sessions. It also compares tables,
    triggers and functions with their definitions in this program, and attempts a forbidden change of each protected
    column in a transaction that is rolled back. Checks that are not possible, for example without write permission,
    are listed; the exit code is 1 if no violation was found.
    """
    with opened(open_application, options) as application:
        if run is not None:
            run = _known_run(application, run)
        inspection = application.reports.inspect(show=SHOWN_VIOLATIONS, run=run, full=full)
        found = None if inspection.is_impossible else application.reports.coverage()
        if metrics_file is not None and found is not None:
            application.metrics(metrics_file).write(inspection)
    met = target is None or (found is not None and found.sessions.meets(target / 100))
    if output == "json":
        verdict = {"target": target, "met": met, "invariants": json_documents.inspection_document(inspection)}
        click.echo(to_json((report_documents.coverage_document(found) if found is not None else {}) | verdict))
    else:
        if found is not None:
            show_coverage(stdout(), found)
        show_inspection(stdout(), inspection)
    if not met:
        click.echo(f"Coverage is below the target of {target:g}%.", err=True)
    if not met or inspection.violation_count:
        click.get_current_context().exit(ExitCode.CHECK_FAILED)
    if inspection.not_checked:
        raise click.ClickException(f"not checked: {'; '.join(inspection.not_checked)}")


def _known_run(application: Application, text: str) -> str:
    """Return the name of the run that begins like a text."""
    run = completed_run(application, text)
    if run is None:
        raise click.ClickException(f"there is no run {escaped(text)[:40]!r}; `snapshots runs` lists them")
    return run
