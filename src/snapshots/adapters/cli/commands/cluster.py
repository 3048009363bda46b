"""The commands that work on a cluster."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from snapshots.adapters.cli.options import facts_options, opened, stdout
from snapshots.adapters.cli.output.text.load import show_load
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.load.cluster import FleetInput
from snapshots.app.ports.log_source import Layout, LineOptions

Command = Callable[..., Any]


@click.group(short_help="The same on a cluster of Spark: load, backfill.")
def fleet() -> None:
    """Load and backfill on a cluster of Apache Spark, by the same rules and with the same rows."""


def cluster_options(command: Command) -> Command:
    """Add what says where the work is done."""
    for option in (
        click.option(
            "--conf",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="A setting of Spark, such as spark.executor.memory=4g. May be repeated.",
        ),
        click.option(
            "--facts-db",
            metavar="URL",
            help="With a folder: also believe the tables that were imported into this database.",
        ),
        click.option(
            "--master",
            required=True,
            metavar="URL",
            help="The cluster, such as local[4], spark://HOST:7077, yarn or k8s://https://HOST:443.",
        ),
    ):
        command = option(command)
    return command


@fleet.command(short_help="Load Cowrie logs.")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...")
@click.option("--to", required=True, metavar="URL|FOLDER", help="A PostgreSQL database, or a folder of Parquet files.")
@cluster_options
@facts_options
@click.option("--only", metavar="PATTERN", help="Of folders only files of such names; else *.json*.")
@click.option("--sensor", help="The honeypot's name, in place of what the logs say.")
@click.option("--keep-passwords", is_flag=True, help="Keep the password tried first beside its hash.")
@click.option("--store-events", is_flag=True, help="With a database: keep every new event as it was logged.")
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
    store_events: bool,
    **options: Any,
) -> None:
    """
    Load Cowrie logs, and give every session its snapshot.

    INPUTs are files, folders and patterns of any file system that Spark knows, plain, .gz or .bz2, one event in each
    line. The same again changes nothing.
    """
    reading = LineOptions(sensor=sensor, keeps_passwords=keep_passwords, keeps_lines=store_events, layout=Layout.LINES)
    with opened(open_application, options) as application:
        cluster = application.fleet(master, _named(settings))
        report = cluster.load(FleetInput(paths=paths, only=only, options=reading), to, facts_db=facts_db)
    show_load(stdout(), report)


@fleet.command(short_help="Give stored sessions the snapshot that they lack.")
@click.option("--at", required=True, metavar="URL|FOLDER", help="A PostgreSQL database, or a folder of Parquet files.")
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
    Give stored sessions the snapshot that they lack.

    In a database this is one run, as `snapshots backfill` makes it: interrupted, `snapshots backfill --resume` goes on,
    and `undo` takes it back. A folder changes whole or not at all.
    """
    with opened(open_application, options) as application:
        counts = application.fleet(master, _named(settings)).backfill(at, facts_db=facts_db)
    for name, count in counts.items():
        click.echo(f"{name}: {count:,}")


def _named(settings: Sequence[str]) -> dict[str, str]:
    named = dict[str, str]()
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--conf")
        named[name] = value
    return named
