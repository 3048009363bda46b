"""Test that the triggers refuse forbidden changes of a sealed session; the caller rolls back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql.connection.driver_errors import is_busy, is_gone, is_lock_timeout, is_unusable
from snapshots.adapters.sql.schema.guard_rules import PROTECTED
from snapshots.adapters.sql.schema.tables import is_sealed, session_summaries
from snapshots.app.queries.inspection import Trial

SESSIONS = session_summaries.c

MIN_TIME = datetime(1, 1, 1, microsecond=1, tzinfo=UTC)
FORBIDDEN: dict[ColumnElement[Any], object] = {
    SESSIONS.session_id: "forbidden~",
    SESSIONS.logged_id: "forbidden~",
    SESSIONS.source_ip_run: "forbidden",
    SESSIONS.source_ip_was: "forbidden",
    SESSIONS.source_port: -1,
    SESSIONS.source_ip_rank: -1,
    SESSIONS.source_ip_seen_at: MIN_TIME,
    SESSIONS.snapshot_asn: -1,
    SESSIONS.snapshot_country: "??",
    SESSIONS.snapshot_ip_type: "forbidden",
    SESSIONS.enrichment_at: MIN_TIME,
    SESSIONS.snapshot_method: "forbidden",
    SESSIONS.snapshot_source: "forbidden",
    SESSIONS.snapshot_run: "forbidden",
    SESSIONS.snapshot_seal: "forbidden",
}
"""A forbidden change of each protected column; for source_ip, any other address."""


def try_guard(connection: Connection) -> Mapping[str, Trial]:
    """
    Try a forbidden change of each protected column of one sealed session; the caller rolls back.

    Args:
        connection: With a transaction for writing.

    Returns:
        The result by column; empty without a sealed session.

    Raises:
        DatabaseError: The database is read-only, locked or unreachable.
    """
    sealed = (
        select(SESSIONS.session_id, SESSIONS.source_ip).where(is_sealed(), SESSIONS.source_ip.is_not(None)).limit(1)
    )
    found = connection.execute(sealed).one_or_none()
    if found is None:
        return {}
    name, source_ip = found
    # A foreign key could refuse an address without sessions before the trigger does.
    another = select(SESSIONS.source_ip).where(SESSIONS.source_ip != source_ip).limit(1)
    forbidden = FORBIDDEN | {SESSIONS.source_ip: connection.execute(another).scalar()}
    return {
        column: _tried(connection, name, column, forbidden[SESSIONS[column]])
        for column in PROTECTED
        if forbidden[SESSIONS[column]] is not None
    }


def _tried(connection: Connection, name: str, column: str, value: object) -> Trial:
    attempt = connection.begin_nested()
    try:
        connection.execute(update(session_summaries).where(SESSIONS.session_id == name).values({column: value}))
        changed = value if column == "session_id" else name
        row = connection.execute(
            select(SESSIONS.session_id).where(SESSIONS.session_id == changed, SESSIONS[column] == value)
        ).first()
    except DatabaseError as refusal:
        error = refusal.orig
        if is_unusable(error) or is_busy(error) or is_lock_timeout(error) or is_gone(error, was_reached=True):
            raise
        # For example a foreign key of stored events, which PostgreSQL checks before the trigger.
        return Trial.REFUSED if "sealed" in str(error) else Trial.REFUSED_OTHERWISE
    else:
        return (
            Trial.REFUSED if row is None else Trial.ACCEPTED
        )  # in an adopted database the trigger may restore the row
    finally:
        if attempt.is_active:
            attempt.rollback()
