"""`snapshots inventory`: import, refresh, retract and show facts about addresses."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    facts_options,
    format_option,
    freshness_options,
    lock_option,
    opened,
    stdout,
)
from snapshots.adapters.cli.output import json_documents
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.output.text.explanation import facts_text
from snapshots.adapters.cli.output.text.inventory import lookup_text, show_sources
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.errors import SettingRefused, SourceUnreadable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.freshness import Freshness


@click.group(short_help="What is known of addresses: import, refresh, retract, status, show.")
def inventory() -> None:
    """Keep and show what sources said of the addresses, and when."""


@inventory.command("import", short_help="Import dated tables of facts.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@database_option
@lock_option
@facts_options
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The date of the table.")
@click.option("--name", help="The name of the source; tables of one name are builds of one source.")
@click.option(
    "--type",
    "ip_type",
    type=click.Choice([t.value for t in IpType], case_sensitive=False),
    help="The file lists addresses of this type.",
)
@click.pass_obj
def import_(
    open_application: OpenApplication,
    /,
    paths: tuple[Path, ...],
    as_of: datetime | None,
    name: str | None,
    ip_type: str | None,
    **options: Any,
) -> None:
    """
    Import tables, and look every address up in each; addresses that come later are looked up as they come.

    PATHS are MMDB files, CSV tables (first,last,asn,organization or first,last,country), lists of addresses of
    one --type, or folders of such files. Dates come from the file (MMDB), its name, or --as-of. Keep the files
    where they are: they are read again for new addresses. A file in a folder that cannot be imported is reported, and
    the others are imported; the exit code is then 1. Links to folders are not followed.
    """
    has_failed = False
    with opened(open_application, options) as application:
        for path in application.find_tables(paths):
            try:
                with CountBar(SafeConsole(stderr=True), f"{path.name}") as told:
                    label, unread, done = application.import_table(
                        path, name, as_of.replace(tzinfo=UTC) if as_of else None, ip_type, told
                    )
            except (SettingRefused, SourceUnreadable) as exc:
                if path in paths:
                    raise
                click.echo(f"Error: {exc}", err=True)
                has_failed = True
                continue
            click.echo(f"{label}: {lookup_text(done)}")
            if unread:
                click.echo(f"Warning: {unread:,} lines of {path} could not be read and were passed over", err=True)
    if has_failed:
        click.get_current_context().exit(ExitCode.FAILED)


@inventory.command(short_help="Look up what lacks a registered build.")
@database_option
@lock_option
@facts_options
@freshness_options
@click.option("--limit", type=click.IntRange(1), help="Look up at most this many addresses.")
@click.pass_obj
def refresh(open_application: OpenApplication, /, limit: int | None, **options: Any) -> None:
    """
    Look up addresses that were never looked up, then those that lack a newer build.

    Addresses whose facts are not fresh any more come first among them, and the newest attackers first of all.
    """
    with opened(open_application, options) as application, CountBar(SafeConsole(stderr=True), "addresses") as told:
        done = application.inventory_service.refresh(told, limit=limit)
    click.echo(lookup_text(done).capitalize())


@inventory.command(short_help="Withdraw a wrong build.")
@click.argument("label", metavar="SOURCE@YYYY-MM-DD")
@database_option
@lock_option
@click.pass_obj
def retract(open_application: OpenApplication, /, label: str, **options: Any) -> None:
    """
    Withdraw a build, as if it had never been made.

    Sealed sessions keep their snapshots; new ones are judged without it.
    """
    with opened(open_application, options) as application:
        build, count = application.inventory_service.retract(label)
    click.echo(f"{build.build.label} is retracted; {count:,} observations began with it.")


@inventory.command(short_help="Show how fresh what is known is.")
@database_option
@format_option
@freshness_options
@click.pass_obj
def status(open_application: OpenApplication, /, output: str, **options: Any) -> None:
    """Show how many addresses are known how well today, and the builds that say so."""
    with opened(open_application, options) as application:
        found = application.inventory.status(now=application.now())
    if output == "json":
        click.echo(json_documents.to_json(json_documents.inventory_status_document(found)))
        return
    click.echo(f"{found.addresses:,} addresses; {found.behind:,} lack a registered build (`inventory refresh`).")
    for state in Freshness:
        if found.by_freshness.get(state):
            click.echo(f"  {state.value}: {found.by_freshness[state]:,}")
    show_sources(stdout(), found.sources)


@inventory.command(short_help="Show the history of one address.")
@click.argument("address")
@database_option
@format_option
@click.pass_obj
def show(open_application: OpenApplication, /, address: str, output: str, **options: Any) -> None:
    """Show everything that sources said of ADDRESS, and when."""
    try:
        text = IpAddress.parse(address).text
    except InvalidAddress as exc:
        raise click.UsageError(str(exc)) from exc
    with opened(open_application, options) as application:
        found = application.inventory.address(text)
        if found is None:
            raise click.ClickException(f"{text} was never seen in {application.shown_database}")
    if output == "json":
        click.echo(json_documents.to_json(json_documents.address_document(found)))
        return
    console = stdout()
    console.print(
        Text(f"{found.address}  AS{found.asn or '-'} ")
        + printable(found.organization or "")
        + Text(f"  {found.country or '-'}  {found.ip_type or '-'}")
    )
    console.print(f"{found.sessions:,} sessions, {found.first_seen:%Y-%m-%d %H:%M} to {found.last_seen:%Y-%m-%d %H:%M}")
    for said in found.history:
        until = "" if said.confirmed_until == said.observed_at else f" to {said.confirmed_until:%Y-%m-%d}"
        gone = " (retracted)" if (said.source, said.observed_at) in found.retracted else ""
        console.print(f"  {said.observed_at:%Y-%m-%d}{until} {said.source}: {facts_text(said.facts)}{gone}")
