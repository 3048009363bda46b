"""Places in the list of sessions by their time, as texts."""

from typing import NamedTuple, Self

from snapshots.app.errors import InvalidQuery

SEPARATOR = "~"
"""Between the time, as the database keeps it, and the name; without a time it comes first."""


class SessionCursor(NamedTuple):
    """
    A session in the list.

    Attributes:
        at: Its time, as the database keeps it; None if it has none.
        name: Its name.
    """

    at: str | None
    name: str

    def __str__(self) -> str:
        """Return the place as it is printed."""
        if self.at is None:
            return f"{SEPARATOR}{self.name}"
        escaped = self.at.replace("%", "%25").replace(SEPARATOR, "%7E")
        return f"@{escaped}{SEPARATOR}{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a place as it was printed.

        Raises:
            InvalidQuery: It is none.
        """
        at, mark, name = text.partition(SEPARATOR)
        if not mark or (at and not at.startswith("@")):
            raise InvalidQuery(f"{text[:80]!r} is not a cursor: use what `next` of the previous page says")
        return cls(at[1:].replace("%7E", SEPARATOR).replace("%25", "%") if at else None, name)
