"""What a migration of the tables would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Migration(NamedTuple):
    """
    A step to the next version of the tables.

    Attributes:
        version: The version that it leads to.
        description: What it does, in one sentence.
    """

    version: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """
    The tables of a database, compared with what the program needs.

    Attributes:
        version: Their version; None without tables.
        sessions: Number of sessions; None without tables.
        is_adopted: Whether another loader made the tables.
        pending: The migrations to the version of the program, in order.
        missing_indexes: Names of the indexes that a migration builds after the last step.
    """

    version: str | None = None
    sessions: int | None = None
    is_adopted: bool = False
    pending: Sequence[Migration] = ()
    missing_indexes: Sequence[str] = ()
