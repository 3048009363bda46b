"""Write the CSV file that AbuseIPDB takes for bulk reports: https://www.abuseipdb.com/bulk-report."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, TextIO

from snapshots.adapters.feeds.export_format import Export, Format, text_stream
from snapshots.app.queries.address_activity import AddressActivity, by_address_and_day
from snapshots.app.wording import count_of

HEADER = ("IP", "Categories", "ReportDate", "Comment")
MAX_LINES = 10_000
"""Reports in one file."""

MAX_AGE = timedelta(days=60)
"""Reports of older attacks are against the reporting policy."""

MAX_COMMENT_BYTES = 1024

HACKING, BRUTE_FORCE, SSH, IOT_TARGETED = 15, 18, 22, 23
"""https://www.abuseipdb.com/categories"""

PROTOCOL_CATEGORIES = {"ssh": SSH, "telnet": IOT_TARGETED}

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(slots=True)
class Reported:
    """
    Result of writing reports.

    Attributes:
        count: Number of reports.
        old: Those of attacks that are too old for the reporting policy.
    """

    count: int = 0
    old: int = 0


def write_reports(found: Iterable[AddressActivity], to: TextIO, now: datetime) -> Reported:
    """Write a report for each address that did more than connect."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(HEADER)
    reported = Reported()
    for each in found:
        if not each.is_attack:
            continue
        at = each.last_at.isoformat(timespec="seconds")
        writer.writerow((each.address.text, ",".join(map(str, categories(each))), at, comment(each)))
        reported.count += 1
        reported.old += each.last_at < now - MAX_AGE
    return reported


def categories(each: AddressActivity) -> list[int]:
    """Return the categories of what was done, in order."""
    found = {PROTOCOL_CATEGORIES[protocol] for protocol in each.protocols if protocol in PROTOCOL_CATEGORIES}
    if each.logins:
        found.add(BRUTE_FORCE)
    if each.commands or each.downloads:
        found.add(HACKING)
    return sorted(found)


def comment(each: AddressActivity) -> str:
    """
    Return what was done: counts, times and hashes.

    It has no text that the attacker chose, which could hold passwords, personal data or the address of the honeypot.
    """
    protocols = "/".join(sorted(protocol.upper() for protocol in each.protocols if protocol in PROTOCOL_CATEGORIES))
    parts = [count_of(each.logins, "login attempt")]
    if each.successes:
        parts.append(f"{count_of(each.successes, 'session')} with a successful login")
    if each.commands:
        parts.append(count_of(each.commands, "command"))
    if each.downloads:
        parts.append(count_of(each.downloads, "file"))
    text = (
        f"{protocols or 'Login'} honeypot: {', '.join(parts)} in {count_of(each.sessions, 'session')} "
        f"from {each.first_at:%Y-%m-%d %H:%M:%S} to {each.last_at:%Y-%m-%d %H:%M:%S} UTC."
    )
    hashes = [digest for digest in each.file_hashes if _SHA256.fullmatch(digest)]
    return f"{text} SHA-256: {', '.join(hashes)}." if hashes else text


def _write(export: Export, to: BinaryIO) -> Sequence[str]:
    with text_stream(to) as text:
        reported = write_reports(by_address_and_day(export.sessions()), text, export.now)
    warnings = []
    if reported.count > MAX_LINES:
        warnings.append(
            f"Warning: AbuseIPDB takes {MAX_LINES:,} reports in one file: split it, or export a shorter period"
        )
    if reported.old:
        warnings.append(
            f"Warning: {count_of(reported.old, 'attack')} more than {MAX_AGE.days} days ago,"
            f" which AbuseIPDB does not take: use --since {MAX_AGE.days}d"
        )
    return [*warnings, f"{count_of(reported.count, 'report')} written."]


FORMAT = Format(
    name="abuseipdb",
    summary="Bulk reports to AbuseIPDB, one for each address and day.",
    url="https://www.abuseipdb.com/bulk-report",
    write=_write,
    is_public=True,
)
