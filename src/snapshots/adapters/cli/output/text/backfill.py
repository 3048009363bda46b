"""What backfills, improvements and undos did, as text for a terminal."""

from collections.abc import Iterator

import click

from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.backfill.improve import ImproveReport
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.backfill.undo import UndoReport
from snapshots.app.ports.open_sessions import Judged
from snapshots.domain.snapshot.gap import Gap


def show_backfill(report: BackfillReport, *, is_dry_run: bool) -> None:
    """Print the result of a backfill, or of its dry run."""
    if not report.judged and not report.quarantined:
        click.echo("Nothing to do: every session has a snapshot, or there are no new facts for it.")
        return
    would = "would receive" if is_dry_run else "received"
    sealed = sum(report.sealed.values())
    click.echo(f"{report.judged:,} sessions evaluated: {sealed:,} {would} a snapshot.")
    for method, count in report.sealed.items():
        click.echo(f"  {method.value}: {count:,}")
    for gap, count in report.left_open.items():
        click.echo(f"  without a snapshot, {gap.value}: {count:,}. {gap.explanation}")
    if report.found:
        click.echo(f"The addresses of {report.found:,} sessions were recovered from stored events or documents.")
    if report.lost:
        click.echo(f"{report.lost:,} sessions were changed by another process meanwhile and left as they are.")
    if is_dry_run:
        click.echo("Examples:")
        for each in report.samples:
            click.echo(f"  {sample_text(each)}")
        click.echo(_forecast(report))
    else:
        click.echo(f"Run {report.run}, {report.seconds:,.1f} s. To undo it: `snapshots undo {report.run}`.")


def _forecast(report: BackfillReport) -> str:
    text = f"Evaluation took {report.seconds:,.1f} s; writing takes about as long again."
    if report.written_bytes is not None:
        text += f" About {report.written_bytes * report.judged / 1e6:,.0f} MB would be written to the transaction log."
    return text


def sample_text(judged: Judged) -> str:
    """Return the verdict on one session as a line."""
    session, seen, verdict = judged
    where = f"{seen.address.text} at {seen.seen_at:%Y-%m-%d %H:%M}" if seen is not None else "no address"
    name = printable(session.session_id, 64).plain
    if isinstance(verdict, Gap):
        return f"{name} ({where}): {verdict.value}"
    facts = f"AS{verdict.asn or '-'} {verdict.country or '-'} {verdict.ip_type.value if verdict.ip_type else '-'}"
    return f"{name} ({where}): {facts}, {verdict.method.value}, {' '.join(verdict.builds)}"


def show_improvement(report: ImproveReport, *, is_dry_run: bool) -> None:
    """Print how many snapshots were replaced by better ones, or would be."""
    would = "would be" if is_dry_run else "were"
    click.echo(f"{report.looked_at:,} sealed sessions checked; {sum(report.improved.values()):,} {would} improved.")
    for gain, count in report.improved.items():
        click.echo(f"  {gain}: {count:,}")
    if report.improved and not is_dry_run:
        click.echo(f"To undo it: `snapshots undo {report.run}`.")
    if report.looked_at and report.is_done and not report.improved:
        click.echo(
            "No table is closer to these attacks than the tables of their snapshots, or adds a fact. To improve them,"
            " import tables from before the attacks: snapshots facts import --help"
        )


def undo_lines(report: UndoReport, *, is_dry_run: bool) -> Iterator[str]:
    """Yield what an undo restored, or would restore."""
    if not report.opened + report.restored + report.forgotten:
        yield "Nothing to undo."
        return
    would = "would be" if is_dry_run else "are"
    yield f"{report.opened:,} sessions {would} open again; {report.restored:,} have their previous snapshot;"
    yield f"{report.forgotten:,} recovered addresses of open sessions {would} removed."
    if report.sources and not is_dry_run:
        yield "If a table was wrong, retract it (`snapshots facts retract`): " + ", ".join(report.sources)
