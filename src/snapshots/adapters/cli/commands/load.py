"""`snapshots load`: load Cowrie logs."""

import glob
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option, renamed_option
from snapshots.adapters.cli.commands.page_process import page_process
from snapshots.adapters.cli.completions import complete_files
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
from snapshots.adapters.cli.output.text.load import show_expired, show_load, skipped
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.cli.serving import PORT, Place, listen_option, token_option
from snapshots.adapters.cli.stop_signals import stopping
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.progress import LoadObserver, NoLoadObserver
from snapshots.app.ports.log_source import Layout, LineOptions, LogSource
from snapshots.app.safe_text import one_line
from snapshots.app.wording import count_of

SHOWN_PROBLEMS = 20

POLL_INTERVAL = click.FloatRange(0.05, 3600)


@command(
    short_help="Load Cowrie logs.",
    examples=[
        "snapshots load /home/cowrie/var/log/cowrie",
        "snapshots load --follow --metrics-file /var/lib/node_exporter/load.prom /data/cowrie/log",
        "snapshots load --follow --serve /data/cowrie/log",
        "zcat cowrie.json.2026-03-0*.gz | snapshots load --sensor edge-1 -",
    ],
)
@click.argument("paths", nargs=-1, required=True, shell_complete=complete_files)
@option(
    "--sensor",
    metavar="NAME",
    section=Section.GENERAL,
    help="Name of the honeypot; replaces the one in the logs.",
)
@one_of(
    "--input-format",
    kinds=Layout,
    default=Layout.AUTO,
    section=Section.GENERAL,
    help="One event per line, or JSON (arrays, pretty-printed, Elasticsearch exports).",
)
@option(
    "--keep-passwords",
    is_flag=True,
    section=Section.GENERAL,
    help="Store the texts of the passwords of new login attempts, not only their hashes.",
)
@option(
    "--store-events",
    is_flag=True,
    section=Section.GENERAL,
    help="Store every new event as it was logged, including passwords, for `events`; takes time and disk space.",
)
@option(
    "--follow",
    is_flag=True,
    section=Section.GENERAL,
    help="Continue to load appended events, until Ctrl-C or SIGTERM.",
)
@option(
    "--poll-interval",
    type=POLL_INTERVAL,
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    section=Section.GENERAL,
    help="With --follow: time between checks for new data.",
)
@renamed_option("--every", "--poll-interval", parameter="poll_interval", type=POLL_INTERVAL)
@option(
    "--serve",
    is_flag=True,
    section=Section.GENERAL,
    help="With --follow: serve the live page of the database in a process of its own, as the command serve does.",
)
@listen_option(f"With --serve: address and port to listen on.  [default: 127.0.0.1:{PORT}]", default=None)
@token_option("With --serve: answer only with the token in this file.")
@facts_options
@output_options
@metrics_option
@database_option
@lock_option
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
    poll_interval: float,
    serve: bool,
    listen: Place | None,
    token_file: Path | None,
    quiet: bool,
    metrics_file: Path | None,
    **options: Any,
) -> None:
    """
    Load Cowrie logs, and store a snapshot with every session.

    PATHS are files, folders and patterns, plain, .gz, .bz2 or .xz, or - for standard input. Events that are already
    stored are not loaded again, even if the file was renamed. Files in folders and patterns that are not Cowrie
    logs are skipped and listed. A named file that holds text but no Cowrie event is an error (exit code 1); all
    other files are still loaded. A named file that is empty, or whose only line is incomplete, is not an error.
    """
    if follow and "-" in paths:
        raise click.UsageError("--follow cannot read standard input (-): name files or folders, or omit --follow")
    page = _page_arguments(listen, token_file, is_served=serve)
    if page is not None and options["db"] == "trial":
        raise click.UsageError("--serve needs a database that another process can open: not --db trial")
    if page is not None and not follow:
        raise click.UsageError("--serve serves the page while --follow loads: add --follow, or use `snapshots serve`")
    line_options = LineOptions(
        sensor=sensor, keeps_passwords=keep_passwords, keeps_lines=store_events, layout=Layout(input_format)
    )
    exit_code = ExitCode.DONE
    with opened(open_application, options) as application:
        metrics = application.metrics(metrics_file) if metrics_file is not None else None
        observed = metrics.load_observer if metrics is not None else _unobserved
        if follow:
            for path in paths:
                if not glob.has_magic(path) and not Path(path).exists():
                    click.echo(f"Warning: {path} does not exist yet; waiting for it", err=True)
            with stopping() as stopped, _serving(application, page, options["db"], stopped):
                is_stopped = metrics.ticking(stopped) if metrics is not None else stopped
                report = application.follow(paths, line_options, observed(NoLoadObserver()), is_stopped, poll_interval)
            exit_code = stopped.exit_code
        else:
            report = load_with_bar(application, paths, line_options, observed, quiet=quiet)
        if metrics is not None:
            metrics.write()
        if not quiet and report.run:
            show_load(stdout(), report)
            show_expired(stdout(), application.fact_validity.expired(report.latest_attack))
        if keep_passwords and not quiet and report.run:
            _show_hidden_passwords(application)
    _exit_if(report.problems)
    click.get_current_context().exit(exit_code)


def _page_arguments(listen: Place | None, token_file: Path | None, *, is_served: bool) -> Sequence[str] | None:
    """Return the options of `serve`; None if the page is not served."""
    found = [
        *([f"--listen={listen}"] if listen is not None else []),
        *([f"--token-file={token_file}"] if token_file is not None else []),
    ]
    if found and not is_served:
        raise click.UsageError(f"{found[0].partition('=')[0]} is an option of --serve: add --serve")
    return found if is_served else None


@contextmanager
def _serving(
    application: Application, arguments: Sequence[str] | None, database: str | None, is_stopped: Callable[[], bool]
) -> Iterator[None]:
    """Serve the live page while the block runs, unless the arguments are None."""
    if arguments is None:
        yield
        return
    application.prepare()
    with page_process(arguments, database, is_stopped):
        yield


def _show_hidden_passwords(application: Application) -> None:
    """Print how many passwords of stored attempts have no text, because they were loaded without --keep-passwords."""
    hidden = application.session_queries.hidden_passwords()
    if hidden:
        click.echo(
            f"Of {count_of(hidden, 'password')} only the hash is stored: --keep-passwords stores the text with new"
            " attempts, and attempts that are already stored are not read again",
            err=True,
        )


def load_with_bar(
    application: Application,
    paths: Sequence[str],
    line_options: LineOptions,
    observed: Callable[[LoadObserver], LoadObserver] | None = None,
    *,
    quiet: bool,
) -> LoadReport:
    """
    Load the logs that *paths* name, with a progress bar on stderr, and list the files that are skipped.

    Args:
        application: Finds and loads the logs.
        paths: Files, folders, patterns, or "-".
        line_options: How lines are decoded.
        observed: Wraps the progress bar in another observer.
        quiet: Whether to print nothing.
    """
    stderr = SafeConsole(stderr=True, quiet=quiet)
    found = application.find_logs(paths, line_options)
    if found.skipped:
        stderr.print(skipped(found.skipped))
    for reason, paths_of_kind in found.foreign.items():
        stderr.print(skipped(paths_of_kind, reason))
    if not found.contents and not found.unchanged:
        return LoadReport(run="", problems=tuple(found.problems))
    with LoadBar(stderr, _total_size(found.contents)) as bar:
        report = application.load(found, (observed or _unobserved)(bar))
    return replace(report, problems=(*found.problems, *report.problems))


def _unobserved(observer: LoadObserver) -> LoadObserver:
    return observer


def _total_size(contents: Sequence[LogSource]) -> int | None:
    sizes = [content.size for content in contents]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _exit_if(problems: Sequence[str]) -> None:
    """Print what could not be loaded, and exit with an error if there is any."""
    for problem in problems[:SHOWN_PROBLEMS]:
        click.echo(f"Error: {one_line(problem)}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        click.echo(f"Error: {len(problems) - SHOWN_PROBLEMS:,} more files could not be loaded", err=True)
    if problems:
        click.get_current_context().exit(ExitCode.FAILED)
