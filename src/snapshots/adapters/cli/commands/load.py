"""`snapshots load`: load Cowrie logs."""

import glob
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    facts_options,
    lock_option,
    metrics_option,
    one_of,
    opened,
    output_options,
    stdout,
)
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import LoadBar
from snapshots.adapters.cli.output.text.load import show_load, show_stale_types, skipped
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.cli.stop_signals import stopping
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.progress import LoadObserver, NoLoadObserver
from snapshots.app.ports.log_source import Layout, LineOptions, LogSource
from snapshots.app.safe_text import one_line

SHOWN_PROBLEMS = 20


@click.command(short_help="Load Cowrie logs.")
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
            report = load_with_bar(application, paths, reading, watched, quiet=quiet)
        if metrics is not None:
            metrics.write()
        if not quiet and report.run:
            show_load(stdout(), report)
            if report.latest_attack is not None:
                show_stale_types(stdout(), report, *application.bundled_types())
    _exit_if(report.problems)
    click.get_current_context().exit(exit_code)


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


def load_with_bar(
    application: Application,
    paths: Sequence[str],
    reading: LineOptions,
    watched: Callable[[LoadObserver], LoadObserver] = _unwatched,
    *,
    quiet: bool,
) -> LoadReport:
    """Load the logs that *paths* name, with a progress bar on stderr, and list the files that are skipped."""
    stderr = SafeConsole(stderr=True, quiet=quiet)
    found = application.find_logs(paths, reading)
    if found.skipped:
        stderr.print(skipped(found.skipped))
    for reason, paths_of_kind in found.foreign.items():
        stderr.print(skipped(paths_of_kind, reason))
    if not found.contents:
        return LoadReport(run="", problems=tuple(found.problems))
    with LoadBar(stderr, _total_size(found.contents)) as bar:
        report = application.load(found.contents, watched(bar))
    return replace(report, problems=(*found.problems, *report.problems))


def _total_size(contents: Sequence[LogSource]) -> int | None:
    sizes = [content.size for content in contents]
    return None if None in sizes else sum(size or 0 for size in sizes)
