"""Places in an order of rows, as texts: "" is before the first row, whatever its key is."""

from typing import Any

from sqlalchemy import ColumnElement, true

MARK = "="
"""Before a key, so that the empty key is a place too."""


def place_of(key: object) -> str:
    """Return the place of a row."""
    return f"{MARK}{key}"


def behind(key: ColumnElement[Any], place: str, *, is_number: bool = False) -> ColumnElement[bool]:
    """Return the condition that a row stands behind a place."""
    if not place:
        return true()
    value = place.removeprefix(MARK)
    return key > (int(value) if is_number else value)
