"""Find the date or the moment of a table in the name of its file."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from snapshots.app.errors import SettingRefused
from snapshots.domain.facts.build_moment import end_of_day

MOMENT = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_.T ]?([01]\d|2[0-3])[-_.:]?([0-5]\d)(?:[-_.:]?([0-5]\d))?(?:Z|([+-][01]\d):?([0-5]\d))?)?(?!\d)"
)
"""
A date such as 20261015, or a date and time such as 2026-10-15-12-02-00, 20261015T1202Z or 2026-10-15_12:02.

A time is in UTC, unless the difference to it follows, as in 2026-10-15T08.00.00-0500.
"""


MONTH = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])(?![-_.]?\d)")
FIRST_OF_MONTH = re.compile(r"dbip-", re.IGNORECASE)
"""Names of tables that are published on the first day of each month."""


def moment_of_table(path: Path, stated: datetime | None = None) -> datetime:
    """
    Return the moment of a table: that in its name, else the one that it states, else that in the name of its folder.

    Of several dates in a name, the last one counts. Without a time, the moment is the end of the day; without a day,
    the end of the month, or of the first day of the month for tables of DB-IP.

    Args:
        path: The file.
        stated: The moment that the table states, in UTC; None if it states none.

    Raises:
        SettingRefused: There is none, or it is invalid.
    """
    try:
        found = _moment_in(path.name) or stated or _moment_in(path.absolute().parent.name)
    except ValueError as exc:
        raise SettingRefused(f"the name of {path} contains an invalid date ({exc}): give --as-of YYYY-MM-DD") from exc
    if found is None:
        raise SettingRefused(
            f"the date of {path} is unknown: give --as-of YYYY-MM-DD, or put the date into the file's name"
        )
    return found


def _moment_in(name: str) -> datetime | None:
    """Return the last moment in a name; None if there is none. Raise ValueError if it is invalid."""
    if found := MOMENT.findall(name):
        year, month, day, *clock = found[-1]
        if not clock[0]:
            return end_of_day(date(int(year), int(month), int(day)))
        hour, minute, second, hours_ahead, minutes_ahead = (int(part or 0) for part in clock)
        ahead = timedelta(hours=hours_ahead, minutes=minutes_ahead if hours_ahead >= 0 else -minutes_ahead)
        return datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=UTC) - ahead
    if months := MONTH.findall(name):
        year, month = map(int, months[-1])
        return end_of_day(date(year, month, 1 if FIRST_OF_MONTH.match(name) else monthrange(year, month)[1]))
    return None


def name_without_moment(path: Path, stem: str) -> str:
    """
    Return the name of a table without its dates, so that the tables of a folder are builds of one source.

    Args:
        path: The file.
        stem: Its name without suffixes.

    Returns:
        The rest of the name; if the name is only a date, that of the nearest folder with another name; "" if all are.
    """
    for text in (stem, *(folder.name for folder in path.absolute().parents)):
        rest = re.sub(r"20\d\d[-_.]?(0[1-9]|1[0-2])$", "", MOMENT.sub("", text))
        if re.search("[A-Za-z]", rest):
            return rest
    return ""
