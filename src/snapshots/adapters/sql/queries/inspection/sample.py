"""Draw random samples of sessions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, TextClause, literal_column, select, union_all

from snapshots.adapters.sql.connection.dialects.expressions import is_true_at_random
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.dialects.storage import has_rowids
from snapshots.adapters.sql.schema.tables import session_summaries


@dataclass(frozen=True, slots=True)
class Sample:
    """
    Sessions that were drawn at random.

    Attributes:
        connection: With a transaction in which every query sees the same state.
        keys: The row numbers of the sessions on SQLite, otherwise their ids.
    """

    connection: Connection
    keys: Sequence[Any]

    def part(self, size: int) -> "Sample":
        """Return about so many of the sessions."""
        return replace(self, keys=self.keys[:: max(1, len(self.keys) // size)])

    def holds(self, *others: ColumnElement[bool] | TextClause) -> ColumnElement[bool]:
        """Return the condition that a session was drawn, or that one of some other conditions holds."""
        key, drawn = _key(self.connection), select_texts(self.connection, self.keys)
        # A list of all keys, because SQLite uses no indexes for such conditions if they are combined by OR.
        rows = select(key).select_from(session_summaries).correlate(None)
        return key.in_(union_all(drawn, *(rows.where(other) for other in others)) if others else drawn)


def draw(connection: Connection, which: ColumnElement[bool], share: float) -> Sample:
    """
    Draw each session independently and with the same probability.

    If an index has the columns of *which*, SQLite reads that, and no rows of sessions.

    Args:
        connection: With a transaction in which every query sees the same state.
        which: Selects the sessions from which the sample is drawn.
        share: The probability, from 0 to 1.
    """
    query = select(_key(connection)).select_from(session_summaries).where(which, is_true_at_random(connection, share))
    return Sample(connection, connection.execute(query).scalars().all())


def _key(connection: Connection) -> ColumnElement[Any]:
    if has_rowids(connection):
        return literal_column("session_summaries.rowid", Integer)
    return session_summaries.c.session_id
