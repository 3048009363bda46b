"""`snapshots backfill`: give stored sessions the snapshots that they lack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    facts_options,
    format_option,
    lock_option,
    metrics_option,
    opened,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import WorkBar
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.output.text.backfill import show_backfill, show_improvement
from snapshots.adapters.cli.services import MetricsWriter, OpenApplication
from snapshots.adapters.cli.stop_signals import StopRequest, stopping
from snapshots.app.backfill.improve import ImproveReport
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.backfill.throttle import Throttle

LARGE = 10_000
"""After how many sealed sessions the database's statistics are refreshed."""


@click.command(short_help="Give stored sessions the snapshot that they lack.")
@database_option
@lock_option
@facts_options
@format_option
@click.option("--dry-run", is_flag=True, help="Only say what it would do, to the session.")
@click.option("--resume", is_flag=True, help="Go on with the newest backfill that did not come to its end.")
@click.option("--again", is_flag=True, help="Judge all open sessions, also those of which nothing new is known.")
@click.option("--improve", is_flag=True, help="Replace inferred snapshots by timely ones, and some facts by more.")
@click.option("--batch-size", type=click.IntRange(1, 100_000), help="Sessions in a batch.  [default: 1000 first]")
@click.option("--rate", type=click.FloatRange(0.01, 1e9), metavar="N", help="At most N sessions a second.")
@click.option(
    "--max-replication-lag",
    "max_replication_lag_seconds",
    type=click.FloatRange(0, 1e9),
    metavar="SECONDS",
    help="Wait while a replica is further behind; 0: never mind.  [default: 30]",
)
@click.option(
    "--max-lock-waits",
    type=click.IntRange(0),
    metavar="N",
    help="Wait while more sessions wait for locks; 0: never mind.  [default: 5]",
)
@click.option(
    "--max-transaction",
    "max_transaction_seconds",
    type=click.FloatRange(0, 1e9),
    metavar="SECONDS",
    help="Wait while another transaction is older; 0: never mind.  [default: 3600]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    help="Log each batch to stderr, as JSON unless it is a terminal.",
)
@metrics_option
@click.pass_obj
def backfill(
    open_application: OpenApplication,
    /,
    *,
    output: str,
    dry_run: bool,
    resume: bool,
    again: bool,
    improve: bool,
    batch_size: int | None,
    rate: float | None,
    quiet: bool,
    metrics_file: Path | None,
    **options: Any,
) -> None:
    """
    Give sessions that are stored without a snapshot the one nearest to the attack, as of it or inferred.

    It processes sessions of other loaders, sessions that an undo opened, and sessions whose address has new facts.
    Ctrl-C or SIGTERM stops it after the current batch; --resume continues. Sealed sessions are not changed, except
    with --improve.
    """
    if (dry_run and resume) or (improve and (resume or again)) or (resume and again):
        raise click.UsageError(
            "--resume cannot be combined with --dry-run or --again, nor --improve with --resume or --again"
        )
    if dry_run and not improve and (batch_size or rate):
        raise click.UsageError("--dry-run cannot be combined with --batch-size or --rate, except with --improve")
    throttle = Throttle(batch_size=batch_size, rate=rate)
    stderr = SafeConsole(stderr=True, quiet=quiet)
    with opened(open_application, options) as application, stopping() as stopped, WorkBar(stderr) as bar:
        metrics = application.metrics(metrics_file) if metrics_file is not None and not dry_run else None
        watch: BackfillObserver = application.logged(bar)
        watch = metrics.work_observer(watch) if metrics is not None else watch
        if improve:
            done = application.improve.run(watch, throttle=throttle, is_dry_run=dry_run, is_stopped=stopped)
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
            report = application.backfill.dry_run(watch, again=again, is_stopped=stopped)
        elif resume:
            report = application.backfill.resume(None, watch, throttle=throttle, is_stopped=stopped)
        else:
            report = application.backfill.run(watch, throttle=throttle, again=again, is_stopped=stopped)
        _write_metrics(metrics)
        _show(
            lambda: show_backfill(report, is_dry_run=dry_run),
            json_documents.backfill_document(report),
            output,
            quiet=quiet,
        )
        if not dry_run and sum(report.sealed.values()) >= LARGE:
            application.refresh_statistics()
            if not application.has_query_indexes():
                stderr.print("`snapshots indexes` builds the indexes by which questions are answered fast.")
    goes_on = "" if dry_run else " To continue: `snapshots backfill --resume`."
    _exit_with(report, stopped, hint=f"Interrupted after the current batch.{goes_on}")


def _write_metrics(metrics: MetricsWriter | None) -> None:
    if metrics is not None:
        metrics.write()


def _show(show: Callable[[], None], document: dict[str, Any], output: str, *, quiet: bool) -> None:
    if output == "json":
        click.echo(json_documents.to_json(document))
    elif not quiet:
        show()


def _exit_with(report: BackfillReport | ImproveReport, stopped: StopRequest, *, hint: str) -> None:
    """Say what went wrong, and end with the exit code for it."""
    for session_id, reason in report.quarantined.items():
        click.echo(f"Quarantined {printable(session_id, 80).plain}: {printable(reason, 300).plain}", err=True)
    if not report.is_done:
        click.echo(hint, err=True)
    if not report.is_done and stopped.exit_code:
        click.get_current_context().exit(stopped.exit_code)
    if report.quarantined:
        click.get_current_context().exit(ExitCode.FAILED)
