"""What it means to take over the database of another loader, and to give it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Lock(Enum):
    """What other programs cannot do to a table while a step is at work."""

    NONE = "none"
    MOMENT = "a moment"
    WRITES = "writes"
    ALL = "reads and writes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One change of the database's tables.

    Attributes:
        what: What is done, in words.
        table: The table it is done to.
        lock: What others cannot do meanwhile.
        bytes: How much of the table is read or rewritten; 0 for a change of the catalogue only.
    """

    what: str
    table: str
    lock: Lock
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionPlan:
    """
    What adopting a database, or giving it back, does to it.

    Attributes:
        found: What the database is, in words.
        sessions: How many sessions it holds, about.
        steps: What is done, in order; empty if nothing is left to do.
        notes: What an operator should know before.
    """

    found: str
    sessions: int
    steps: Sequence[Step]
    notes: Sequence[str] = ()


class Adoption(Protocol):
    """Takes over a database of cowrieprocessor as it is, without writing a row, and gives it back."""

    def plan(self, *, widen: bool) -> AdoptionPlan:
        """
        Say what `adopt` would do.

        Args:
            widen: Whether columns that are too narrow and hold values may be rewritten.

        Raises:
            StoreUnavailable: The database is none of cowrieprocessor's, or did not answer.
        """
        ...

    def adopt(self, *, widen: bool) -> AdoptionPlan:
        """
        Add what is missing, and return what was done. Interrupted, it is called again.

        Raises:
            StoreUnavailable: The database is none of cowrieprocessor's, or refused; nothing but finished
                indexes was added.
            StoreBusy: Others held the tables for too long; nothing was changed.
        """
        ...

    def plan_undo(self) -> AdoptionPlan:
        """
        Say what `undo` would do.

        Raises:
            StoreUnavailable: The database was never adopted, or did not answer.
        """
        ...

    def undo(self) -> AdoptionPlan:
        """
        Take away what adopting added, and return what was done; what was filled into the other loader's columns stays.

        Raises:
            StoreUnavailable: The database was never adopted, or refused; nothing was changed.
        """
        ...
