"""The commands: what a user may ask for, and with which words."""

import glob
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.commands.backfill import backfill, runs, undo
from snapshots.adapters.cli.commands.cluster import fleet
from snapshots.adapters.cli.commands.dead_letters import dead_letters
from snapshots.adapters.cli.commands.export import export
from snapshots.adapters.cli.commands.inventory import drift, inventory, sources
from snapshots.adapters.cli.commands.query import query
from snapshots.adapters.cli.commands.schema import adopt, copy, indexes, migrate
from snapshots.adapters.cli.commands.stored_events import events
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    facts_options,
    format_option,
    lock_option,
    metrics_option,
    one_of,
    opened,
    output_options,
    stdout,
    stopping,
    valid_text,
)
from snapshots.adapters.cli.output import json_documents, load_summary, text
from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import LoadBar
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.progress import LoadObserver, NoLoadObserver
from snapshots.app.ports.log_source import Layout, LineOptions, LogSource
from snapshots.app.safe_text import one_line
from snapshots.domain.facts.ip_type import IpType

SHOWN_PROBLEMS = 20
SHOWN_VIOLATIONS = 100


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="snapshots")
def cli() -> None:
    """Whose network did each session of a Cowrie honeypot come from, at the time of the attack?"""


cli.add_command(inventory)
cli.add_command(sources)
cli.add_command(drift)
cli.add_command(dead_letters)
cli.add_command(backfill)
cli.add_command(runs)
cli.add_command(undo)
cli.add_command(query)
cli.add_command(events)
cli.add_command(export)
cli.add_command(migrate)
cli.add_command(indexes)
cli.add_command(copy)
cli.add_command(adopt)
cli.add_command(fleet)


@cli.command(short_help="Load Cowrie logs.")
@click.argument("paths", nargs=-1, required=True)
@database_option
@lock_option
@facts_options
@output_options
@metrics_option
@click.option("--sensor", help="The honeypot's name, in place of what the logs say.")
@one_of(
    "--input-format",
    kinds=Layout,
    default=Layout.AUTO,
    help="How events stand in the files: one in each line, or as JSON (arrays, pretty-printed, from Elasticsearch).",
)
@click.option("--keep-passwords", is_flag=True, help="Keep the password tried first beside its hash.")
@click.option(
    "--store-events",
    is_flag=True,
    help="Store every new event as it was logged, including passwords, for `events`; takes time and disk space.",
)
@click.option("--follow", is_flag=True, help="Go on reading what is added, until Ctrl-C or SIGTERM.")
@click.option(
    "--every",
    type=click.FloatRange(0.05, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow: from one look to the next.",
)
@click.pass_obj
def load(
    open_application: OpenApplication,
    /,
    paths: tuple[str, ...],
    sensor: str | None,
    *,
    input_format: str,
    keep_passwords: bool,
    store_events: bool,
    follow: bool,
    every: float,
    quiet: bool,
    metrics_file: Path | None,
    **options: Any,
) -> None:
    """
    Load Cowrie logs, and give every session its snapshot.

    PATHS are files, folders and patterns, plain, .gz, .bz2 or .xz, or - for standard input. Events that were loaded
    before are not loaded again, even if the file was renamed. Files in folders and patterns that are not Cowrie
    logs are skipped and listed. A named file that holds text but no Cowrie event is an error (exit code 1); all
    other files are still loaded. A named file that is empty, or whose only line is incomplete, is not an error.
    """
    if follow and "-" in paths:
        raise click.UsageError("--follow cannot read standard input (-): name files or folders, or leave --follow out")
    reading = LineOptions(
        sensor=sensor, keeps_passwords=keep_passwords, keeps_lines=store_events, layout=Layout(input_format)
    )
    exit_code = ExitCode.DONE
    with opened(open_application, options) as application:
        metrics = application.metrics(metrics_file) if metrics_file is not None else None
        watched = metrics.load_observer if metrics is not None else _unwatched
        if follow:
            for path in paths:
                if not glob.has_magic(path) and not Path(path).exists():
                    click.echo(f"Warning: {path} does not exist yet; waiting for it", err=True)
            with stopping() as stopped:
                asked = metrics.ticking(stopped) if metrics is not None else stopped
                report = application.follow(paths, reading, watched(NoLoadObserver()), asked, every)
            exit_code = stopped.exit_code
        else:
            report = _load(application, paths, reading, watched, quiet=quiet)
        if metrics is not None:
            metrics.write()
        if not quiet and report.run:
            load_summary.show_load(stdout(), report)
            if report.latest_attack is not None:
                load_summary.show_stale_types(stdout(), report, *application.bundled_types())
    _exit_if(report.problems)
    click.get_current_context().exit(exit_code)


@cli.command(short_help="Show who attacked.")
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
            text.show_report(stdout(), application.reports.report(top=top))
            return
        found = application.overview.overview(top=top)
        if html is not None:
            with opened_whole(html, is_private=any(group.password for group in found.passwords)) as to:
                to.write(application.page(found).encode())
            if str(html) != "-":
                click.echo(f"The report is in {html}.", err=True)
        if output == "json":
            click.echo(json_documents.to_json(json_documents.overview_document(found)))


@cli.command(short_help="Check coverage and that nothing changed.")
@database_option
@lock_option
@format_option
@click.option(
    "--target",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Exit with 3 unless snapshot, ASN and country each cover this share of the sessions.",
)
@click.option("--run", help="Look only at the sessions that this run sealed.")
@click.option("--full", is_flag=True, help="Look at every sealed session, also of more than 200,000.")
@metrics_option
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
    Show how many sessions carry a snapshot, and check that none was changed.

    Sessions from private, shared or reserved addresses are left out of the shares. Sealed sessions are compared with
    their seals and with the observations of their addresses, their number with the record of runs, corrections and
    prunings, the inventory's counts with the sessions, and tables, triggers and functions with what this program makes.
    Then a forbidden change of each protected column is tried in a transaction that is rolled back. What cannot be
    checked, such as without the right to write, is named, and the exit code is 1 if nothing else was found.
    """
    with opened(open_application, options) as application:
        inspection = application.reports.inspect(show=SHOWN_VIOLATIONS, run=run, full=full)
        found = None if inspection.is_impossible else application.reports.coverage()
        if metrics_file is not None and found is not None:
            application.metrics(metrics_file).write(inspection)
    met = target is None or (found is not None and found.sessions.meets(target / 100))
    if output == "json":
        verdict = {"target": target, "met": met, "invariants": json_documents.inspection_document(inspection)}
        click.echo(
            json_documents.to_json((json_documents.coverage_document(found) if found is not None else {}) | verdict)
        )
    else:
        if found is not None:
            text.show_coverage(stdout(), found)
        text.show_inspection(stdout(), inspection)
    if not met:
        click.echo(f"Coverage is below the target of {target:g} %.", err=True)
    if not met or inspection.violation_count:
        click.get_current_context().exit(ExitCode.CHECK_FAILED)
    if inspection.not_checked:
        raise click.ClickException(f"not checked: {'; '.join(inspection.not_checked)}")


@cli.command(short_help="Show one session, and who said what of it.")
@click.argument("session")
@database_option
@facts_options
@format_option
@click.pass_obj
def explain(open_application: OpenApplication, /, session: str, output: str, **options: Any) -> None:
    """
    Show how SESSION got its data: its address, its snapshot, and the source and date of each fact.

    If the session was loaded with options such as --mmdb or --max-lag, pass the same options.
    """
    with opened(open_application, options) as application:
        found = application.reports.explain(valid_text(session))
        if found is None:
            raise click.ClickException(f"there is no session {session!r} in {application.shown_database}")
    if output == "json":
        click.echo(json_documents.to_json(json_documents.explanation_document(found)))
    else:
        text.show_explanation(stdout(), found)


@cli.command(short_help="Correct a sealed session, with an audit row.")
@click.argument("session", required=False)
@database_option
@lock_option
@click.option("--sentinels", is_flag=True, help="Take out the XX and AS0 that another loader wrote for unknown facts.")
@click.option("--dry-run", is_flag=True, help="With --sentinels: only say how many sessions it would correct.")
@click.option("--reason", required=True, help="Why; it is kept with the correction.")
@click.option("--asn", type=int, help="The right ASN.")
@click.option("--country", help="The right country, such as DE.")
@click.option("--ip-type", type=click.Choice([t.value for t in IpType], case_sensitive=False), help="The right type.")
@click.pass_obj
def correct(
    open_application: OpenApplication,
    /,
    session: str | None,
    *,
    sentinels: bool,
    dry_run: bool,
    reason: str,
    asn: int | None,
    country: str | None,
    ip_type: str | None,
    **options: Any,
) -> None:
    """Correct facts of a sealed SESSION through the audit, which keeps what they were."""
    if sentinels == (session is not None) or (dry_run and not sentinels):
        raise click.UsageError("name either a SESSION or --sentinels; --dry-run needs --sentinels")
    if session is None:
        with opened(open_application, options) as application:
            count = application.changes.take_out_sentinels(reason=reason, dry_run=dry_run)
        said = "hold a code for nowhere" if dry_run else "held a code for nowhere, which was taken out"
        click.echo(f"{count:,} sessions {said}.")
        return
    with opened(open_application, options) as application:
        before, after = application.changes.correct(
            valid_text(session), reason=reason, asn=asn, country=country, ip_type=IpType(ip_type) if ip_type else None
        )
    text.show_correction(stdout(), before, after)


@cli.command(short_help="Delete old sessions, with an audit row.")
@database_option
@lock_option
@click.option(
    "--before", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The first day to keep."
)
@click.option("--dry-run", is_flag=True, help="Only say how many sessions it would delete.")
@click.pass_obj
def prune(open_application: OpenApplication, /, before: datetime, *, dry_run: bool, **options: Any) -> None:
    """Delete the sessions that ended before a day (UTC); how many they were stays on record."""
    with opened(open_application, options) as application:
        pruned = application.changes.prune(before.replace(tzinfo=UTC), dry_run=dry_run)
    said = "would be" if dry_run else "were"
    click.echo(f"{pruned.sessions:,} sessions with {pruned.events:,} events {said} deleted.")


@cli.command(short_help="Load a bundled real log, and show everything.")
@click.option("--db", metavar="URL", help="Keep the demonstration in this database; else it is thrown away.")
@click.pass_obj
def demo(open_application: OpenApplication, /, db: str | None) -> None:
    """Load a real log that comes with this program, show the report, load it again, and verify."""
    console = stdout()
    with _demo_database(db) as url, opened(open_application, {"db": url}) as application:
        log = resources.files("snapshots.adapters.cli").joinpath("data", "cowrie.json.gz")
        with resources.as_file(log) as path:
            steps = (
                ("A log of a real Cowrie 3.1.4, attacked for this demonstration:", "load"),
                ("The same log once more:", "load"),
            )
            for title, _ in steps:
                console.print(f"\n{title}\n", style="bold")
                report = _load(application, [str(path)], LineOptions(), quiet=False)
                load_summary.show_load(console, report)
                load_summary.show_stale_types(console, report, *application.bundled_types())
                if title == steps[0][0]:
                    console.print()
                    text.show_report(console, application.reports.report(top=8))
        coverage = application.reports.coverage()
        console.print("\nEvery session that can be covered is:", style="bold")
        text.show_coverage(console, coverage)
        if not coverage.sessions.meets(0.95):
            click.get_current_context().exit(ExitCode.CHECK_FAILED)


@contextmanager
def _demo_database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="snapshots-demo-") as folder:
        yield f"sqlite:///{folder}/demo.db"


def _exit_if(problems: Sequence[str]) -> None:
    """Print what could not be loaded, and exit with an error if there is any."""
    for problem in problems[:SHOWN_PROBLEMS]:
        click.echo(f"Error: {one_line(problem)}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        click.echo(f"Error: {len(problems) - SHOWN_PROBLEMS:,} more files could not be loaded", err=True)
    if problems:
        click.get_current_context().exit(ExitCode.FAILED)


def _unwatched(observer: LoadObserver) -> LoadObserver:
    return observer


def _load(
    application: Application,
    paths: Sequence[str],
    reading: LineOptions,
    watched: Callable[[LoadObserver], LoadObserver] = _unwatched,
    *,
    quiet: bool,
) -> LoadReport:
    stderr = SafeConsole(stderr=True, quiet=quiet)
    found = application.find_logs(paths, reading)
    if found.skipped:
        stderr.print(load_summary.skipped(found.skipped))
    for reason, paths_of_kind in found.foreign.items():
        stderr.print(load_summary.skipped(paths_of_kind, reason))
    if not found.contents:
        return LoadReport(run="", problems=tuple(found.problems))
    with LoadBar(stderr, _total_size(found.contents)) as bar:
        report = application.load(found.contents, watched(bar))
    return replace(report, problems=(*found.problems, *report.problems))


def _total_size(contents: Sequence[LogSource]) -> int | None:
    sizes = [content.size for content in contents]
    return None if None in sizes else sum(size or 0 for size in sizes)
