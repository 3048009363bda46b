"""Places in an order of rows, as texts: "" is before the first row, whatever its key is."""

from typing import Any

from sqlalchemy import ColumnElement, true

KEY_PREFIX = "="
"""Before a key, so that the empty key is a place too."""


def position_of(key: object) -> str:
    """Return the place of a row."""
    return f"{KEY_PREFIX}{key}"


def row_number_at(place: str) -> int:
    """Return the number of a row at a place; before the first row, one that is before every number."""
    return int(place.removeprefix(KEY_PREFIX)) if place else -(2**63)


def is_after(key: ColumnElement[Any], place: str, *, is_number: bool = False) -> ColumnElement[bool]:
    """Return the condition that a row stands behind a place."""
    if not place:
        return true()
    return key > (row_number_at(place) if is_number else place.removeprefix(KEY_PREFIX))
