"""Port for adopting a database of cowrieprocessor, and for undoing the adoption."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Lock(Enum):
    """What a step blocks in other programs."""

    NONE = "none"
    MOMENT = "a moment"
    WRITES = "writes"
    ALL = "reads and writes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One change of the schema.

    Attributes:
        what: Description of the change.
        table: The table that is changed.
        lock: What the change blocks in other programs.
        bytes: Bytes of the table that are read or rewritten; 0 for a change of the catalog only.
    """

    what: str
    table: str
    lock: Lock
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionPlan:
    """
    The changes of an adoption or of its undo.

    Attributes:
        found: Description of the database.
        sessions: Approximate number of sessions.
        steps: Changes in order; empty if nothing is left to do.
        notes: Warnings for the operator.
    """

    found: str
    sessions: int
    steps: Sequence[Step]
    notes: Sequence[str] = ()


class Adoption(Protocol):
    """Adopts a database of cowrieprocessor without writing a row, and undoes it."""

    def plan(self, *, widen: bool) -> AdoptionPlan:
        """
        Return what `adopt` would do.

        Args:
            widen: Whether columns that are too narrow and hold values may be rewritten.

        Raises:
            StoreUnavailable: The database is not one of cowrieprocessor, or did not answer.
        """
        ...

    def adopt(self, *, widen: bool) -> AdoptionPlan:
        """
        Add missing columns, tables, indexes and triggers; return what was done. Interrupted, it is repeated.

        Raises:
            StoreUnavailable: The database is not one of cowrieprocessor, or refused; only finished indexes were added.
            StoreBusy: Other programs locked the tables for too long; nothing was changed.
        """
        ...

    def plan_undo(self) -> AdoptionPlan:
        """
        Return what `undo` would do.

        Raises:
            StoreUnavailable: The database was never adopted, or did not answer.
        """
        ...

    def undo(self) -> AdoptionPlan:
        """
        Remove what `adopt` added, and return what was done. Values in columns of the other loader stay.

        Raises:
            StoreUnavailable: The database was never adopted, or refused; nothing was changed.
        """
        ...
