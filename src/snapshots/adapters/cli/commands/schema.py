"""The commands for the tables themselves: migrate, indexes, copy and adopt."""

import sys
from typing import Any

import click
from rich.console import Console

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import database_option, lock_option, opened, stdout
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CopyBar
from snapshots.adapters.cli.output.sanitize import count_of
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.app.admin.adoption import AdoptionPlan, Lock

MOST_PARTITIONS = 1024


@click.command(short_help="Bring the tables up to date.")
@database_option
@lock_option
@click.option("--to", default="head", show_default=True, metavar="VERSION", help="A version, or base for no tables.")
@click.option(
    "--partitions",
    type=click.IntRange(2, MOST_PARTITIONS),
    metavar="N",
    help="On a new PostgreSQL database: store sessions in this many partitions.",
)
@click.option("--yes", is_flag=True, help="Do not ask before --to base drops the tables.")
@click.pass_obj
def migrate(
    open_application: OpenApplication, /, to: str, *, partitions: int | None, yes: bool, **options: Any
) -> None:
    """
    Bring the tables of the database to the version that this program works with; their rows stay.

    A load does it for a new database. Going back to an older version loses what only the newer one holds, and
    --to base drops every table: it says how many sessions are lost and asks, unless --yes is given.
    """
    with opened(open_application, options) as application:
        if to == "base" and not yes:
            _confirm_drop(application)
        before, after = application.migrate(to, partitions)
        if partitions is not None:
            click.echo(f"{application.shown_database}: sessions lie in {partitions} partitions.")
        elif before == after:
            click.echo(f"The tables of {application.shown_database} have version {after or 'none'} already.")
        else:
            click.echo(f"{application.shown_database}: from version {before or 'none'} to {after or 'none'}.")


def _confirm_drop(application: Application) -> None:
    """Ask whether to drop the tables; end the command if the answer is no, or if nobody can be asked."""
    count = application.session_count()
    if count is None:
        return
    sentence = f"this drops all tables of {application.shown_database}, with {count:,} sessions"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{sentence}; give --yes to do it")
    if not click.confirm(f"{sentence[0].upper()}{sentence[1:]}. Continue?", err=True):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(ExitCode.FAILED)


@click.command(short_help="Build the indexes that questions need.")
@database_option
@lock_option
@click.option("--drop", is_flag=True, help="Take them away, as before a large backfill.")
@click.pass_obj
def indexes(open_application: OpenApplication, /, *, drop: bool, **options: Any) -> None:
    """
    Build the indexes that only questions need, without keeping writers out.

    A new database has them. One that was adopted has not, because a backfill of the past is faster without.
    """
    with opened(open_application, options) as application:
        names = application.drop_query_indexes() if drop else application.build_query_indexes()
    for name in names:
        click.echo(f"{name}: {'dropped' if drop else 'built'}")
    if not names:
        click.echo("There is none to drop." if drop else "Every index is there.")


@click.command(short_help="Copy everything to another database.")
@database_option
@lock_option
@click.option("--to", "target", required=True, metavar="URL|PATH", help="An empty database, such as one of PostgreSQL.")
@click.pass_obj
def copy(open_application: OpenApplication, /, target: str, **options: Any) -> None:
    """
    Copy the whole database to another one, and compare every row.

    After an interruption, run the same command to continue. After a complete copy, it compares every row again.

    The target can be used once everything is copied and compared.
    """
    stderr = SafeConsole(stderr=True)
    with opened(open_application, options) as application, CopyBar(stderr) as bar:
        copied = application.copy(target, bar)
    if not any(table.new for table in copied):
        click.echo("Everything is already copied.")
    for table in copied:
        click.echo(f"{table.table}: {table.rows:,} rows are the same, {table.new:,} of them copied now")


@click.command(short_help="Take over a database of cowrieprocessor.")
@database_option
@lock_option
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@click.option(
    "--undo", is_flag=True, help="Restore the database as it was; facts that were written into its columns stay."
)
@click.option("--widen", is_flag=True, help="Also rewrite columns that are too narrow and hold values; it locks.")
@click.pass_obj
def adopt(open_application: OpenApplication, /, *, dry_run: bool, undo: bool, widen: bool, **options: Any) -> None:
    """
    Take over a database of cowrieprocessor (versions 15 to 17) as it is.

    Columns, tables, triggers and indexes are added; no row is written, and its own loader keeps working.
    """
    if undo and widen:
        raise click.UsageError("--undo cannot be combined with --widen")
    with opened(open_application, options) as application:
        adoption = application.adoption
        if undo:
            plan = adoption.plan_undo() if dry_run else adoption.undo()
        else:
            plan = adoption.plan(widen=widen) if dry_run else adoption.adopt(widen=widen)
    _show_plan(stdout(), plan, is_done=not dry_run)


def _show_plan(console: Console, plan: AdoptionPlan, *, is_done: bool) -> None:
    """Print what adopting a database does to it, or did."""
    console.print(f"Found: {plan.found}, {count_of(plan.sessions, 'session')}.")
    for step in plan.steps:
        size = f", over {step.bytes:,} bytes" if step.bytes else ""
        lock = "" if step.lock is Lock.NONE else f"; locks {step.lock.value}"
        console.print(f"  {step.table}: {step.what}{size}{lock}", soft_wrap=True)
    for note in plan.notes:
        console.print(f"Note: {note}.", soft_wrap=True)
    if not plan.steps:
        console.print("Nothing is left to do.")
    else:
        console.print("Done." if is_done else "Nothing was changed: this was a dry run.")
