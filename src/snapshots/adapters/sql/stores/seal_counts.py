"""
Compare the number of sealed sessions of each run with the audit tables.

Expected are the sessions that the run sealed (`run_seals`), plus those that corrections assigned to it, minus those
that corrections took from it and prunings deleted. A difference is evidence of a change that bypassed the triggers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Connection, Select, func, literal, literal_column, not_, select, union_all

from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.connection.dialects.storage import writer_id
from snapshots.adapters.sql.rows.json_text import json_object
from snapshots.adapters.sql.schema.stored_types import is_wrong
from snapshots.adapters.sql.schema.tables import (
    HOLDS_A_FACT,
    run_seals,
    snapshot_corrections,
    snapshot_prunings,
)


class SealBalance(NamedTuple):
    """The number of sealed sessions of one run, and the expected number."""

    run: str
    found: int
    on_record: int


def count_seals(connection: Connection, run: str, sessions: int) -> None:
    """Add to the number of sessions that a run sealed."""
    if not sessions:
        return
    statement = insert(connection, run_seals)
    more = {"sessions": run_seals.c.sessions + statement.excluded.sessions}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[run_seals.c.run, run_seals.c.writer], set_=more),
        {"run": run, "writer": writer_id(connection), "sessions": sessions},
    )


def unbalanced(connection: Connection, found: Mapping[str, int], *, run: str | None = None) -> Sequence[SealBalance]:
    """
    Return the runs whose number of sealed sessions differs from the expected one.

    Args:
        connection: With a transaction in which every query sees the same state.
        found: The sessions that this program sealed, by run.
        run: Look only at this run; None for all.
    """
    changes = union_all(_sealed(), _corrected("new", 1), _corrected("old", -1)).subquery()
    on_record = _counted(connection, select(changes.c[0], func.sum(changes.c[1])))
    on_record.subtract(_pruned(connection))
    names = sorted(found.keys() | on_record.keys())
    balances = [SealBalance(name, found.get(name, 0), on_record[name]) for name in names if run is None or name == run]
    return [balance for balance in balances if balance.found != balance.on_record]


def _counted(connection: Connection, query: Select[Any]) -> Counter[str]:
    by_run, *_ = query.selected_columns
    return Counter({run: int(count) for run, count in connection.execute(query.group_by(by_run))})


def _sealed() -> Select[Any]:
    return select(run_seals.c.run.label("run"), run_seals.c.sessions.label("sessions"))


def _corrected(when: str, sign: int) -> Select[Any]:
    run = snapshot_corrections.c[f"{when}_snapshot_run"]
    holds_a_fact = literal_column(f"coalesce({HOLDS_A_FACT.format(row=f'{when}_')}, FALSE)", Boolean)
    counted = select(run, literal(sign) * func.count()).select_from(snapshot_corrections)
    return counted.where(run.is_not(None), holds_a_fact).group_by(run)


def _pruned(connection: Connection) -> Counter[str]:
    """Count the sealed sessions that prunings deleted, by run; `record_checks` reports rows with malformed counts."""
    query = select(snapshot_prunings.c.sealed_by_run).where(not_(is_wrong(connection, snapshot_prunings)))
    deleted = Counter[str]()
    for text in connection.execute(query).scalars():
        deleted.update(sealed_by_run(text) or {})
    return deleted


def sealed_by_run(text: str | None) -> Mapping[str, int] | None:
    """
    Return how many sealed sessions of each run a pruning deleted.

    Args:
        text: The column `sealed_by_run`; NULL, which older versions wrote, counts nothing.

    Returns:
        The counts; None if the text is not a JSON object of whole numbers.
    """
    found = json_object(text)
    if found is None or not all(type(count) is int and count >= 0 for count in found.values()):
        return None
    return found
