"""Tables and columns that the triggers protect, and their error messages."""

from collections.abc import Sequence
from typing import NamedTuple

from snapshots.adapters.sql.schema.tables import HOLDS_A_FACT, SNAPSHOT_COLUMNS, fact_sources

FIXED = ("logged_id", "source_ip_run", "source_ip_was")
"""Columns of a sealed session that not even a correction changes."""

PROTECTED = ("session_id", *FIXED, *SNAPSHOT_COLUMNS)
FILLABLE = tuple(column for column in PROTECTED if column != "session_id")

SEALED = "snapshot is sealed: change it by inserting into snapshot_corrections"
NO_MATCH = "correction does not match the session as it stands: nothing changed"
NO_DELETE = "snapshot is sealed: delete it by prune"
NO_CLAIM = "a pruning begins with sessions = -1, sealed_by_run = NULL and events = -1 or the events of its sessions"

IS_SEALED = HOLDS_A_FACT.format(row="OLD.")

OBSERVED = ("ip_address", "source", "observed_at", "learned_at", "asn", "country", "ip_types")
REGISTERED = tuple(column.name for column in fact_sources.columns if column.name != "retracted_at")
OF_A_RUN = ("run", "kind", "began_at")


class Record(NamedTuple):
    """
    An append-only table: its rows are never deleted or replaced, and change only as its rule allows.

    Attributes:
        table: Its name.
        fixed: Columns that never change; none if no row ever changes.
        unless: SQL condition over OLD and NEW under which any other change is refused.
    """

    table: str
    fixed: Sequence[str] = ()
    unless: str = ""


OPEN_PRUNING = "snapshot_prunings"
"""The only append-only table whose rows are completed after the insert, by its own trigger."""

RECORDS = (
    Record("snapshot_corrections"),
    Record("snapshot_prunings"),
    Record("ip_observations", OBSERVED, "NEW.confirmed_until < OLD.confirmed_until"),
    Record("fact_sources", REGISTERED, "OLD.retracted_at IS NOT NULL"),
    Record("run_seals", ("run", "writer"), "NEW.sessions < OLD.sessions"),
    Record("runs", OF_A_RUN),
)

GUARDED = ("session_summaries", *(record.table for record in RECORDS))


def columns(prefix: str, names: Sequence[str] = SNAPSHOT_COLUMNS) -> str:
    """Return columns for a statement, each with a prefix such as "OLD."."""
    return ", ".join(f"{prefix}{name}" for name in names)
