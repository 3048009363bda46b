"""`snapshots facts`: the facts about addresses, and the tables that they come from."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import click

from snapshots.adapters.cli.command import CommandPlace, LazyCommands, Section, group, option
from snapshots.adapters.cli.commands.inventory import import_, report_import, retract, show, status
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import database_option, facts_options, freshness_options, lock_option, opened
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.output.text.inventory import lookup_text
from snapshots.adapters.cli.services import Application, OpenApplication, TableOptions
from snapshots.app.errors import BuildRefused, ConfirmationNeeded, NothingToRead, SettingRefused, SourceUnreadable
from snapshots.domain.facts.ip_type import IpType

SYSTEM_FOLDERS = ("/var/lib/GeoIP", "/usr/share/GeoIP")
"""Where geoipupdate and packages of distributions put their tables."""


@group(
    short_help="Import, renew, retract and show facts about addresses.",
    commands=LazyCommands(
        {
            "drift": CommandPlace(
                "snapshots.adapters.cli.queries.drift", "drift", "Compare snapshots with the newest tables."
            ),
            "sources": CommandPlace(
                "snapshots.adapters.cli.queries.sources", "sources", "List the registered builds of all sources."
            ),
        }
    ),
    examples=[
        "snapshots facts status",
        "snapshots facts refresh",
        "snapshots facts import GeoLite2-ASN.mmdb",
    ],
)
def facts() -> None:
    """Manage the facts about addresses: dated tables, and what they state about each address."""


for each in (status, import_, retract, show):
    facts.add_command(each)


@facts.command(
    short_help="Renew tables, and look up addresses in them.",
    examples=[
        "snapshots facts refresh",
        "snapshots facts refresh --from TOR=https://check.torproject.org/torbulkexitlist",
        "SNAPSHOTS_TABLES='/srv/tables TOR=https://example.org/exits.txt' snapshots facts refresh",
    ],
)
@option(
    "--from",
    "locations",
    multiple=True,
    envvar="SNAPSHOTS_TABLES",
    metavar="[TYPE=]LOCATION",
    section=Section.GENERAL,
    help="A URL, a file or a folder of tables; with the IP type of a list that does not state it.  [env var:"
    " SNAPSHOTS_TABLES]",
)
@option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SNAPSHOTS_TABLE_STORE",
    metavar="FOLDER",
    section=Section.GENERAL,
    help="Folder for downloaded tables.  [env var: SNAPSHOTS_TABLE_STORE; default: the data folder of the user]",
)
@option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    section=Section.GENERAL,
    help="Look up at most N addresses that lack a registered build.",
)
@facts_options
@freshness_options
@database_option
@lock_option
@click.pass_obj
def refresh(
    open_application: OpenApplication,
    /,
    *,
    locations: tuple[str, ...],
    store: Path | None,
    limit: int | None,
    **options: Any,
) -> None:
    """
    Renew what can be renewed without an account, then look up the addresses that lack a build.

    New tables are imported from /var/lib/GeoIP, /usr/share/GeoIP and every --from. A URL is downloaded into --store,
    each build into a file of its own; it is used only after it passed the checks of an import, and until then the
    previous one stays in use. With the extra types, the types that networks state are written into --store once, as a
    table for --network-types. Replaced GeoLite2 files are deleted after 30 days, as their license asks; the facts that
    were learned from them are kept. A location that cannot be read is reported, and the others are imported; the exit
    code is then 1.
    """
    wanted = [_location(text) for text in locations]
    there = [folder for folder in SYSTEM_FOLDERS if Path(folder).is_dir()]
    wanted += [(None, folder) for folder in there]
    missing = ", ".join(folder for folder in SYSTEM_FOLDERS if folder not in there)
    if missing:
        click.echo(f"{missing}: not found")
    if not wanted:
        click.echo("No other place for new tables is named: use --from or SNAPSHOTS_TABLES.")
    with opened(open_application, options) as application:
        problems = list(_build_network_types(application, store, options["network_types"]))
        problems += [
            problem
            for ip_type, location in wanted
            for problem in _renew(application, location, TableOptions(ip_type=ip_type), store)
        ]
        with CountBar(SafeConsole(stderr=True), "addresses") as bar:
            done = application.inventory_service.refresh(bar, limit=limit)
        application.delete_expired_tables(store)
        expired = application.fact_validity.expired(application.now())
    click.echo(lookup_text(done).capitalize())
    for text in expired:
        click.echo(text)
    if problems:
        click.get_current_context().exit(ExitCode.FAILED)


def _build_network_types(application: Application, store: Path | None, used: Collection[Path]) -> Iterator[str]:
    """Write the table of stated types if the extra is installed; print how it is used, and yield what failed."""
    try:
        path = application.write_stated_types(store)
    except SourceUnreadable as exc:
        click.echo(f"Error: {exc}", err=True)
        yield "network types"
        return
    if path is not None and path.absolute() not in {each.absolute() for each in used}:
        click.echo(f"wrote {path}; to use it, set SNAPSHOTS_NETWORK_TYPES={quote(str(path))}")


def _location(text: str) -> tuple[IpType | None, str]:
    """Return the type and the location in `TYPE=LOCATION` or `LOCATION`."""
    word, equals, location = text.partition("=")
    ip_type = IpType.named(word) if equals else None
    return (ip_type, location) if ip_type is not None else (None, text)


def _renew(application: Application, location: str, options: TableOptions, store: Path | None) -> Iterator[str]:
    """Import the tables of a location that are new; print the result of each, and yield what failed."""
    try:
        paths: Sequence[Path] = application.tables_at(location, store)
    except (NothingToRead, SourceUnreadable) as exc:
        if location in SYSTEM_FOLDERS and isinstance(exc, NothingToRead):
            paths = []  # its package is installed, and nothing was downloaded yet
        else:
            click.echo(f"Error: {exc}", err=True)
            yield location
            return
    if not paths:
        click.echo(f"{location}: no new table.")
    for path in paths:
        try:
            with CountBar(SafeConsole(stderr=True), path.name) as bar:
                done = application.import_table(path, options, bar)
        except (BuildRefused, ConfirmationNeeded, SettingRefused, SourceUnreadable) as exc:
            click.echo(f"Error: {exc}", err=True)
            yield str(path)
            continue
        report_import(path, done)
