"""
Sessions of which the verdict is remembered, settled where they lie, without reading them.

The verdicts are the domain's, each with the address and the span of time for which it holds. What is said here
a second time is where the address and the time of a session stand, which columns are written, and how a seal is made,
and only of plain rows: those of which anything is unusual are left to the program. A test compares both ways.
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
from snapshots.adapters.sql.connection.dialects.expressions import by_bytes, digest_of
from snapshots.adapters.sql.connection.dialects.planner import by_neighbours, seeking
from snapshots.adapters.sql.connection.dialects.statements import counted_returns, empty
from snapshots.adapters.sql.connection.dialects.timestamps import is_plain_moment, moment_as_stored, moment_shown
from snapshots.adapters.sql.connection.document_address import address_in_document
from snapshots.adapters.sql.connection.staging import STATED, Packed, add, fact_columns, pack, stages
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

S = session_summaries.c

STAGE = Table(
    "stage_verdict_spans",
    stages,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("address", name(45)),
    Column("since", UtcDateTime),
    Column("until", UtcDateTime),
    *fact_columns(),
    Column("sealed_text", Text),
    Column("snapshot_gap", String(20)),
    prefixes=["TEMPORARY"],
)
OF_ADDRESS = Index("ix_stage_verdict_spans", STAGE.c.address)

GENERATION = 2**32
"""By what the numbers of verdicts of one generation are apart from those of the next."""

PROCESS = randbits(30)
"""What the generations of this process begin at: a pool of connections may give one with verdicts of another."""


def settle_plain(
    connection: Connection,
    shape: SchemaFeatures,
    page: RowPage,
    verdicts: Verdicts,
    *,
    began_at: ColumnElement[datetime],
    is_blank: ColumnElement[bool],
    run: str,
    learned_until: datetime | None,
) -> PushdownResult | None:
    """
    Settle the plain rows of a page of which the verdict is remembered.

    Args:
        connection: With a transaction.
        shape: What the database has beside our definitions.
        page: The rows.
        verdicts: What is remembered.
        began_at: When a session began, as far as its row tells.
        is_blank: Whether nothing stands where facts are written.
        run: The run that writes.
        learned_until: The newest learned_at when the verdicts were reached; None if there was none.

    Returns:
        None if the page is empty.
    """
    if not page.size:
        return None
    stage_spans(connection, verdicts)
    plain = _plain(connection, shape, page, began_at, is_blank)
    known = select(STAGE.c.address).where(STAGE.c.address == plain.c.ip).exists()
    placeholders = adding(shape, select(plain.c.ip).where(plain.c.was_empty, known).subquery())
    span = STAGE.c
    seals = span.snapshot_gap.is_(None)
    seen = f"||{int(SightingKind.OTHER)}|"  # by no port, and by any event
    sealed_text = plain.c.session_id + "|" + plain.c.ip + seen + moment_shown(connection, plain.c.at)
    writing = (
        update(session_summaries)
        .where(
            page.place == plain.c.place,
            S.session_id == plain.c.session_id,
            span.address == plain.c.ip,
            span.since <= plain.c.at,
            span.until > plain.c.at,
            not_(is_sealed()),
            S.snapshot_gap.is_(None),
        )
        .values(
            {column: span[column] for column in (*STATED, "snapshot_gap")}
            | {
                "source_ip": plain.c.ip,
                "source_ip_rank": int(SightingKind.OTHER),
                "source_ip_seen_at": plain.c.at,
                "source_ip_run": run,
                "source_ip_was": S.source_ip,
                "snapshot_run": case((seals, run)),
                "snapshot_seal": case((seals, digest_of(connection, sealed_text + "|" + span.sealed_text + "|" + run))),
                "gap_checked_at": case((~seals, literal(learned_until, S.gap_checked_at.type))),
                "gap_run": case((~seals, run)),
            }
        )
        .returning(S.snapshot_method, S.snapshot_gap, S.source_ip_was.is_(None).label("was_found"))
    )
    if placeholders is not None:
        writing = writing.add_cte(placeholders.cte("placeholders"))
    with seeking(connection):
        done = counted_returns(connection, writing)
    counted: Counter[Method | Gap] = Counter()
    for (method, gap, _), count in done.items():
        counted[Gap(gap) if gap is not None else Method(method)] += count
    count_seals(connection, run, sum(count for kind, count in counted.items() if isinstance(kind, Method)))
    found = sum(count for (_, _, is_found), count in done.items() if is_found)
    return PushdownResult(page.last, page.size - done.total(), counted, found)


def stage_spans(connection: Connection, verdicts: Verdicts) -> StagedVerdicts:
    """Stage what is not staged yet; a transaction that was rolled back took what it had staged with it."""
    first = max(_staged(connection, verdicts.generation), verdicts.before)
    packed = pack(connection, _rows(connection, verdicts, first))
    add(connection, STAGE, packed)
    size = max(0, verdicts.before + len(verdicts.spans) - first)
    return StagedVerdicts(verdicts.generation, first, size, packed)


def stage_too(connection: Connection, staged: Sequence[StagedVerdicts]) -> None:
    """Stage what `stage_spans` staged by another connection to a database of the same kind, but for what is here."""
    if not staged:
        return
    known = _staged(connection, staged[0].generation)
    new = []
    for each in staged:
        if each.before >= known:
            new.append(typed(Packed, each.form))
            known = each.before + each.size
    add(connection, STAGE, *new)


def _staged(connection: Connection, generation: int) -> int:
    """Return how many verdicts of a generation are staged, or were let go before; those of others are dropped."""
    connection.execute(CreateTable(STAGE, if_not_exists=True))
    connection.execute(CreateIndex(OF_ADDRESS, if_not_exists=True))
    last = connection.execute(select(func.max(STAGE.c.number))).scalar()
    of_generation, known = divmod(last, GENERATION) if last is not None else (-1, 0)
    if of_generation == PROCESS + generation:
        return int(known)
    empty(connection, STAGE)
    return 0


def _rows(connection: Connection, verdicts: Verdicts, known: int) -> Iterator[tuple[object, ...]]:
    stored = moment_as_stored(connection)
    seals = SealBuilder("", stored)
    first = (PROCESS + verdicts.generation) * GENERATION + 1
    for number, (address, since, until, verdict) in enumerate(verdicts.spans[known - verdicts.before :], known):
        if address == UNKNOWN_ADDRESS:
            continue
        span = (first + number, address, stored(since), stored(until))
        if isinstance(verdict, IpSnapshot):
            facts, sealed_text = seals.part(verdict)
            yield (*span, *facts, sealed_text, None)
        else:
            yield (*span, *(None for _ in STATED), None, verdict.value)


def _plain(
    connection: Connection,
    shape: SchemaFeatures,
    page: RowPage,
    began_at: ColumnElement[datetime],
    is_blank: ColumnElement[bool],
) -> CTE:
    """Return the place, name, address and time of the plain rows of a page."""
    ip: ColumnElement[str] = S.source_ip
    if shape.has_session_documents:
        ip = case((S.source_ip.is_not(None), S.source_ip), (~_has_events(shape), address_in_document(connection)))
    at = type_coerce(began_at, UtcDateTime)
    columns = [page.place.label("place"), S.session_id, by_bytes(connection, ip).label("ip"), at.label("at")]
    rows = select(*columns, S.source_ip.is_(None).label("was_empty")).where(
        page.condition,
        is_blank,
        and_(*(S[column].is_(None) for column in ("source_port", "source_ip_rank", "source_ip_seen_at"))),
        is_plain_moment(connection, at),
    )
    return by_neighbours(connection, rows, "ip").cte("plain").prefix_with("MATERIALIZED")


def _has_events(shape: SchemaFeatures) -> ColumnElement[bool]:
    """Whether raw events are kept of a session: they come before documents, and only the program reads them."""
    raw = shape.raw_events
    return false() if raw is None else select(raw.c.session_id).where(raw.c.session_id == S.session_id).exists()
