"""Progress and result of copying a database."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCopied:
    """
    A table that was copied and compared row by row.

    Attributes:
        table: Name of the table.
        rows: Number of rows; all were compared.
        new: Rows that this copy wrote; an earlier copy had written the others.
    """

    table: str
    rows: int
    new: int


class CopyObserver(Protocol):
    """Receives the progress of a copy; must not raise."""

    def table_opened(self, table: str, rows: int) -> None:
        """The copy of a table with *rows* rows began."""
        ...

    def rows_copied(self, count: int) -> None:
        """*count* rows of the table were copied and committed so far."""
        ...
