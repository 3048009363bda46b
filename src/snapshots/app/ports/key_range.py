"""A range of rows that one worker processes."""

from typing import NamedTuple


class KeyRange(NamedTuple):
    """A range of rows: after *after*, up to and including *until*. "" means no bound."""

    after: str
    until: str


WHOLE = KeyRange("", "")
"""The range of all rows."""
