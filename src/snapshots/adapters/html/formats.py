"""Format numbers, times and texts of a page."""

from datetime import UTC, datetime, timedelta
from unicodedata import category

THIN_SPACE = "\u202f"
MINUS = "\u2212"
UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that are invisible or change the order of a text."""


def number(value: int | None) -> str:
    """Return a number with a thin space between groups of three digits; "-" for None."""
    return "-" if value is None else f"{value:,}".replace(",", THIN_SPACE)


def counted(value: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, such as "1 session" or "2 sessions"."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def signed(value: int) -> str:
    """Return a change with its sign; "±0" for none."""
    if value == 0:
        return "±0"
    return f"+{number(value)}" if value > 0 else f"{MINUS}{number(-value)}"


def first_upper(text: str) -> str:
    """Return text with its first letter as a capital, and the others unchanged."""
    return text[:1].upper() + text[1:]


def change_text(compared: tuple[int, int | None]) -> str:
    """Return the change of a number with its base, such as "+3 from 4"; "" if nothing is compared."""
    count, before = compared
    if before is None:
        return ""
    if not before:
        return "none before"
    return f"{signed(count - before)} from {number(before)}"


def share(part: int, whole: int) -> str:
    """
    Return *part* of *whole* in per cent: rounded, but 0 and 100 only where they are exact.

    Args:
        part: At least 0, at most *whole*.
        whole: If it is 0, the result is "-".
    """
    if not whole:
        return "-"
    exact = 100 * part / whole
    if 0 < exact < 1:
        return f"<{THIN_SPACE}1{THIN_SPACE}%"
    if 99 < exact < 100:
        return f">{THIN_SPACE}99{THIN_SPACE}%"
    return f"{exact:.0f}{THIN_SPACE}%"


def moment(value: datetime | None) -> str:
    """Return a time in UTC to the minute; "-" for None."""
    return "-" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"


def day(value: datetime) -> str:
    """Return a date in UTC, such as "5 Mar 2026"."""
    value = value.astimezone(UTC)
    return f"{value.day} {value:%b} {value.year:04}"


def duration(value: timedelta) -> str:
    """Return the length of a period in days, in hours below two days, or in minutes below two hours."""
    minutes = round(value / timedelta(minutes=1))
    if minutes < 120:
        return counted(minutes, "minute")
    hours = round(minutes / 60)
    return counted(hours, "hour") if hours < 48 else counted(round(hours / 24), "day")


def visible(text: str | None, longest: int) -> str:
    """Return *text* with invisible characters as escape sequences, cut to *longest* characters."""
    shown = "".join(f"\\u{ord(char):04x}" if category(char) in UNSAFE else char for char in (text or "")[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
