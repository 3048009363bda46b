"""`snapshots correct`: correct a sealed session, with an audit row."""

from typing import Any

import click
from rich.console import Console

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import (
    database_option,
    lock_option,
    opened,
    stdout,
    valid_text,
)
from snapshots.adapters.cli.services import OpenApplication
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.snapshot import IpSnapshot


@command(
    short_help="Correct a sealed session, with an audit row.",
    examples=[
        "snapshots correct 0a1b2c3d4e5f --reason 'wrong table' --asn 64500 --ip-type TOR",
        "snapshots correct --sentinels --dry-run --reason 'unknown values of another loader'",
    ],
)
@click.argument("session", required=False)
@option(
    "--sentinels",
    is_flag=True,
    section=Section.GENERAL,
    help="Remove the placeholders XX and AS0 that another loader wrote for unknown facts.",
)
@option(
    "--dry-run",
    is_flag=True,
    section=Section.GENERAL,
    help="With --sentinels: report how many sessions would be corrected, and write nothing.",
)
@option("--reason", required=True, metavar="TEXT", section=Section.GENERAL, help="Stored with the correction.")
@option("--asn", type=int, metavar="N", section=Section.FACTS, help="The correct ASN.")
@option("--country", metavar="CC", section=Section.FACTS, help="The correct country code, such as DE.")
@option(
    "--ip-type",
    type=click.Choice([t.value for t in IpType], case_sensitive=False),
    section=Section.FACTS,
    help="The correct IP type.",
)
@database_option
@lock_option
@click.pass_obj
def correct(
    open_application: OpenApplication,
    /,
    session: str | None,
    *,
    sentinels: bool,
    dry_run: bool,
    reason: str,
    asn: int | None,
    country: str | None,
    ip_type: str | None,
    **options: Any,
) -> None:
    """
    Correct facts of a sealed SESSION; the audit table stores the old and the new ones.

    Facts without an option stay as they are. Repeating a correction has no effect.
    """
    if sentinels == (session is not None) or (dry_run and not sentinels):
        raise click.UsageError("name either a SESSION or --sentinels; --dry-run needs --sentinels")
    if session is None:
        with opened(open_application, options) as application:
            count = application.changes.take_out_sentinels(reason=reason, dry_run=dry_run)
        change = "have a placeholder" if dry_run else "had a placeholder, which was removed"
        click.echo(f"{count:,} sessions {change}.")
        return
    with opened(open_application, options) as application:
        before, after = application.changes.correct(
            valid_text(session), reason=reason, asn=asn, country=country, ip_type=IpType(ip_type) if ip_type else None
        )
    if before == after:
        click.echo(f"{session} already has this correction; nothing was changed.")
        return
    _show_correction(stdout(), before, after)


def _show_correction(console: Console, before: IpSnapshot | None, after: IpSnapshot) -> None:
    """Print what a correction changed."""
    for (name, was), (_, now) in zip(_named_facts(before), _named_facts(after), strict=True):
        if was != now:
            console.print(f"{name}: {was or 'not known'} -> {now}")
    console.print(f"source: {before.source if before else 'another loader'} -> {after.source}")


def _named_facts(snapshot: IpSnapshot | None) -> list[tuple[str, int | str | None]]:
    if snapshot is None:
        return [("ASN", None), ("country", None), ("IP type", None)]
    ip_type = snapshot.ip_type.value if snapshot.ip_type else None
    return [("ASN", snapshot.asn), ("country", snapshot.country), ("IP type", ip_type)]
