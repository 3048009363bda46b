"""The commands for a Spark cluster and its folders: fleet load, backfill and import."""

from collections.abc import Sequence
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, group, option
from snapshots.adapters.cli.completions import complete_files
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import database_option, facts_options, lock_option, opened, stdout
from snapshots.adapters.cli.output.text.load import show_load
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.load.cluster import FleetInput
from snapshots.app.ports.log_source import Layout, LineOptions
from snapshots.app.safe_text import one_line


@group(
    short_help="Load, backfill and import folders of Parquet files (Apache Spark).",
    examples=["snapshots fleet load --help", "snapshots fleet import --help"],
)
def fleet() -> None:
    """Load logs into a folder of Parquet files on an Apache Spark cluster: same rules, same rows as `load`."""


def cluster_options(function: Decorated) -> Decorated:
    """Add `--master`, `--conf` and `--facts-db`."""
    options = (
        option(
            "--conf",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            section=Section.GENERAL,
            help="A Spark setting, such as spark.executor.memory=4g. May be repeated.",
        ),
        option(
            "--facts-db",
            metavar="URL",
            section=Section.FACTS,
            help="Also use the facts that were imported into this database.",
        ),
        option(
            "--master",
            required=True,
            metavar="URL",
            section=Section.GENERAL,
            help="The cluster, such as local[4], spark://HOST:7077, yarn or k8s://https://HOST:443.",
        ),
    )
    for each in options:
        function = each(function)
    return function


def _without_events(function: Decorated) -> Decorated:
    """Refuse an option of former versions, with what to use instead."""

    def refuse(_context: click.Context, _parameter: click.Parameter, given: Any) -> None:
        if given:
            raise click.UsageError(
                "--store-events is an option of former versions: a folder holds no events; use `snapshots load"
                " --store-events`"
            )

    return click.option("--store-events", is_flag=True, hidden=True, expose_value=False, callback=refuse)(function)


@fleet.command(
    short_help="Load Cowrie logs into a folder.",
    examples=["snapshots fleet load --master local[4] --to /data/sessions /data/cowrie/log"],
)
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...", shell_complete=complete_files)
@option("--to", required=True, metavar="FOLDER", section=Section.GENERAL, help="Folder for the Parquet files.")
@cluster_options
@facts_options
@option(
    "--only",
    metavar="PATTERN",
    section=Section.FILTERS,
    help="Load only files with such names from folders.  [default: *.json*]",
)
@option(
    "--sensor",
    metavar="NAME",
    section=Section.GENERAL,
    help="Name of the honeypot; replaces the one in the logs.",
)
@option(
    "--keep-passwords",
    is_flag=True,
    section=Section.GENERAL,
    help="Store the texts of the passwords of new login attempts, not only their hashes.",
)
@_without_events
@click.pass_obj
def load(
    open_application: OpenApplication,
    /,
    paths: tuple[str, ...],
    *,
    to: str,
    master: str,
    facts_db: str | None,
    settings: Sequence[str],
    only: str | None,
    sensor: str | None,
    keep_passwords: bool,
    **options: Any,
) -> None:
    """
    Load Cowrie logs into a folder of Parquet files, and store a snapshot with every session.

    INPUTs are files, folders and patterns of any file system that Spark supports, plain, .gz or .bz2, with one event
    per line. Loading the same logs again changes nothing. `snapshots fleet import` copies the folder into a database.
    """
    line_options = LineOptions(sensor=sensor, keeps_passwords=keep_passwords, layout=Layout.LINES)
    with opened(open_application, options) as application:
        cluster = application.fleet(master, _named(settings))
        report = cluster.load(FleetInput(paths=paths, only=only, options=line_options), to, facts_db=facts_db)
    show_load(stdout(), report)


@fleet.command(
    short_help="Compute missing snapshots of a folder.",
    examples=["snapshots fleet backfill --master local[4] --at /data/sessions"],
)
@option("--at", required=True, metavar="FOLDER", section=Section.GENERAL, help="Folder that `fleet load` wrote.")
@cluster_options
@facts_options
@click.pass_obj
def backfill(
    open_application: OpenApplication,
    /,
    *,
    at: str,
    master: str,
    facts_db: str | None,
    settings: Sequence[str],
    **options: Any,
) -> None:
    """
    Compute the missing snapshots of the sessions in a folder.

    The folder is changed completely or not at all.
    """
    with opened(open_application, options) as application:
        counts = application.fleet(master, _named(settings)).backfill(at, facts_db=facts_db)
    for name, count in counts.items():
        click.echo(f"{name}: {count:,}")


@fleet.command(
    "import",
    short_help="Copy a folder into a database.",
    examples=["snapshots fleet import /data/sessions --db postgresql://localhost/cowrie"],
)
@click.argument("folder", shell_complete=complete_files)
@facts_options
@database_option
@lock_option
@click.pass_obj
def import_folder(open_application: OpenApplication, /, folder: str, **options: Any) -> None:
    """
    Copy the sessions and dead letters of a folder that `fleet load` wrote into a database.

    Snapshots stay as they are, and the database guards them from then on. Sessions that the database already holds are
    not changed, so an interrupted import is completed by repeating it. Use the same --mmdb files as for `fleet load`.
    Requires pyarrow, but not Spark.
    """
    with opened(open_application, options) as application:
        report = application.import_folder(folder)
    show_load(stdout(), report)
    for problem in report.problems:
        click.echo(f"Error: {one_line(problem)}", err=True)
    if report.problems:
        click.get_current_context().exit(ExitCode.FAILED)


def _named(settings: Sequence[str]) -> dict[str, str]:
    named = dict[str, str]()
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--conf")
        named[name] = value
    return named
