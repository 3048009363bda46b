"""Check the corrections of sealed sessions."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, or_, select

from snapshots.adapters.sql.queries.inspection.session_counts import SessionCounts
from snapshots.adapters.sql.rows.row_decoder import digest, record_text, seal_of
from snapshots.adapters.sql.schema.tables import SNAPSHOT_COLUMNS, runs, session_summaries, snapshot_corrections
from snapshots.app.ports.runs import RunKind
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
PAGE = 10_000


def unaudited(connection: Connection, counts: SessionCounts) -> Sequence[str]:
    """
    Return the sessions that differ from their last correction, or whose correction is missing.

    Args:
        connection: To the database.
        counts: Of all sessions; only if one may have been replaced, sessions without a correction are searched.
    """
    newest = (
        select(func.max(snapshot_corrections.c.id).label("id")).group_by(snapshot_corrections.c.session_id).subquery()
    )
    correction = snapshot_corrections.c
    differs = or_(*(SESSIONS[column].is_distinct_from(correction[f"new_{column}"]) for column in SNAPSHOT_COLUMNS))
    is_corrected = correction.new_enrichment_at.is_not(None)  # a session that a correction opened may be sealed again
    query = (
        select(SESSIONS.session_id)
        .join(snapshot_corrections, correction.session_id == SESSIONS.session_id)
        .join(newest, newest.c.id == correction.id)
        .where(
            is_corrected, differs, SESSIONS.created_at <= correction.made_at
        )  # a pruned session's id may be used again
        .order_by(SESSIONS.session_id)
    )
    differing = {*connection.execute(query).scalars()}
    replacing = select(runs.c.run).where(runs.c.kind.in_([RunKind.CORRECT.value, RunKind.IMPROVE.value]))
    if not counts.has_corrected and counts.runs.isdisjoint(connection.execute(replacing).scalars()):
        return sorted(differing)
    on_record = (
        select(correction.id)
        .where(correction.session_id == SESSIONS.session_id, correction.run == SESSIONS.snapshot_run)
        .exists()
    )
    was_replaced = or_(SESSIONS.snapshot_method == Method.CORRECTED.value, SESSIONS.snapshot_run.in_(replacing))
    unrecorded = select(SESSIONS.session_id).where(was_replaced, ~on_record)
    return sorted(differing.union(connection.execute(unrecorded).scalars()))


def altered_corrections(connection: Connection) -> Iterator[str]:
    """Yield corrections that changed since they were inserted, as far as their digests show it."""
    query = select(snapshot_corrections).order_by(snapshot_corrections.c.id)
    for row in connection.execute(query, execution_options={"yield_per": PAGE}).mappings():
        for when in ("old", "new"):
            values = {column: row[f"{when}_{column}"] for column in SNAPSHOT_COLUMNS}
            seal = values["snapshot_seal"]
            is_ours = values["snapshot_method"] is not None  # another loader writes no seals
            if (seal is not None or is_ours) and seal != seal_of(values | {"session_id": row["session_id"]}):
                yield f"correction {row['id']} of {row['session_id']}: its {when} values"
        correction = record_text(row["reason"], row["run"], row["made_at"])
        if row["digest"] not in {None, digest(f"{row['session_id']}{correction}")}:
            yield f"correction {row['id']} of {row['session_id']}: its reason, run or time"
