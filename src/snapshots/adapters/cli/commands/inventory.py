"""`snapshots inventory`: import, refresh, retract and show facts about addresses."""

import sys
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from snapshots.adapters.cli.command import Section, group, option
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
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.cli.output.text.explanation import facts_text
from snapshots.adapters.cli.output.text.inventory import (
    lookup_text,
    show_legend,
    show_sources,
    show_validity,
    unused_text,
)
from snapshots.adapters.cli.services import Application, OpenApplication, TableImported, TableOptions
from snapshots.adapters.feeds import inventory_documents
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.backfill.progress import NoProgress
from snapshots.app.errors import BuildRefused, ConfirmationNeeded, SettingRefused, SourceUnreadable, StoreUnavailable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.facts.build_moment import moment_in, moment_text
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.freshness import Freshness

MOST_EVALUATED = 20_000
"""Sessions that are evaluated after an import, in three seconds, to count those that it can improve."""


class BuildMoment(click.ParamType[datetime]):
    """The moment of a build: a date, or a date and time."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment in UTC."""
        try:
            return value if isinstance(value, datetime) else moment_in(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a date or a time (such as 2026-03-01 or 2026-03-01T12:02)", param, ctx)


@group(
    short_help="Import, refresh, retract and show facts about addresses.",
    examples=["snapshots inventory import GeoLite2-ASN.mmdb", "snapshots inventory status"],
)
def inventory() -> None:
    """Manage the observations: facts about addresses, each with its source and date."""


@inventory.command(
    "import",
    short_help="Import dated tables of facts.",
    examples=[
        "snapshots facts import GeoLite2-ASN.mmdb",
        "snapshots facts import asn.csv --name asn --as-of 2026-06-17",
        "snapshots facts import vpn.txt --name vpn-list --type VPN --as-of 2026-06-17",
    ],
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@option(
    "--as-of",
    type=BuildMoment(),
    metavar="WHEN",
    section=Section.GENERAL,
    help="Date of the table, or date and time in UTC, such as 2026-10-15T12:02. A date means the end of the day.",
)
@option(
    "--name",
    metavar="NAME",
    section=Section.GENERAL,
    help="Name of the source; tables with the same name are builds of one source.",
)
@option(
    "--type",
    "ip_type",
    type=click.Choice([t.value for t in IpType], case_sensitive=False),
    section=Section.GENERAL,
    help="IP type of all addresses, for a list that does not state types itself.",
)
@option(
    "--layout",
    metavar="LAYOUT",
    section=Section.GENERAL,
    help="Layout of the table, if it is not recognized, such as ranges (first,last,asn or first,last,country).",
)
@option(
    "--yes",
    is_flag=True,
    section=Section.GENERAL,
    help="Import a list that types an unusual share of all addresses, without asking.",
)
@option(
    "--force",
    is_flag=True,
    section=Section.GENERAL,
    help="Import a table that fails the checks: well-known addresses, its size, and the facts that it changes.",
)
@facts_options
@database_option
@lock_option
@click.pass_obj
def import_(
    open_application: OpenApplication,
    /,
    *,
    paths: tuple[Path, ...],
    as_of: datetime | None,
    name: str | None,
    ip_type: str | None,
    layout: str | None,
    yes: bool,
    force: bool,
    **options: Any,
) -> None:
    """
    Import tables, and look up every known address in each. New addresses are looked up when they are loaded.

    PATHS are tables, or folders of tables: MMDB files, CSV, TSV and JSON tables, lists of addresses, of the layouts in
    docs/reference/tables.md, also compressed or in an archive. Dates come from the file (MMDB), its name, or --as-of; a
    name may contain a time in UTC, such as 2026-10-15-12-02-00. Do not move the files: they are read again for new
    addresses. Of several tables, one that cannot be imported is reported, and the others are imported; the exit code is
    then 1. Links to folders are not followed.
    """
    wanted = TableOptions(
        name=name,
        as_of=as_of,
        ip_type=IpType(ip_type) if ip_type else None,
        layout=layout,
        is_forced=force,
        is_confirmed=yes,
    )
    has_failed, learned = False, 0
    with opened(open_application, options) as application:
        found = application.find_tables(paths)
        for path in found:
            try:
                done = _import_table(application, path, wanted)
            except (BuildRefused, SettingRefused, SourceUnreadable) as exc:
                if len(found) == 1 and path in paths:
                    raise
                click.echo(f"Error: {exc}", err=True)
                has_failed = True
                continue
            report_import(path, done)
            learned += done.lookups.learned
        if learned:
            _report_improvable(application)
    if has_failed:
        click.get_current_context().exit(ExitCode.FAILED)


def report_import(path: Path, done: TableImported) -> None:
    """Print the result of an import, and which rows are not used."""
    click.echo(f"{done.lookups.label}: {lookup_text(done.lookups)}")
    if done.lookups.overwritten:
        click.echo(
            f"Warning: {path} held {done.lookups.overwritten} before, in which new addresses can no longer be looked"
            " up; keep each table in a file of its own, with its date in the name",
            err=True,
        )
    if done.unused:
        click.echo(f"{path.name}: {unused_text(done.unused)}", err=True)


def _report_improvable(application: Application) -> None:
    """Print how many sealed sessions new facts could improve; of many sessions, only the command that counts them."""
    improvable = None
    if (application.schema_state().sessions or 0) <= MOST_EVALUATED:
        with suppress(StoreUnavailable):  # a loader may have no right to improve
            improvable = sum(application.improve.run(NoProgress(), is_dry_run=True).improved.values())
    if improvable is None:
        click.echo(
            "Sealed sessions are not changed; `snapshots backfill --improve --dry-run` counts what can be improved."
        )
    elif improvable:
        click.echo(f"{improvable:,} sealed sessions can be improved with these facts: `snapshots backfill --improve`.")


def _import_table(application: Application, path: Path, wanted: TableOptions) -> TableImported:
    """Import a table; if it needs a confirmation, ask for it on a terminal."""
    try:
        with CountBar(SafeConsole(stderr=True), f"{path.name}") as bar:
            return application.import_table(path, wanted, bar)
    except ConfirmationNeeded as exc:
        if not sys.stdin.isatty() or not click.confirm(f"{exc}. Import it?", err=True):
            raise
    with CountBar(SafeConsole(stderr=True), f"{path.name}") as bar:
        return application.import_table(path, replace(wanted, is_confirmed=True), bar)


@inventory.command(
    short_help="Look up addresses in newer builds.",
    examples=["snapshots inventory refresh", "snapshots inventory refresh --limit 10000"],
)
@option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    section=Section.GENERAL,
    help="Look up at most N addresses.",
)
@facts_options
@freshness_options
@database_option
@lock_option
@click.pass_obj
def refresh(open_application: OpenApplication, /, limit: int | None, **options: Any) -> None:
    """
    Look up the addresses that have not been looked up in every registered build.

    Order: first addresses that were never looked up, then those whose facts are no longer fresh, then all others; the
    most recent attackers first.
    """
    with opened(open_application, options) as application, CountBar(SafeConsole(stderr=True), "addresses") as bar:
        done = application.inventory_service.refresh(bar, limit=limit)
    click.echo(lookup_text(done).capitalize())


@inventory.command(
    short_help="Retract a wrong build.",
    examples=["snapshots facts sources", "snapshots facts retract vpn-list@2026-06-17"],
)
@click.argument("label", metavar="SOURCE@DATE")
@database_option
@lock_option
@click.pass_obj
def retract(open_application: OpenApplication, /, label: str, **options: Any) -> None:
    """
    Retract a build: it is no longer used for new snapshots.

    Sealed sessions are not changed.
    """
    with opened(open_application, options) as application:
        build, count = application.inventory_service.retract(label)
    if count is None:
        click.echo(f"{build.build.label} is already retracted.")
    else:
        click.echo(f"{build.build.label} is retracted; {count:,} observations started with it.")


@inventory.command(
    short_help="Show the freshness of facts.",
    examples=["snapshots facts status", "snapshots facts status --max-fresh-age 14"],
)
@freshness_options
@format_option
@database_option
@click.pass_obj
def status(open_application: OpenApplication, /, output: str, **options: Any) -> None:
    """Count the addresses by the freshness of their facts, and list the registered builds."""
    with opened(open_application, options) as application:
        now = application.now()
        found = application.inventory.status(now=now)
        validity = application.fact_validity.validity()
    if output == "json":
        document = inventory_documents.inventory_status_document(found)
        document["facts"] = inventory_documents.validity_documents(validity, now)
        click.echo(to_json(document))
        return
    click.echo(
        f"{found.addresses:,} addresses; {found.behind:,} have not been looked up in every build"
        " (`snapshots facts refresh`)."
    )
    click.echo("By the age of their facts today:")
    for state in Freshness:
        if found.by_freshness.get(state):
            click.echo(f"  {state.value}: {found.by_freshness[state]:,}")
    show_sources(stdout(), found.sources)
    show_legend(stdout())
    show_validity(stdout(), validity, now)


@inventory.command(
    short_help="Show the history of one address.",
    examples=["snapshots facts show 198.51.100.7"],
)
@click.argument("address")
@format_option
@database_option
@click.pass_obj
def show(open_application: OpenApplication, /, address: str, output: str, **options: Any) -> None:
    """Show all observations of ADDRESS, with source and dates."""
    try:
        text = IpAddress.parse(address).text
    except InvalidAddress as exc:
        raise click.UsageError(str(exc)) from exc
    with opened(open_application, options) as application:
        found = application.inventory.address(text)
        if found is None:
            raise click.ClickException(f"{application.shown_database} has no session from {text}")
    if output == "json":
        click.echo(to_json(inventory_documents.address_document(found)))
        return
    console = stdout()
    console.print(
        Text(f"{found.address}  AS{found.asn or '-'} ")
        + printable(found.organization or "")
        + Text(f"  {found.country or '-'}  {found.ip_type or '-'}")
    )
    console.print(f"{found.sessions:,} sessions, {found.first_seen:%Y-%m-%d %H:%M} to {found.last_seen:%Y-%m-%d %H:%M}")
    if found.has_type_of_network:
        console.print(f"  type by network (network-types): AS{found.asn} {found.ip_type}")
    for observation in found.history:
        until = (
            ""
            if observation.confirmed_until == observation.observed_at
            else f" to {moment_text(observation.confirmed_until)}"
        )
        since = moment_text(observation.observed_at)
        gone = " (retracted)" if (observation.source, observation.observed_at) in found.retracted else ""
        console.print(f"  {since}{until} {observation.source}: {facts_text(observation.facts)}{gone}")
