"""Parse the timestamps of Cowrie releases and log shippers."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from snapshots.domain.session.event_record import text_of_time

MILLISECONDS_FROM = 100_000_000_000
"""Numbers from here on are milliseconds: as seconds this is the year 5138."""


USUAL, MINUTE = len("2026-01-01T00:00:00.000000Z"), len("2026-01-01T00:00")

_REST = r":[0-5][0-9]\.[0-9]{6}Z"
_REST_OF_MINUTE = re.compile(_REST).fullmatch
"""What follows the minute in timestamps as Cowrie writes them, and as records hold them."""

_RESTS_OF_MINUTES = re.compile(f"(?:{_REST})*").fullmatch

_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def recorded_time(value: object) -> str | None:
    """Return the time in a `timestamp` field, which `moment` parses, as `EventRecord` holds it."""
    if isinstance(value, str) and _REST_OF_MINUTE(value, MINUTE) and _is_minute(value[:MINUTE]):
        return value
    at = moment(value)
    return text_of_time(at) if at is not None else None


def are_recorded_times(values: Sequence[str]) -> bool:
    """Whether `recorded_time` returns each text as it is."""
    rests = "".join([value[MINUTE:] for value in values])
    return (
        {*map(len, values)} == {USUAL}
        and _RESTS_OF_MINUTES(rests) is not None
        and all(map(_is_minute, {value[:MINUTE] for value in values}))
    )


@lru_cache(maxsize=8192)  # events of a log are near each other
def _is_minute(text: str) -> bool:
    return _MINUTE.fullmatch(text) is not None and moment(f"{text}:00.000000Z") is not None


def moment(value: object) -> datetime | None:
    """
    Return the time in a `timestamp` field, in UTC to the microsecond.

    Args:
        value: ISO 8601 with `Z`, an offset with or without a colon, or none (read as UTC), with or
            without a fraction; or seconds or milliseconds since 1970 as a number or its text.

    Returns:
        None if it is not a time from the year 1 to 9999.
    """
    try:
        if isinstance(value, str):
            is_usual = len(value) == USUAL and value[-1] == "Z"
            return datetime.fromisoformat(value) if is_usual else _of_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _of_number(value)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _of_text(text: str) -> datetime:
    text = text.strip()
    if text.replace(".", "", 1).isdigit():
        return _of_number(float(text))
    if len(text) < len("2026-01-01T00"):
        raise ValueError("a date has no time")
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _of_number(number: float) -> datetime:
    seconds = number / 1000 if number >= MILLISECONDS_FROM else number
    return datetime.fromtimestamp(seconds, UTC)
