"""`snapshots query`: count or list sessions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from snapshots.adapters.cli.command import Section, command, option, renamed_option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, one_of, opened, stdout
from snapshots.adapters.cli.output.table import Form, print_rows
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.feeds.query_documents import (
    GROUP_KEYS,
    NETWORK_TIMES,
    GroupedSessions,
    NotCurrentCounts,
    grouped_sessions,
    keys_of,
    listed_sessions,
)
from snapshots.adapters.feeds.rows import Row
from snapshots.app.queries.inventory_reports import circular_text, expired_text, without_newer_table_text
from snapshots.app.queries.session_queries import SESSION_COLUMNS, Dimension, SessionFilter
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.app.wording import count_of
from snapshots.domain.session.logins import MOST_CREDENTIALS


@command(
    short_help="Count or list sessions.",
    examples=[
        "snapshots query --by asn --since 7d --change",
        "snapshots query --by day --by ip-type --country CN",
        "snapshots query --asn 4134 --by asn --network-at today",
        "snapshots query --hassh none --limit 100 --format csv",
    ],
)
@option(
    "--by",
    multiple=True,
    type=click.Choice(GROUP_KEYS),
    section=Section.GENERAL,
    help="Count sessions by this key; may be repeated. Without it, sessions are listed.",
)
@option(
    "--network-at",
    type=click.Choice(list(NETWORK_TIMES)),
    default="attack",
    show_default=True,
    section=Section.GENERAL,
    help="Show the network in the snapshot (attack), or in a newer table that is still current (today).",
)
@renamed_option("--as", "--network-at", parameter="network_at", values={"then": "attack", "now": "today"})
@option(
    "--top",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="With --by: number of groups.",
)
@option("--addresses", is_flag=True, section=Section.OUTPUT, help="With --by: also count the addresses.")
@option(
    "--change",
    is_flag=True,
    section=Section.OUTPUT,
    help="With --by and --since: compare with the previous period of the same length; the largest change first.",
)
@option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="Without --by: number of sessions.",
)
@option(
    "--after",
    default="",
    metavar="CURSOR",
    section=Section.OUTPUT,
    help="Without --by: continue after this cursor (`next` of the previous page).",
)
@option(
    "--full",
    is_flag=True,
    section=Section.OUTPUT,
    help="Print tables in full: whole hashes, times and texts, however wide the terminal is.",
)
@one_of("--format", "output", kinds=Form, default=Form.TABLE, section=Section.OUTPUT, help="Output format.")
@filter_options
@database_option
@click.pass_obj
def query(
    open_application: OpenApplication,
    /,
    by: tuple[str, ...],
    network_at: str,
    *,
    top: int,
    addresses: bool,
    change: bool,
    limit: int,
    after: str,
    output: str,
    full: bool,
    **options: Any,
) -> None:
    """
    Count sessions by network, country, type, time or behavior, or list them.

    Every filter may be repeated; its values are ORed, and "none" selects sessions without a value. Each has an inverse
    with --not-, such as --not-country. For example,
    `--hassh HASH --by asn` shows the networks that use one client, and `--asn N --by command` the commands from one
    network. Filters use the facts of the snapshots, even with --network-at today. With hour, day, week or
    month first, the newest groups come first. A session counts for each command, URL, user name and password that it
    has; --by login is short for --by user --by password.
    """
    if not by and (change or addresses):
        raise click.UsageError("--change and --addresses need --by")
    _refuse_without_effect(is_grouped=bool(by))
    with opened(open_application, {"db": options.pop("db")}) as application:
        session_filter = filter_of(application, options, network_time=NETWORK_TIMES[network_at])
        if change and session_filter.since is not None and session_filter.until is None:
            session_filter = replace(session_filter, until=application.now())
        if by:
            keys = [key for word in by for key in keys_of(word)]
            _count(application, session_filter, keys, top, addresses=addresses, change=change, output=output, full=full)
        else:
            _list(application, session_filter, limit, after, output=output, full=full)


def _refuse_without_effect(*, is_grouped: bool) -> None:
    """Refuse options that have an effect only with, or only without, --by."""
    context = click.get_current_context()
    only = ("limit", "after") if is_grouped else ("top",)
    for name in only:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} cannot be combined with --by" if is_grouped else f"--{name} needs --by")


def _list(
    application: Application, session_filter: SessionFilter, limit: int, after: str, *, output: str, full: bool
) -> None:
    found = listed_sessions(application.session_queries, session_filter, limit=limit, after=after)
    if not found.page.lines and not after:
        check_values(application, session_filter)
    is_table = output == Form.TABLE.value
    shown = [_short(row) for row in found.rows] if is_table else found.rows
    names = SHORT if is_table else SESSION_COLUMNS
    _print_not_current(found.not_current)
    print_rows(shown, Form(output), stdout(), names, found.about, full=full)
    if found.page.last and output in {Form.CSV.value, Form.NDJSON.value}:
        click.echo(f"More sessions follow; continue with --after '{found.page.last}'", err=True)


def _count(
    application: Application,
    session_filter: SessionFilter,
    keys: Sequence[Dimension | TimeBucket],
    top: int,
    *,
    addresses: bool,
    change: bool,
    output: str,
    full: bool,
) -> None:
    found = grouped_sessions(
        application.session_queries, session_filter, keys, top=top, addresses=addresses, change=change
    )
    if not found.groups:
        check_values(application, session_filter)
    is_table = output == Form.TABLE.value
    _print_not_current(found.not_current)
    _print_without_credentials(found)
    about = found.about_now if is_table else found.about
    print_rows(found.rows, Form(output), stdout(), found.columns, about, full=full)
    spread = found.spread
    if is_table and spread is not None and spread.total:
        counts = f"{count_of(spread.total, 'session')} in {count_of(spread.groups, 'group')}"
        stdout().print(f"{counts}; the largest has {spread.first_share:.1%}.")
    if len(found.groups) == top:
        count = application.session_queries.count_groups(session_filter, keys, with_before=change)
        if count > top:
            both = " of both periods" if change else ""
            click.echo(f"Showing {top:,} of {count_of(count, 'group')}{both}; --top N for more.", err=True)


def _print_not_current(found: NotCurrentCounts | None) -> None:
    """Print how many sessions have no current facts, for queries with --network-at today."""
    if found is None:
        return
    if found.without_newer:
        click.echo(without_newer_table_text(found.without_newer), err=True)
    if found.expired:
        click.echo(expired_text(found.expired), err=True)
    if found.circular:
        click.echo(circular_text(found.circular), err=True)


def _print_without_credentials(found: GroupedSessions) -> None:
    """Print how many login attempts are missing from the counts by user or password."""
    if found.attempts_without_credentials:
        with_password = Dimension.PASSWORD in found.keys
        click.echo(
            f"{count_of(found.attempts_without_credentials, 'login attempt')} without stored credentials: of each"
            f" session at most {MOST_CREDENTIALS:,} pairs of user name and password are stored, and an earlier version"
            f" stored only the first attempt{'; an attempt with a key has no password' if with_password else ''}",
            err=True,
        )


SHORT = (
    "session_id",
    "first_event_at",
    "source_ip",
    "asn",
    "organization",
    "country",
    "ip_type",
    "method",
    "gap",
    "user",
)


def _short(row: Row) -> Row:
    return {name: row[name] for name in SHORT}
