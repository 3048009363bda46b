"""`snapshots abuse-report`: report attacks to the holder of a network."""

import re
from enum import Enum
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.options import database_option, one_of, opened
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.abuse_report import Reporter, is_login_attack, text_report, xarf_reports
from snapshots.app.queries.address_activity import by_address
from snapshots.app.queries.paging import ACTIVITY_PAGE, every_line
from snapshots.app.wording import count_of

_EMAIL = re.compile(r"[^\s@]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_ASN = re.compile(r"(?:AS)?([1-9][0-9]{0,9})", re.IGNORECASE)


class ReportForm(Enum):
    """The forms of a report."""

    TEXT = "text"
    XARF = "xarf"


@command(
    short_help="Report attacks to the holder of a network.",
    examples=[
        "snapshots abuse-report 4134 --since 7d",
        "snapshots abuse-report AS4134 --since 7d --format xarf --organization Example --contact abuse@example.com",
    ],
)
@click.argument("reported", metavar="ASN")
@one_of(
    "--format",
    "form",
    kinds=ReportForm,
    default=ReportForm.TEXT,
    section=Section.OUTPUT,
    help="Text for a mail, or X-ARF v4: one JSON document per address and line.",
)
@option("--organization", metavar="NAME", section=Section.OUTPUT, help="With xarf: name of the reporting organization.")
@option("--contact", metavar="EMAIL", section=Section.OUTPUT, help="With xarf: its email address.")
@filter_options
@database_option
@click.pass_obj
def abuse_report(
    open_application: OpenApplication,
    /,
    reported: str,
    form: str,
    *,
    organization: str | None,
    contact: str | None,
    **options: Any,
) -> None:
    """
    Report attacks to the holder of the network ASN at the time of the attacks.

    For each routable address: times, counts, what was tried, and whether the network was known at the time of the
    attack or inferred. Passwords of logins and the name of the honeypot are left out; commands are shown as typed,
    escaped and shortened.
    """
    asn = _ASN.fullmatch(reported)
    if asn is None:
        raise click.UsageError(f"{reported[:40]!r} is not an ASN (use a number such as 4134 or AS4134)")
    if options["asn"]:
        raise click.UsageError("--asn cannot be combined with the argument ASN")
    is_xarf = form == ReportForm.XARF.value
    reporter = _reporter(organization, contact, is_xarf=is_xarf)
    options["asn"] = (asn[1],)
    with opened(open_application, {"db": options.pop("db")}) as application:
        session_filter = filter_of(application, options)
        lines = every_line(application.session_queries, session_filter, page=ACTIVITY_PAGE, with_activity=True)
        every = list(by_address(lines).values())
        if not every:
            check_values(application, session_filter)
    found = [each for each in every if each.is_attack]
    if len(found) < len(every):
        only_connected = count_of(len(every) - len(found), "address", "addresses")
        click.echo(f"{only_connected} that only connected left out.", err=True)
    if not found:
        click.echo("No attacks from routable addresses match.", err=True)
    elif reporter is None:
        for line in text_report(int(asn[1]), found):
            click.echo(line)
    else:
        for line in xarf_reports(int(asn[1]), found, reporter):
            click.echo(line)
        if left_out := sum(not is_login_attack(each) for each in found):
            click.echo(
                f"{count_of(left_out, 'address', 'addresses')} without a login attempt or a source port left out.",
                err=True,
            )


def _reporter(organization: str | None, contact: str | None, *, is_xarf: bool) -> Reporter | None:
    """Return who reports in X-ARF; None for a text, which has no such fields."""
    if not is_xarf:
        if organization is not None or contact is not None:
            raise click.UsageError("--organization and --contact need --format xarf")
        return None
    if not organization or not contact:
        raise click.UsageError("--format xarf needs --organization and --contact")
    if len(organization) > 200 or not _EMAIL.fullmatch(contact):
        raise click.UsageError("--organization has at most 200 characters, and --contact is an email address")
    return Reporter(organization=organization, contact=contact)
