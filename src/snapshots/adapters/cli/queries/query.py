"""`snapshots query`: count or list sessions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from snapshots.adapters.cli.command import Section, command, option, renamed_option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, one_of, opened, stdout
from snapshots.adapters.cli.output.table import Form, Row, print_rows, session_columns
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.app.queries.inventory_reports import circular_text, expired_text, without_newer_table_text
from snapshots.app.queries.session_queries import SESSION_COLUMNS, Dimension, Group, NetworkTime, SessionFilter
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.app.wording import count_of
from snapshots.domain.session.concentration import Concentration
from snapshots.domain.session.logins import MOST_CREDENTIALS

LOGIN = "login"
"""Short for user and password."""

NETWORK_TIMES = {"attack": NetworkTime.THEN, "today": NetworkTime.NOW}


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
    type=click.Choice([*(each.value for each in (*Dimension, *TimeBucket)), LOGIN]),
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
            keys = [key for word in by for key in _keys(word)]
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
    page = application.session_queries.lines(session_filter, limit=limit, after=after)
    if not page.lines and not after:
        check_values(application, session_filter)
    lines = [session_columns(line) for line in page.lines]
    is_table = output == Form.TABLE.value
    shown = [_short(line) for line in lines] if is_table else lines
    names = SHORT if is_table else SESSION_COLUMNS
    about = {"next": page.last} | _not_current(application, session_filter, ())
    print_rows(shown, Form(output), stdout(), names, about, full=full)
    if page.last and output in {Form.CSV.value, Form.NDJSON.value}:
        click.echo(f"More sessions follow; continue with --after '{page.last}'", err=True)


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
    groups = application.session_queries.groups(
        session_filter, keys, top=top, with_addresses=addresses, with_before=change
    )
    if not groups:
        check_values(application, session_filter)
    spread = _spread(application, session_filter, keys)
    total = spread.total if spread is not None else None
    is_split = session_filter.splits_by_method(keys)
    rows = [_group_row(group, keys, total, is_split=is_split) for group in groups]
    like = Group(
        values=(None,) * len(keys),
        sessions=0,
        attempts=0 if _is_of_logins(keys) and not _has_texts(keys) else None,
        before=0 if change else None,
        addresses=0 if addresses else None,
    )
    columns = list(_group_row(like, keys, total, is_split=is_split))
    is_table = output == Form.TABLE.value
    about = ({} if is_table else _spread_row(spread)) | _not_current(application, session_filter, keys)
    missing = _without_credentials(application, session_filter, keys)
    about |= {} if is_table else missing
    print_rows(rows, Form(output), stdout(), columns, about, full=full)
    if is_table and spread is not None and spread.total:
        counts = f"{count_of(spread.total, 'session')} in {count_of(spread.groups, 'group')}"
        stdout().print(f"{counts}; the largest has {spread.first_share:.1%}.")
    if len(groups) == top:
        count = application.session_queries.count_groups(session_filter, keys, with_before=change)
        if count > top:
            both = " of both periods" if change else ""
            click.echo(f"Showing {top:,} of {count_of(count, 'group')}{both}; --top N for more.", err=True)


def _not_current(
    application: Application, session_filter: SessionFilter, keys: Sequence[Dimension | TimeBucket]
) -> dict[str, Any]:
    """Return and print how many sessions have no current facts, for queries with --network-at today."""
    if session_filter.network_time is not NetworkTime.NOW:
        return {}
    count = application.session_queries.count_not_current(session_filter, keys)
    if count.without_newer:
        click.echo(without_newer_table_text(count.without_newer), err=True)
    if count.expired:
        click.echo(expired_text(count.expired), err=True)
    if circular := application.session_queries.count_circular(session_filter, keys):
        click.echo(circular_text(circular), err=True)
    return {"without_newer_table": count.without_newer, "expired": count.expired, "same_table": circular}


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


def _is_of_logins(keys: Sequence[Dimension | TimeBucket]) -> bool:
    return not {Dimension.USER, Dimension.PASSWORD}.isdisjoint(keys)


def _has_texts(keys: Sequence[Dimension | TimeBucket]) -> bool:
    return any(isinstance(key, Dimension) and key.has_texts for key in keys)


def _without_credentials(
    application: Application, session_filter: SessionFilter, keys: Sequence[Dimension | TimeBucket]
) -> dict[str, Any]:
    """Return and print how many login attempts are missing from the counts by user or password."""
    if not _is_of_logins(keys):
        return {}
    with_password = Dimension.PASSWORD in keys
    count = application.session_queries.attempts_without_credentials(session_filter, with_password=with_password)
    if count:
        click.echo(
            f"{count_of(count, 'login attempt')} without stored credentials: of each session at most"
            f" {MOST_CREDENTIALS:,} pairs of user name and password are stored, and an earlier version stored only the"
            f" first attempt{'; an attempt with a key has no password' if with_password else ''}",
            err=True,
        )
    return {"attempts_without_credentials": count}


def _keys(word: str) -> Sequence[Dimension | TimeBucket]:
    return (Dimension.USER, Dimension.PASSWORD) if word == LOGIN else (_key(word),)


def _key(word: str) -> Dimension | TimeBucket:
    if word in {span.value for span in TimeBucket}:
        return TimeBucket(word)
    return Dimension.ASN if word == Dimension.NETWORK.value else Dimension(word)


def _spread(
    application: Application, session_filter: SessionFilter, keys: Sequence[Dimension | TimeBucket]
) -> Concentration | None:
    """Return how concentrated the sessions are on few values of one key; None for times and for repeated keys."""
    (first, *more) = keys
    if more or isinstance(first, TimeBucket) or first.is_repeated:
        return None
    return application.session_queries.concentration(session_filter, first)


def _spread_row(found: Concentration | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "sessions": found.total,
        "groups": found.groups,
        "share_of_the_first": found.first_share,
        "entropy_bits": found.entropy,
    }


def _group_row(
    group: Group, keys: Sequence[Dimension | TimeBucket], total: int | None, *, is_split: bool
) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip((key.value.replace("-", "_") for key in keys), group.values, strict=True))
    if Dimension.ASN in keys:
        row |= {"asn": int(row["asn"]) if row["asn"] is not None else None, "organization": group.name}
    if Dimension.PASSWORD in keys:
        row |= {"text": group.password}
    row |= {"sessions": group.sessions}
    if group.attempts is not None:
        row |= {"attempts": group.attempts}
    if is_split:
        row |= {"asof": group.asof, "inferred": group.inferred}
    if group.before is not None:
        row |= {"before": group.before, "change": group.sessions - group.before}
    elif total:
        row |= {"share": group.sessions / total}
    if group.addresses is not None:
        row |= {"addresses": group.addresses}
    return row | {"first_seen": group.first_seen, "last_seen": group.last_seen}
