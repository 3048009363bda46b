"""Fit a table into the width of a terminal without cutting what is copied from it: IDs, addresses and numbers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from rich.console import Console
from rich.table import Table
from rich.text import Text

SHORT_HASH = 12
"""Characters of a shortened hash; filters find it by them."""

NARROW_TEXT = 10
"""Characters to which text columns shrink at most."""

GAP = 2
"""Spaces between columns."""


class Content(Enum):
    """What a column holds, which determines how it may be shortened."""

    EXACT = "exact"
    """IDs, addresses and words of a closed set: never shortened."""
    NUMBER = "number"
    """Never shortened; aligned to the right."""
    TIME = "time"
    """YYYY-MM-DD HH:MM:SS, shortened to the minute, then to the day."""
    HASH = "hash"
    """Shortened to its beginning."""
    TEXT = "text"
    """Names and commands: cut at the end."""


@dataclass(frozen=True, slots=True)
class FittedColumn:
    """
    A column of a table.

    Attributes:
        title: Its heading.
        content: What it holds.
        cells: Its texts, one per row.
        width: Maximum number of characters that are shown; None for all.
    """

    title: str
    content: Content
    cells: Sequence[Text]
    width: int | None = None

    @property
    def natural_width(self) -> int:
        """Return the characters of the longest cell or the title."""
        return max(len(self.title), *(cell.cell_len for cell in self.cells), 1)

    @property
    def shown_width(self) -> int:
        """Return the characters that are shown; never less than those of the title."""
        return self.natural_width if self.width is None else max(len(self.title), min(self.width, self.natural_width))

    @property
    def is_empty(self) -> bool:
        """Whether no row has a value."""
        return all(cell.plain in {"", "-"} for cell in self.cells)


def fitted(columns: Sequence[FittedColumn], width: int, *, least: Sequence[str] = ()) -> Sequence[FittedColumn]:
    """
    Return the columns, shortened until they fit; those that do not fit are left out.

    Args:
        columns: All columns.
        width: Characters of a line.
        least: Titles of columns that are left out if need be, the least important one first.
    """
    found = list(columns)
    for shorten in (_to_minutes, _to_days, _to_short_hashes, _without_empty, _to_narrow_texts):
        if _width_of(found) <= width:
            return found
        found = list(shorten(found, width))
    for title in least:
        if _width_of(found) <= width:
            break
        found = list(_to_narrow_texts([column for column in found if column.title != title], width))
    return found


def _width_of(columns: Sequence[FittedColumn]) -> int:
    return sum(column.shown_width for column in columns) + GAP * (len(columns) - 1)


def _shortened(content: Content, length: int) -> Callable[[Sequence[FittedColumn], int], Iterable[FittedColumn]]:
    def shorten(columns: Sequence[FittedColumn], _width: int) -> Iterable[FittedColumn]:
        return (replace(column, width=length) if column.content is content else column for column in columns)

    return shorten


_to_minutes = _shortened(Content.TIME, len("YYYY-MM-DD HH:MM"))
_to_days = _shortened(Content.TIME, len("YYYY-MM-DD"))
_to_short_hashes = _shortened(Content.HASH, SHORT_HASH + 1)


def _without_empty(columns: Sequence[FittedColumn], _width: int) -> Iterable[FittedColumn]:
    return (column for column in columns if not column.is_empty)


def _to_narrow_texts(columns: Sequence[FittedColumn], width: int) -> Iterable[FittedColumn]:
    """Shrink the widest text columns first, until the table fits or all are narrow."""
    found = list(columns)
    while (excess := _width_of(found) - width) > 0:
        texts = [n for n, column in enumerate(found) if column.content is Content.TEXT]
        wide = [n for n in texts if found[n].shown_width > max(NARROW_TEXT, len(found[n].title))]
        if not wide:
            break
        widest = max(wide, key=lambda n: found[n].shown_width)
        others = sorted((found[n].shown_width for n in wide if n != widest), reverse=True)
        next_width = max(NARROW_TEXT, *(others[:1] or [0]))
        now = found[widest].shown_width
        found[widest] = replace(found[widest], width=max(NARROW_TEXT, min(now - 1, max(now - excess, next_width))))
    return found


def print_fitted(console: Console, columns: Sequence[FittedColumn]) -> None:
    """Print a table with these columns, each row on one line; without columns, nothing."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.content is Content.NUMBER else "left",
            width=column.shown_width,
            no_wrap=True,
            overflow="ellipsis" if column.content in {Content.TEXT, Content.HASH} else "crop",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    width = console.width
    console.width = max(
        _width_of(columns), width
    )  # a table that must be wider is not cut; the terminal wraps its lines
    try:
        console.print(table, crop=False)
    finally:
        console.width = width
