"""Places in an order of rows, as texts: "" is before the first row, whatever its key is."""

from typing import Any

from sqlalchemy import ColumnElement, true

MARK = "="
"""Before a key, so that the empty key is a place too."""


def place_of(key: object) -> str:
    """Return the place of a row."""
    return f"{MARK}{key}"


def number_of(place: str) -> int:
    """Return the number of a row at a place; before the first row, one that is before every number."""
    return int(place.removeprefix(MARK)) if place else -(2**63)


def behind(key: ColumnElement[Any], place: str, *, is_number: bool = False) -> ColumnElement[bool]:
    """Return the condition that a row stands behind a place."""
    if not place:
        return true()
    return key > (number_of(place) if is_number else place.removeprefix(MARK))
