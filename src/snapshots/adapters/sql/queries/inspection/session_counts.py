"""Count sealed sessions by run, in one scan."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import Boolean, ColumnElement, Connection, String, and_, func, literal_column, or_, select, true

from snapshots.adapters.sql.connection.dialects.expressions import begins_with_byte
from snapshots.adapters.sql.schema.tables import FACTS, HOLDS_A_FACT, session_summaries
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c

NO_RUN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """
    Numbers of sealed sessions and of incomplete ones.

    Attributes:
        inspectable: All that hold at least a part of a snapshot.
        complete: Those with a method and a seal.
        sealed_by_run: Those that this program sealed, by run; NO_RUN without a run.
        runs: The runs that sessions name.
        has_corrected: Whether a session has the method `corrected`.
    """

    inspectable: int
    complete: int
    sealed_by_run: Mapping[str, int]
    runs: AbstractSet[str]
    has_corrected: bool

    @property
    def incomplete(self) -> int:
        """Return the number of sessions with only a part of a snapshot, or with one of another loader."""
        return self.inspectable - self.complete


def is_inspectable() -> ColumnElement[bool]:
    """Return the condition that a session holds at least a part of a snapshot."""
    parts = (SESSIONS.enrichment_at, SESSIONS.snapshot_seal, *(SESSIONS[fact] for fact in FACTS))
    return or_(*(part.is_not(None) for part in parts))


def is_complete(connection: Connection) -> ColumnElement[bool]:
    """Return the condition that a session has a method and a seal; never NULL."""
    seal = SESSIONS.snapshot_seal
    return and_(SESSIONS.snapshot_method.is_not(None), seal.is_not(None), begins_with_byte(connection, seal))


def count_sessions(connection: Connection, run: str | None) -> SessionCounts:
    """Count the sessions of a run, or of all for None; every row is read once."""
    holds_a_fact = literal_column(HOLDS_A_FACT.format(row="session_summaries."), Boolean)
    conditions = {
        "inspectable": is_inspectable(),
        "complete": is_complete(connection),
        "sealed": and_(holds_a_fact, SESSIONS.snapshot_method.is_not(None)),
        "corrected": SESSIONS.snapshot_method == Method.CORRECTED.value,
    }
    by_run = func.coalesce(SESSIONS.snapshot_run, literal_column(f"'{NO_RUN}'"), type_=String).label("run")
    query = select(by_run, *(func.count().filter(condition).label(name) for name, condition in conditions.items()))
    query = query.where(true() if run is None else SESSIONS.snapshot_run == run).group_by(by_run)
    groups = connection.execute(query).all()
    return SessionCounts(
        inspectable=sum(group.inspectable for group in groups),
        complete=sum(group.complete for group in groups),
        sealed_by_run={group.run: group.sealed for group in groups if group.sealed},
        runs={group.run for group in groups},
        has_corrected=any(group.corrected for group in groups),
    )
