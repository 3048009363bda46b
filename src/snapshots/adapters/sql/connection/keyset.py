"""Positions in keyset pagination, as texts: "" is before the first row."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, true

from snapshots.app.ports.key_range import KeyRange

KEY_PREFIX = "="
"""Prefix of a key, so that the empty key is a position too."""


def position_of(key: object) -> str:
    """Return the position of a row."""
    return f"{KEY_PREFIX}{key}"


def row_number_at(place: str) -> int:
    """Return the row number at a position; before the first row, a number below all others."""
    return int(place.removeprefix(KEY_PREFIX)) if place else -(2**63)


def is_after(key: ColumnElement[Any], place: str, *, is_number: bool = False) -> ColumnElement[bool]:
    """Return the condition that a row sorts after a position."""
    if not place:
        return true()
    return key > (row_number_at(place) if is_number else place.removeprefix(KEY_PREFIX))


def is_within(key: ColumnElement[str], within: KeyRange) -> ColumnElement[bool]:
    """Return the condition that a text key lies in a range of keys."""
    return and_(key > within.after, key <= within.until if within.until else true())


def is_within_any(key: ColumnElement[str], ranges: Sequence[KeyRange]) -> ColumnElement[bool]:
    """Return the condition that a text key lies in one of several ranges of keys."""
    return or_(false(), *(is_within(key, each) for each in ranges))
