"""Cursors in the list of sessions, as texts."""

from typing import NamedTuple, Self

from snapshots.app.errors import InvalidQuery

SEPARATOR = "~"
"""Separates the time, as stored, from the session id; comes first if there is no time."""


class SessionCursor(NamedTuple):
    """
    The position of a session in the list.

    Attributes:
        at: Its time, as stored; None if it has none.
        name: Its id.
    """

    at: str | None
    name: str

    def __str__(self) -> str:
        """Return the cursor as text."""
        if self.at is None:
            return f"{SEPARATOR}{self.name}"
        escaped = self.at.replace("%", "%25").replace(SEPARATOR, "%7E")
        return f"@{escaped}{SEPARATOR}{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Parse a cursor.

        Raises:
            InvalidQuery: The text is not a cursor.
        """
        at, mark, name = text.partition(SEPARATOR)
        if not mark or (at and not at.startswith("@")):
            raise InvalidQuery(f"{text[:80]!r} is not a cursor: use the value of `next` in the previous page")
        return cls(at[1:].replace("%7E", SEPARATOR).replace("%25", "%") if at else None, name)
