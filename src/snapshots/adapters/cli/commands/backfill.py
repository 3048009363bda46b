"""The commands for the past: backfill, the list of runs, and undo."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    StopRequest,
    database_option,
    facts_options,
    format_option,
    lock_option,
    metrics_option,
    opened,
    stdout,
    stopping,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import WorkBar
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.services import MetricsWriter, OpenApplication
from snapshots.app.backfill.batch_runner import BackfillObserver, Throttle
from snapshots.app.backfill.improve import ImproveReport
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.backfill.undo import UndoReport
from snapshots.app.ports.open_sessions import Judged
from snapshots.app.ports.runs import RunRecord, RunState
from snapshots.domain.snapshot.gap import Gap

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
            _written(metrics)
            _show(lambda: _show_improved(done, is_dry_run=dry_run), _improved_document(done), output, quiet=quiet)
            _end(done, stopped, hint="Interrupted after the current batch; run the command again to start over.")
            return
        if dry_run:
            report = application.backfill.dry_run(watch, again=again, is_stopped=stopped)
        elif resume:
            report = application.backfill.resume(None, watch, throttle=throttle, is_stopped=stopped)
        else:
            report = application.backfill.run(watch, throttle=throttle, again=again, is_stopped=stopped)
        _written(metrics)
        _show(lambda: _show_backfill(report, is_dry_run=dry_run), _backfill_document(report), output, quiet=quiet)
        if not dry_run and sum(report.sealed.values()) >= LARGE:
            application.refresh_statistics()
            if not application.has_query_indexes():
                stderr.print("`snapshots indexes` builds the indexes by which questions are answered fast.")
    goes_on = "" if dry_run else " To continue: `snapshots backfill --resume`."
    _end(report, stopped, hint=f"Interrupted after the current batch.{goes_on}")


def _written(metrics: MetricsWriter | None) -> None:
    if metrics is not None:
        metrics.write()


@click.command(short_help="List what was executed.")
@database_option
@format_option
@click.option("--top", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many runs.")
@click.pass_obj
def runs(open_application: OpenApplication, /, output: str, top: int, **options: Any) -> None:
    """List the runs that wrote, the newest first: what they did, and how they ended."""
    with opened(open_application, options) as application:
        found, now = application.runs(top), application.now()
    if output == "json":
        click.echo(json_documents.to_json([_run_document(record, now) for record in found]))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("run", "kind", "state", "began (UTC)", "lasted", "counts"):
        table.add_column(name)
    for record in found:
        counts = ", ".join(f"{name} {count:,}" for name, count in record.counts.items() if count)
        table.add_row(
            record.run,
            record.kind.value,
            record.state_at(now).value,
            f"{record.began_at:%Y-%m-%d %H:%M:%S}",
            _lasted(record, now),
            printable(counts, 200),
        )
    stdout().print(table)


@click.command(short_help="Take back exactly what one run wrote.")
@click.argument("run")
@database_option
@lock_option
@click.option("--dry-run", is_flag=True, help="Only say what it would take back.")
@click.pass_obj
def undo(open_application: OpenApplication, /, run: str, *, dry_run: bool, **options: Any) -> None:
    """
    Take back what RUN wrote, a backfill or a late completion: snapshots, addresses it found, and counts.

    What loading, other runs and operators wrote stays. `snapshots runs` lists the runs.
    """
    stderr = SafeConsole(stderr=True)
    with opened(open_application, options) as application, stopping() as stopped, WorkBar(stderr) as bar:
        report = application.undo.undo(run, bar, is_dry_run=dry_run, is_stopped=stopped)
    for line in _undone(report, is_dry_run=dry_run):
        click.echo(line)
    if not report.is_done:
        click.echo(f"Interrupted. To continue: `snapshots undo {run}`.", err=True)
        click.get_current_context().exit(stopped.exit_code)


def _show(show: Callable[[], None], document: dict[str, Any], output: str, *, quiet: bool) -> None:
    if output == "json":
        click.echo(json_documents.to_json(document))
    elif not quiet:
        show()


def _end(report: BackfillReport | ImproveReport, stopped: StopRequest, *, hint: str) -> None:
    """Say what went wrong, and end with the exit code for it."""
    for session_id, reason in report.quarantined.items():
        click.echo(f"Quarantined {printable(session_id, 80).plain}: {printable(reason, 300).plain}", err=True)
    if not report.is_done:
        click.echo(hint, err=True)
    if not report.is_done and stopped.exit_code:
        click.get_current_context().exit(stopped.exit_code)
    if report.quarantined:
        click.get_current_context().exit(ExitCode.FAILED)


def _show_backfill(report: BackfillReport, *, is_dry_run: bool) -> None:
    if not report.judged and not report.quarantined:
        click.echo("Nothing to do: every session is sealed, or open for a reason that still holds.")
        return
    would = "would receive" if is_dry_run else "received"
    sealed = sum(report.sealed.values())
    click.echo(f"{report.judged:,} sessions judged: {sealed:,} {would} a snapshot.")
    for method, count in report.sealed.items():
        click.echo(f"  {method.value}: {count:,}")
    for gap, count in report.left_open.items():
        click.echo(f"  open, {gap.value}: {count:,}. {gap.explanation}")
    if report.found:
        click.echo(f"The addresses of {report.found:,} sessions were found in events or documents.")
    if report.lost:
        click.echo(f"{report.lost:,} sessions were sealed or changed by another program in between.")
    if is_dry_run:
        click.echo("Such as:")
        for each in report.samples:
            click.echo(f"  {_sample(each)}")
        click.echo(_forecast(report))
    else:
        click.echo(f"Run {report.run}, {report.seconds:,.1f} s. `snapshots undo {report.run}` takes it back.")


def _forecast(report: BackfillReport) -> str:
    text = f"Judging took {report.seconds:,.1f} s; writing takes about as long again."
    if report.written_bytes is not None:
        text += f" About {report.written_bytes * report.judged / 1e6:,.0f} MB are written to the log."
    return text


def _sample(judged: Judged) -> str:
    session, seen, verdict = judged
    where = f"{seen.address.text} at {seen.seen_at:%Y-%m-%d %H:%M}" if seen is not None else "no address"
    name = printable(session.session_id, 64).plain
    if isinstance(verdict, Gap):
        return f"{name} ({where}): {verdict.value}"
    facts = f"AS{verdict.asn or '-'} {verdict.country or '-'} {verdict.ip_type.value if verdict.ip_type else '-'}"
    return f"{name} ({where}): {facts}, {verdict.method.value}, {verdict.source}"


def _backfill_document(report: BackfillReport) -> dict[str, Any]:
    return {
        "run": report.run,
        "done": report.is_done,
        "judged": report.judged,
        "sealed": {method.value: count for method, count in report.sealed.items()},
        "open": {gap.value: count for gap, count in report.left_open.items()},
        "found": report.found,
        "lost": report.lost,
        "quarantined": dict(report.quarantined),
        "samples": [_sample(each) for each in report.samples],
        "seconds": report.seconds,
        "log_bytes_per_session": report.written_bytes,
    }


def _show_improved(report: ImproveReport, *, is_dry_run: bool) -> None:
    would = "would be" if is_dry_run else "were"
    click.echo(f"{report.looked_at:,} sealed sessions looked at; {sum(report.improved.values()):,} {would} improved.")
    for gain, count in report.improved.items():
        click.echo(f"  {gain}: {count:,}")
    if report.improved and not is_dry_run:
        click.echo(f"`snapshots undo {report.run}` takes it back.")
    if report.looked_at and report.is_done and not report.improved:
        click.echo(
            "No table is closer to these attacks than the tables of their snapshots, or adds a fact to them. Tables"
            " built before the attacks would help: snapshots inventory import --help"
        )


def _improved_document(report: ImproveReport) -> dict[str, Any]:
    return {
        "run": report.run,
        "done": report.is_done,
        "looked_at": report.looked_at,
        "improved": report.improved,
        "quarantined": report.quarantined,
    }


def _undone(report: UndoReport, *, is_dry_run: bool) -> Iterator[str]:
    if not report.opened + report.restored + report.forgotten:
        yield "Nothing of it is left."
        return
    would = "would be" if is_dry_run else "are"
    yield f"{report.opened:,} sessions {would} open again; {report.restored:,} hold what they held before;"
    yield f"of {report.forgotten:,} open ones the address that was found {would} forgotten."
    if report.sources and not is_dry_run:
        yield "If a table was wrong, withdraw it with `snapshots inventory retract`: " + ", ".join(report.sources)


def _lasted(record: RunRecord, now: datetime) -> str:
    until: datetime = record.ended_at or record.heartbeat_at
    lasted = f"{(until - record.began_at).total_seconds():,.1f} s"
    return f"{lasted}, so far" if record.state_at(now) is RunState.RUNNING else lasted


def _run_document(record: RunRecord, now: datetime) -> dict[str, Any]:
    return {
        "run": record.run,
        "kind": record.kind.value,
        "state": record.state_at(now).value,
        "began_at": record.began_at,
        "heartbeat_at": record.heartbeat_at,
        "ended_at": record.ended_at,
        "counts": dict(record.counts),
    }
