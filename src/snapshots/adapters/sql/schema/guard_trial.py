"""The guard, tried: forbidden changes of a sealed session, in a transaction that is rolled back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql.connection.driver_errors import is_busy, is_gone, is_lock_timeout, is_unusable
from snapshots.adapters.sql.schema.guard_rules import PROTECTED
from snapshots.adapters.sql.schema.tables import is_sealed, session_summaries
from snapshots.app.queries.reports import Trial

S = session_summaries.c

MIN_TIME = datetime(1, 1, 1, microsecond=1, tzinfo=UTC)
FORBIDDEN: dict[ColumnElement[Any], object] = {
    S.session_id: "forbidden~",
    S.logged_id: "forbidden~",
    S.source_ip_run: "forbidden",
    S.source_ip_was: "forbidden",
    S.source_port: -1,
    S.source_ip_rank: -1,
    S.source_ip_seen_at: MIN_TIME,
    S.snapshot_asn: -1,
    S.snapshot_country: "??",
    S.snapshot_ip_type: "forbidden",
    S.enrichment_at: MIN_TIME,
    S.snapshot_method: "forbidden",
    S.snapshot_source: "forbidden",
    S.snapshot_run: "forbidden",
    S.snapshot_seal: "forbidden",
}
"""A change of each protected column that no guard may let pass; of source_ip, any other address."""


def try_guard(connection: Connection) -> Mapping[str, Trial]:
    """
    Try a forbidden change of each protected column of one sealed session; the caller rolls back.

    Args:
        connection: With a transaction for writing.

    Returns:
        What came of each, by column; nothing without a sealed session.

    Raises:
        DatabaseError: Nothing can be written, or the database is busy or gone.
    """
    sealed = select(S.session_id, S.source_ip).where(is_sealed(), S.source_ip.is_not(None)).limit(1)
    found = connection.execute(sealed).one_or_none()
    if found is None:
        return {}
    name, source_ip = found
    # An address of no session might be refused by a foreign key, and the guard would not be asked.
    another = select(S.source_ip).where(S.source_ip != source_ip).limit(1)
    forbidden = FORBIDDEN | {S.source_ip: connection.execute(another).scalar()}
    return {
        column: _tried(connection, name, column, forbidden[S[column]])
        for column in PROTECTED
        if forbidden[S[column]] is not None
    }


def _tried(connection: Connection, name: str, column: str, value: object) -> Trial:
    attempt = connection.begin_nested()
    try:
        connection.execute(update(session_summaries).where(S.session_id == name).values({column: value}))
        changed = value if column == "session_id" else name
        row = connection.execute(select(S.session_id).where(S.session_id == changed, S[column] == value)).first()
    except DatabaseError as refusal:
        error = refusal.orig
        if is_unusable(error) or is_busy(error) or is_lock_timeout(error) or is_gone(error, was_reached=True):
            raise
        # Such as a foreign key of stored events, which PostgreSQL checks before the guard.
        return Trial.REFUSED if "sealed" in str(error) else Trial.REFUSED_OTHERWISE
    else:
        return Trial.REFUSED if row is None else Trial.ACCEPTED  # the guard of an adopted database may put it back
    finally:
        if attempt.is_active:
            attempt.rollback()
