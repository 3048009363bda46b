"""
Apply staged verdicts inside the database, without reading the sessions.

The verdicts are computed by the domain, each for an address and a time span. Three things are repeated here in SQL:
where a row keeps its address and time, which columns an update sets, and how the seal is computed. Only ordinary rows
are handled; Python evaluates all others. A contract test checks that both give the same rows.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    select,
    type_coerce,
    update,
)

from snapshots.adapters.sql.backfill.physical_scan import RowPage
from snapshots.adapters.sql.backfill.verdict_spans import run_key
from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.expressions import compared_as_stored, compared_by_bytes, digest_of
from snapshots.adapters.sql.connection.dialects.planner import ordered_for_locality, prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import count_returned_rows
from snapshots.adapters.sql.connection.dialects.timestamps import is_plain_timestamp, timestamp_in_utc
from snapshots.adapters.sql.connection.document_address import address_in_document
from snapshots.adapters.sql.connection.staging import FACT_COLUMN_NAMES
from snapshots.adapters.sql.schema.features import SchemaFeatures
from snapshots.adapters.sql.schema.spans_table import spans_table
from snapshots.adapters.sql.schema.tables import is_sealed, session_summaries
from snapshots.adapters.sql.stores.placeholders import adding
from snapshots.adapters.sql.stores.seal_counts import count_seals
from snapshots.app.ports.open_sessions import PushdownResult
from snapshots.domain.address.source_ip import SightingKind
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c


def apply_to_plain_rows(
    connection: Connection,
    features: SchemaFeatures,
    page: RowPage,
    *,
    began_at: ColumnElement[datetime],
    is_blank: ColumnElement[bool],
    run: str,
    learned_until: datetime | None,
    is_forecast: bool,
) -> PushdownResult:
    """
    Apply the verdicts that a run staged to the ordinary rows of a page.

    Args:
        connection: A connection with an open transaction.
        features: The tables and columns that the database has in addition to ours.
        page: The rows.
        began_at: Expression for the time of a session.
        is_blank: Condition that all fact columns are NULL.
        run: The run that staged the verdicts and that writes.
        learned_until: The newest learned_at when the verdicts were computed; None if there was none.
        is_forecast: Only count what would be written.
    """
    span = spans_table(connection).c
    plain = _plain_rows(connection, features, page, began_at, is_blank)
    is_of_row = and_(
        span.run_key == run_key(run), span.address == plain.c.ip, span.since <= plain.c.at, span.until > plain.c.at
    )
    if is_forecast:
        kinds = (span.snapshot_method, span.snapshot_gap, plain.c.was_empty)
        counts = connection.execute(select(*kinds, func.count()).where(is_of_row).group_by(*kinds)).all()
        return _result(page, {tuple(kind): count for *kind, count in counts})

    def has_span(address: ColumnElement[str]) -> ColumnElement[bool]:
        is_same = span.address == compared_by_bytes(connection, address)
        return select(span.address).where(span.run_key == run_key(run), is_same).exists()

    wanted = select(compared_as_stored(connection, plain.c.ip).label("ip")).where(plain.c.was_empty)
    placeholders = adding(features, wanted.subquery(), has_span)
    seals = span.snapshot_gap.is_(None)
    seen = f"||{int(SightingKind.OTHER)}|"  # by no port, and by any event
    sealed_text = plain.c.session_id + "|" + plain.c.ip + seen + timestamp_in_utc(connection, plain.c.at)
    writing = (
        update(session_summaries)
        .where(
            page.place == plain.c.place,
            SESSIONS.session_id == plain.c.session_id,
            is_of_row,
            not_(is_sealed()),
            SESSIONS.snapshot_gap.is_(None),
        )
        .values(
            {column: span[column] for column in (*FACT_COLUMN_NAMES, "snapshot_gap")}
            | {
                "source_ip": plain.c.ip,
                "source_ip_rank": int(SightingKind.OTHER),
                "source_ip_seen_at": plain.c.at,
                "source_ip_run": run,
                "source_ip_was": SESSIONS.source_ip,
                "snapshot_run": case((seals, run)),
                "snapshot_seal": case((seals, digest_of(connection, sealed_text + "|" + span.sealed_text + "|" + run))),
                "gap_checked_at": case((~seals, literal(learned_until, SESSIONS.gap_checked_at.type))),
                "gap_run": case((~seals, run)),
            }
        )
        .returning(SESSIONS.snapshot_method, SESSIONS.snapshot_gap, SESSIONS.source_ip_was.is_(None).label("was_found"))
    )
    if placeholders is not None:
        writing = writing.add_cte(placeholders.cte("placeholders"))
    with prefer_index_scans(connection):
        done = _result(page, count_returned_rows(connection, writing))
    count_seals(connection, run, sum(count for kind, count in done.verdicts.items() if isinstance(kind, Method)))
    return done


def _result(page: RowPage, counts: Mapping[tuple[Any, ...], int]) -> PushdownResult:
    """Sum the sessions by method, gap, and whether their address was recovered."""
    verdicts: Counter[Method | Gap] = Counter()
    for (method, gap, _), count in counts.items():
        verdicts[Gap(gap) if gap is not None else Method(method)] += count
    found = sum(count for (_, _, was_found), count in counts.items() if was_found)
    return PushdownResult(page.last, page.size, verdicts, found)


def _plain_rows(
    connection: Connection,
    features: SchemaFeatures,
    page: RowPage,
    began_at: ColumnElement[datetime],
    is_blank: ColumnElement[bool],
) -> CTE:
    """Return position, id, address and time of the ordinary rows of a page."""
    ip: ColumnElement[str] = SESSIONS.source_ip
    if features.has_session_documents:
        ip = case(
            (SESSIONS.source_ip.is_not(None), SESSIONS.source_ip),
            (~_has_events(features), address_in_document(connection)),
        )
    at = type_coerce(began_at, UtcDateTime)
    columns = [
        page.place.label("place"),
        SESSIONS.session_id,
        compared_by_bytes(connection, ip).label("ip"),
        at.label("at"),
    ]
    rows = select(*columns, SESSIONS.source_ip.is_(None).label("was_empty")).where(
        page.condition,
        is_blank,
        and_(*(SESSIONS[column].is_(None) for column in ("source_port", "source_ip_rank", "source_ip_seen_at"))),
        is_plain_timestamp(connection, at),
    )
    # By place, too: two backfills then lock rows in the same order.
    return ordered_for_locality(connection, rows, "ip", "place").cte("plain").prefix_with("MATERIALIZED")


def _has_events(features: SchemaFeatures) -> ColumnElement[bool]:
    """Whether a session has raw events, which take precedence over documents and are decoded in Python."""
    raw = features.raw_events
    return false() if raw is None else select(raw.c.session_id).where(raw.c.session_id == SESSIONS.session_id).exists()
