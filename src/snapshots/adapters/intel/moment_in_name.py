"""Find the date or the moment of a table in the name of its file."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

from snapshots.app.errors import SettingRefused
from snapshots.domain.facts.build_moment import end_of_day

MOMENT = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_.T ]?([01]\d|2[0-3])[-_.:]?([0-5]\d)(?:[-_.:]?([0-5]\d))?Z?)?(?!\d)"
)
"""A date such as 20261015, or a date and time such as 2026-10-15-12-02-00, 20261015T1202Z or 2026-10-15_12:02."""


def moment_in_name(path: Path) -> datetime:
    """
    Return the last date in the name of a file: with a time, the moment in UTC; else the end of the day.

    Raises:
        SettingRefused: There is none, or it is invalid.
    """
    found = MOMENT.findall(path.name)
    if not found:
        raise SettingRefused(
            f"the date of {path} is unknown: give --as-of YYYY-MM-DD, or put the date into the file's name"
        )
    year, month, day, *clock = found[-1]
    try:
        if not clock[0]:
            return end_of_day(date(int(year), int(month), int(day)))
        hour, minute, second = (int(part or 0) for part in clock)
        return datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=UTC)
    except ValueError as exc:
        raise SettingRefused(f"the name of {path} contains an invalid date ({exc}): give --as-of YYYY-MM-DD") from exc


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
