"""
Apply cached verdicts inside the database, without reading the sessions.

The verdicts are computed by the domain, each for an address and a time span. Three things are repeated here in SQL:
where a row keeps its address and time, which columns an update sets, and how the seal is computed. Only ordinary rows
are handled; Python evaluates all others. A contract test checks that both give the same rows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from secrets import randbits
from typing import cast as typed

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    String,
    Table,
    Text,
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
from sqlalchemy.schema import CreateIndex, CreateTable

from snapshots.adapters.sql.backfill.physical_scan import RowPage
from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.expressions import compared_by_bytes, digest_of
from snapshots.adapters.sql.connection.dialects.planner import ordered_for_locality, prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import count_returned_rows, truncate
from snapshots.adapters.sql.connection.dialects.timestamps import (
    is_plain_timestamp,
    timestamp_encoder,
    timestamp_in_utc,
)
from snapshots.adapters.sql.connection.document_address import address_in_document
from snapshots.adapters.sql.connection.staging import (
    FACT_COLUMN_NAMES,
    PackedRows,
    append_staging,
    fact_columns,
    pack_rows,
    staging_metadata,
)
from snapshots.adapters.sql.rows.session_encoder import SealBuilder
from snapshots.adapters.sql.schema.features import SchemaFeatures
from snapshots.adapters.sql.schema.tables import is_sealed, name, session_summaries
from snapshots.adapters.sql.stores.placeholders import adding
from snapshots.adapters.sql.stores.seal_counts import count_seals
from snapshots.app.ports.open_sessions import PushdownResult, StagedVerdicts
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS, SightingKind
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_cache import Verdicts

SESSIONS = session_summaries.c

STAGE = Table(
    "stage_verdict_spans",
    staging_metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("address", name(45)),
    Column("since", UtcDateTime),
    Column("until", UtcDateTime),
    *fact_columns(),
    Column("sealed_text", Text),
    Column("snapshot_gap", String(20)),
    prefixes=["TEMPORARY"],
)
ADDRESS_INDEX = Index("ix_stage_verdict_spans", STAGE.c.address)

NUMBERS_PER_GENERATION = 2**32
"""Distance between the row numbers of two generations of the verdict cache."""

FIRST_GENERATION = randbits(30)
"""Random start of the generations of this process: a pooled connection may hold rows that another process staged."""


def apply_to_plain_rows(
    connection: Connection,
    features: SchemaFeatures,
    page: RowPage,
    verdicts: Verdicts,
    *,
    began_at: ColumnElement[datetime],
    is_blank: ColumnElement[bool],
    run: str,
    learned_until: datetime | None,
) -> PushdownResult | None:
    """
    Apply cached verdicts to the ordinary rows of a page.

    Args:
        connection: A connection with an open transaction.
        features: The tables and columns that the database has in addition to ours.
        page: The rows.
        verdicts: The cached verdicts.
        began_at: Expression for the time of a session.
        is_blank: Condition that all fact columns are NULL.
        run: The run that writes.
        learned_until: The newest learned_at when the verdicts were computed; None if there was none.

    Returns:
        None if the page is empty.
    """
    if not page.size:
        return None
    stage_verdicts(connection, verdicts)
    plain = _plain_rows(connection, features, page, began_at, is_blank)
    known = select(STAGE.c.address).where(STAGE.c.address == plain.c.ip).exists()
    placeholders = adding(features, select(plain.c.ip).where(plain.c.was_empty, known).subquery())
    span = STAGE.c
    seals = span.snapshot_gap.is_(None)
    seen = f"||{int(SightingKind.OTHER)}|"  # by no port, and by any event
    sealed_text = plain.c.session_id + "|" + plain.c.ip + seen + timestamp_in_utc(connection, plain.c.at)
    writing = (
        update(session_summaries)
        .where(
            page.place == plain.c.place,
            SESSIONS.session_id == plain.c.session_id,
            span.address == plain.c.ip,
            span.since <= plain.c.at,
            span.until > plain.c.at,
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
        done = count_returned_rows(connection, writing)
    counted: Counter[Method | Gap] = Counter()
    for (method, gap, _), count in done.items():
        counted[Gap(gap) if gap is not None else Method(method)] += count
    count_seals(connection, run, sum(count for kind, count in counted.items() if isinstance(kind, Method)))
    found = sum(count for (_, _, is_found), count in done.items() if is_found)
    return PushdownResult(page.last, page.size - done.total(), counted, found)


def stage_verdicts(connection: Connection, verdicts: Verdicts) -> StagedVerdicts:
    """Stage the verdicts that are missing in the staging table; a rollback also removes staged rows."""
    first = max(_last_staged(connection, verdicts.generation), verdicts.evicted)
    packed = pack_rows(connection, _rows(connection, verdicts, first))
    append_staging(connection, STAGE, packed)
    size = max(0, verdicts.evicted + len(verdicts.spans) - first)
    return StagedVerdicts(verdicts.generation, first, size, packed)


def copy_staged_verdicts(connection: Connection, staged: Sequence[StagedVerdicts]) -> None:
    """Copy verdicts that another connection staged, without those that are staged here already."""
    if not staged:
        return
    known = _last_staged(connection, staged[0].generation)
    new = []
    for each in staged:
        if each.before >= known:
            new.append(typed(PackedRows, each.payload))
            known = each.before + each.size
    append_staging(connection, STAGE, *new)


def _last_staged(connection: Connection, generation: int) -> int:
    """Return the number of the last staged verdict of a generation; rows of other generations are deleted."""
    connection.execute(CreateTable(STAGE, if_not_exists=True))
    connection.execute(CreateIndex(ADDRESS_INDEX, if_not_exists=True))
    last = connection.execute(select(func.max(STAGE.c.number))).scalar()
    of_generation, known = divmod(last, NUMBERS_PER_GENERATION) if last is not None else (-1, 0)
    if of_generation == FIRST_GENERATION + generation:
        return int(known)
    truncate(connection, STAGE)
    return 0


def _rows(connection: Connection, verdicts: Verdicts, known: int) -> Iterator[tuple[object, ...]]:
    stored = timestamp_encoder(connection)
    seals = SealBuilder("", stored)
    first = (FIRST_GENERATION + verdicts.generation) * NUMBERS_PER_GENERATION + 1
    for number, (address, since, until, verdict) in enumerate(verdicts.spans[known - verdicts.evicted :], known):
        if address == UNKNOWN_ADDRESS:
            continue
        span = (first + number, address, stored(since), stored(until))
        if isinstance(verdict, IpSnapshot):
            facts, sealed_text = seals.part(verdict)
            yield (*span, *facts, sealed_text, None)
        else:
            yield (*span, *(None for _ in FACT_COLUMN_NAMES), None, verdict.value)


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
    return ordered_for_locality(connection, rows, "ip").cte("plain").prefix_with("MATERIALIZED")


def _has_events(features: SchemaFeatures) -> ColumnElement[bool]:
    """Whether a session has raw events, which take precedence over documents and are decoded in Python."""
    raw = features.raw_events
    return false() if raw is None else select(raw.c.session_id).where(raw.c.session_id == SESSIONS.session_id).exists()
