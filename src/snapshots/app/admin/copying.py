"""What copying a whole database to another tells and promises."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCopied:
    """
    One table stands in the other database, row for row.

    Attributes:
        table: Its name.
        rows: How many rows it has, each compared.
        new: How many of them this copy wrote; the others an earlier one had.
    """

    table: str
    rows: int
    new: int


class CopyObserver(Protocol):
    """Is told how a copy goes on; must not raise."""

    def table_opened(self, table: str, rows: int) -> None:
        """A table of so many rows is copied from now on."""
        ...

    def rows_copied(self, count: int) -> None:
        """So many rows of the table were copied and committed."""
        ...
