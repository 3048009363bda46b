"""The commands that create and change tables: migrate, indexes, copy and adopt."""

import sys
from typing import Any

import click
from rich.console import Console

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import database_option, lock_option, opened, stdout
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CopyBar
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.app.admin.adoption import AdoptionPlan, Lock
from snapshots.app.wording import count_of

MAX_PARTITIONS = 1024


@command(
    short_help="Create or upgrade the tables.",
    examples=[
        "snapshots migrate --dry-run",
        "snapshots migrate",
        "snapshots migrate --db postgresql://localhost/cowrie --partitions 32",
    ],
)
@option("--dry-run", is_flag=True, section=Section.GENERAL, help="List the steps that are pending, and change nothing.")
@option(
    "--to",
    default="head",
    show_default=True,
    metavar="VERSION",
    section=Section.GENERAL,
    help="Schema version; base drops all tables.",
)
@option(
    "--partitions",
    type=click.IntRange(2, MAX_PARTITIONS),
    metavar="N",
    section=Section.GENERAL,
    help="On a new PostgreSQL database: partition the table of sessions into N partitions.",
)
@option("--yes", is_flag=True, section=Section.GENERAL, help="Do not ask before --to base drops the tables.")
@database_option
@lock_option
@click.pass_obj
def migrate(
    open_application: OpenApplication, /, to: str, *, dry_run: bool, partitions: int | None, yes: bool, **options: Any
) -> None:
    """
    Upgrade the tables of the database to the schema version of this program. Rows are not lost.

    All steps are one transaction: after an interruption, the tables are as before, and the same command starts over.
    Other commands wait meanwhile. Make a backup first: an older program cannot use the upgraded tables.

    `load` creates the tables of a new database. A downgrade loses data that the older version cannot store. --to base
    drops every table: it shows how many sessions are lost and asks for confirmation, unless --yes is given.
    """
    if dry_run and (to != "head" or partitions is not None):
        raise click.UsageError("--dry-run lists the steps to the newest version: omit --to and --partitions")
    with opened(open_application, options) as application:
        if dry_run:
            _show_pending(application)
            return
        if to == "base" and not yes:
            _confirm_drop(application)
        before, after = application.migrate(to, partitions)
        if partitions is not None:
            click.echo(f"{application.shown_database}: the sessions are in {partitions} partitions.")
        elif before == after:
            click.echo(f"The tables of {application.shown_database} already have version {after or 'none'}.")
        else:
            click.echo(f"{application.shown_database}: from version {before or 'none'} to {after or 'none'}.")


def _show_pending(application: Application) -> None:
    """Print what `migrate` would do."""
    name, state = application.shown_database, application.schema_state()
    if state.version is None:
        click.echo(f"{name} has no tables yet; migrate would create them.")
        return
    if state.pending:
        sessions = count_of(state.sessions or 0, "session")
        click.echo(f"{name} ({sessions}): from version {state.version} to {state.pending[-1].version}.")
    else:
        click.echo(f"The tables of {name} already have version {state.version}.")
    for step in state.pending:
        click.echo(f"  {step.version}: {step.description}")
    for index in state.missing_indexes:
        click.echo(f"  build the index {index}")
    click.echo("Nothing was changed: this was a dry run.")


def _confirm_drop(application: Application) -> None:
    """Ask whether to drop the tables; exit if the answer is no, or if stdin is not a terminal."""
    state = application.schema_state()
    if state.version is None or state.is_adopted:  # the command refuses an adopted database
        return
    sentence = f"this drops all tables of {application.shown_database}, with {count_of(state.sessions or 0, 'session')}"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{sentence}; to do that, add --yes")
    if not click.confirm(f"{sentence[0].upper()}{sentence[1:]}. Continue?", err=True):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(ExitCode.FAILED)


@command(
    short_help="Build or drop the indexes of queries.",
    examples=["snapshots indexes", "snapshots indexes --drop"],
)
@option("--drop", is_flag=True, section=Section.GENERAL, help="Drop the indexes, for example before a large backfill.")
@database_option
@lock_option
@click.pass_obj
def indexes(open_application: OpenApplication, /, *, drop: bool, **options: Any) -> None:
    """
    Build the indexes that only queries need, without blocking writers.

    A new database has them. An adopted one does not, because a backfill is faster without them.
    """
    with opened(open_application, options) as application:
        names = application.drop_query_indexes() if drop else application.build_query_indexes()
    for name in names:
        click.echo(f"{name}: {'dropped' if drop else 'built'}")
    if not names:
        click.echo("No index to drop." if drop else "All indexes exist.")


@command(
    short_help="Copy everything to another database.",
    examples=["snapshots copy --db snapshots.db --to postgresql://localhost/cowrie"],
)
@option(
    "--to",
    "target",
    required=True,
    metavar="URL|PATH",
    section=Section.GENERAL,
    help="The target: an empty database, or the one of an interrupted copy.",
)
@database_option
@lock_option
@click.pass_obj
def copy(open_application: OpenApplication, /, target: str, **options: Any) -> None:
    """
    Copy the whole database to another one, and compare every row.

    After an interruption, run the same command again to continue. After a complete copy, it compares every row again.
    The target can be used when everything has been copied and compared.
    """
    stderr = SafeConsole(stderr=True)
    with opened(open_application, options) as application, CopyBar(stderr) as bar:
        copied = application.copy(target, bar)
    if not any(table.new for table in copied):
        click.echo("Everything is already copied.")
    for table in copied:
        click.echo(f"{table.table}: {table.rows:,} rows are equal, {table.new:,} of them copied now")


@command(
    short_help="Add snapshots to a cowrieprocessor database.",
    examples=[
        "snapshots adopt --db postgresql://localhost/cowrieprocessor --dry-run",
        "snapshots adopt --db postgresql://localhost/cowrieprocessor",
        "snapshots adopt --db postgresql://localhost/cowrieprocessor --undo",
    ],
)
@option("--dry-run", is_flag=True, section=Section.GENERAL, help="Report what would change, and change nothing.")
@option(
    "--undo",
    is_flag=True,
    section=Section.GENERAL,
    help="Remove everything that was added; facts written into existing columns stay.",
)
@option(
    "--widen",
    is_flag=True,
    section=Section.GENERAL,
    help="Also rewrite columns that are too narrow and have values; locks the table.",
)
@database_option
@lock_option
@click.pass_obj
def adopt(open_application: OpenApplication, /, *, dry_run: bool, undo: bool, widen: bool, **options: Any) -> None:
    """
    Prepare a database of cowrieprocessor (schema versions 15 to 17) for snapshots.

    Columns, tables, triggers and indexes are added; no row is written, and the loader of cowrieprocessor continues to
    work.
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
    """Print the steps of an adoption."""
    console.print(f"Found: {plan.found}, {count_of(plan.sessions, 'session')}.")
    for step in plan.steps:
        size = f", over {step.bytes:,} bytes" if step.bytes else ""
        lock = "" if step.lock is Lock.NONE else f"; locks {step.lock.value}"
        console.print(f"  {step.table}: {step.what}{size}{lock}", soft_wrap=True)
    for note in plan.notes:
        console.print(f"Note: {note}.", soft_wrap=True)
    if not plan.steps:
        console.print("Nothing to do.")
    else:
        console.print("Done." if is_done else "Nothing was changed: this was a dry run.")
