"""`snapshots backfill`: give stored sessions the snapshots that they lack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option, renamed_option
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    facts_options,
    format_option,
    lock_option,
    metrics_option,
    opened,
    output_options,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import WorkBar
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.output.text.backfill import show_backfill, show_improvement
from snapshots.adapters.cli.services import MetricsWriter, OpenApplication
from snapshots.adapters.cli.stop_signals import StopRequest, stopping
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.backfill.improve import ImproveReport
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.backfill.stages import MOST_JOBS
from snapshots.app.backfill.throttle import Throttle

STATISTICS_MIN_SESSIONS = 10_000
"""Sealed sessions after which the statistics of the query planner are refreshed."""


@command(
    short_help="Compute snapshots for stored sessions.",
    examples=[
        "snapshots backfill --dry-run",
        "snapshots backfill --db postgresql://cowrie@localhost/cowrie --rate 500",
        "snapshots backfill --resume",
    ],
)
@option("--dry-run", is_flag=True, section=Section.GENERAL, help="Report what would change, and write nothing.")
@option("--resume", is_flag=True, section=Section.GENERAL, help="Resume the newest unfinished backfill.")
@option(
    "--rejudge-all",
    is_flag=True,
    section=Section.GENERAL,
    help="Evaluate all sessions without a snapshot again, even if there are no new facts about their addresses.",
)
@renamed_option("--again", "--rejudge-all", parameter="rejudge_all", is_flag=True)
@option(
    "--improve",
    is_flag=True,
    section=Section.GENERAL,
    help="Evaluate sealed sessions again: replace inferred snapshots where tables now state all their facts as of the"
    " attack, add facts that a snapshot lacks, also to one as of the attack, and replace types by network by types of"
    " the address.",
)
@option(
    "--batch-size",
    type=click.IntRange(1, 100_000),
    metavar="N",
    section=Section.GENERAL,
    help="Sessions per batch.  [default: 1000 at first, then about one second per batch]",
)
@option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    metavar="N",
    section=Section.GENERAL,
    help="Number of workers. On SQLite only computing is shared; one worker writes.  [default: one per core]",
)
@option(
    "--rate",
    type=click.FloatRange(0.01, 1e9),
    metavar="N",
    section=Section.GENERAL,
    help="Maximum number of sessions per second.",
)
@option(
    "--max-replication-lag",
    "max_replication_lag_seconds",
    type=click.FloatRange(0, 1e9),
    metavar="SECONDS",
    section=Section.DATABASE,
    help="Pause while a replica lags behind by more than this; 0: no limit.  [default: 30]",
)
@option(
    "--max-lock-waits",
    type=click.IntRange(0),
    metavar="N",
    section=Section.DATABASE,
    help="Pause while more connections than this wait for locks; 0: no limit.  [default: 5]",
)
@option(
    "--max-transaction",
    "max_transaction_seconds",
    type=click.FloatRange(0, 1e9),
    metavar="SECONDS",
    section=Section.DATABASE,
    help="Pause while another transaction is open for longer than this; 0: no limit.  [default: 3600]",
)
@facts_options
@format_option
@output_options
@metrics_option
@database_option
@lock_option
@click.pass_obj
def backfill(
    open_application: OpenApplication,
    /,
    *,
    output: str,
    dry_run: bool,
    resume: bool,
    rejudge_all: bool,
    improve: bool,
    batch_size: int | None,
    jobs: int | None,
    rate: float | None,
    quiet: bool,
    metrics_file: Path | None,
    **options: Any,
) -> None:
    """
    Compute a snapshot for every stored session without one, from the facts nearest to the attack.

    This covers sessions that other programs stored, sessions whose snapshot an undo removed, and sessions whose address
    has new facts. Ctrl-C or SIGTERM stops it after the current batch; --resume continues. Sealed sessions are not
    changed, except with --improve.
    """
    if (dry_run and resume) or (improve and (resume or rejudge_all)) or (resume and rejudge_all):
        raise click.UsageError(
            "--resume cannot be combined with --dry-run or --rejudge-all, nor --improve with --resume or --rejudge-all"
        )
    if dry_run and not improve and (batch_size or rate):
        raise click.UsageError("--dry-run cannot be combined with --batch-size or --rate, except with --improve")
    if improve and jobs:
        raise click.UsageError("--improve cannot be combined with --jobs")
    throttle = Throttle(batch_size=batch_size, rate=rate)
    stderr = SafeConsole(stderr=True, quiet=quiet)
    with opened(open_application, options) as application, stopping() as stopped, WorkBar(stderr) as bar:
        metrics = application.metrics(metrics_file) if metrics_file is not None and not dry_run else None
        observer: BackfillObserver = application.logged(bar)
        observer = metrics.work_observer(observer) if metrics is not None else observer
        if improve:
            done = application.improve.run(observer, throttle=throttle, is_dry_run=dry_run, is_stopped=stopped)
            _write_metrics(metrics)
            _show(
                lambda: show_improvement(done, is_dry_run=dry_run),
                json_documents.improvement_document(done),
                output,
                quiet=quiet,
            )
            _exit_with(done, stopped, hint="Interrupted after the current batch; run the command again to start over.")
            return
        if dry_run:
            report = application.backfill.dry_run(observer, jobs=jobs, again=rejudge_all, is_stopped=stopped)
        elif resume:
            report = application.backfill.resume(None, observer, throttle=throttle, jobs=jobs, is_stopped=stopped)
        else:
            report = application.backfill.run(
                observer, throttle=throttle, jobs=jobs, again=rejudge_all, is_stopped=stopped
            )
        _write_metrics(metrics)
        _show(
            lambda: show_backfill(report, is_dry_run=dry_run),
            json_documents.backfill_document(report),
            output,
            quiet=quiet,
        )
        if not dry_run and sum(report.sealed.values()) >= STATISTICS_MIN_SESSIONS:
            application.refresh_statistics()
            if not application.has_query_indexes():
                stderr.print("To speed up queries, build their indexes: snapshots indexes")
    how_to_resume = "" if dry_run else " To continue: `snapshots backfill --resume`."
    _exit_with(report, stopped, hint=f"Interrupted after the current batch.{how_to_resume}")


def _write_metrics(metrics: MetricsWriter | None) -> None:
    if metrics is not None:
        metrics.write()


def _show(show: Callable[[], None], document: dict[str, Any], output: str, *, quiet: bool) -> None:
    if output == "json":
        click.echo(to_json(document))
    elif not quiet:
        show()


def _exit_with(report: BackfillReport | ImproveReport, stopped: StopRequest, *, hint: str) -> None:
    """Print the quarantined sessions, and exit with the code of the outcome."""
    for session_id, reason in report.quarantined.items():
        click.echo(f"Quarantined {printable(session_id, 80).plain}: {printable(reason, 300).plain}", err=True)
    if not report.is_done:
        click.echo(hint, err=True)
    if not report.is_done and stopped.exit_code:
        click.get_current_context().exit(stopped.exit_code)
    if report.quarantined:
        click.get_current_context().exit(ExitCode.FAILED)
