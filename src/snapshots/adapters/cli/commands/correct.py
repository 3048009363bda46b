"""`snapshots correct`: correct a sealed session, with an audit row."""

from typing import Any

import click
from rich.console import Console

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


@click.command(short_help="Correct a sealed session, with an audit row.")
@click.argument("session", required=False)
@database_option
@lock_option
@click.option("--sentinels", is_flag=True, help="Take out the XX and AS0 that another loader wrote for unknown facts.")
@click.option("--dry-run", is_flag=True, help="With --sentinels: only say how many sessions it would correct.")
@click.option("--reason", required=True, help="Why; it is kept with the correction.")
@click.option("--asn", type=int, help="The right ASN.")
@click.option("--country", help="The right country, such as DE.")
@click.option("--ip-type", type=click.Choice([t.value for t in IpType], case_sensitive=False), help="The right type.")
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
    """Correct facts of a sealed SESSION through the audit, which keeps what they were."""
    if sentinels == (session is not None) or (dry_run and not sentinels):
        raise click.UsageError("name either a SESSION or --sentinels; --dry-run needs --sentinels")
    if session is None:
        with opened(open_application, options) as application:
            count = application.changes.take_out_sentinels(reason=reason, dry_run=dry_run)
        said = "hold a code for nowhere" if dry_run else "held a code for nowhere, which was taken out"
        click.echo(f"{count:,} sessions {said}.")
        return
    with opened(open_application, options) as application:
        before, after = application.changes.correct(
            valid_text(session), reason=reason, asn=asn, country=country, ip_type=IpType(ip_type) if ip_type else None
        )
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
