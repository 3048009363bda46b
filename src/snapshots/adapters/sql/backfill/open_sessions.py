"""The sessions without a snapshot, in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    TextClause,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    update,
)

from snapshots.adapters.sql.backfill.physical_scan import UnjudgedRows
from snapshots.adapters.sql.backfill.verdict_pushdown import apply_to_plain_rows
from snapshots.adapters.sql.backfill.verdict_rows import STAGE, verdict_rows
from snapshots.adapters.sql.backfill.verdict_spans import SqlVerdictSpans
from snapshots.adapters.sql.connection.dialects.planner import prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.dialects.timestamps import is_plain_timestamp, timestamp_encoder
from snapshots.adapters.sql.connection.keyset import is_after, position_of
from snapshots.adapters.sql.connection.staging import (
    FACT_COLUMN_NAMES,
    fill_staging,
    pack_rows,
    staged_rows,
)
from snapshots.adapters.sql.rows.row_decoder import address_of, sighting_of
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.schema.tables import (
    FACTS,
    SNAPSHOT_COLUMNS,
    UNJUDGED,
    is_sealed,
    known_addresses,
    quarantined_sessions,
    session_summaries,
)
from snapshots.adapters.sql.stores.corrections import SqlAudit
from snapshots.adapters.sql.stores.inventory import learned_last
from snapshots.adapters.sql.stores.placeholders import AddressPlaceholders
from snapshots.adapters.sql.stores.runs import other_live_runs
from snapshots.adapters.sql.stores.seal_counts import count_seals
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.open_sessions import Judged, OpenCase, OpenPage, OpenSession, PushdownResult
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS
from snapshots.domain.snapshot.gap import Gap

SESSIONS = session_summaries.c
SEEN = [
    SESSIONS[column]
    for column in ("session_id", "source_ip", "snapshot_gap", "source_ip_seen_at", "source_ip_rank", "source_port")
]
BEGAN_AT = func.coalesce(SESSIONS.first_event_at, SESSIONS.last_event_at, SESSIONS.created_at)
CONNECT = "cowrie.session.connect"

RETRYABLE_GAPS = sorted(gap.value for gap in Gap if gap.is_retryable)

MOST_ADDRESSES = 10_000
"""Up to this many addresses with new facts, open sessions are queried by address instead of scanned."""

SEEN_COLUMNS = tuple(column for column in SNAPSHOT_COLUMNS if column.startswith("source_"))


class SqlOpenSessions:
    """Rows of `session_summaries` without a snapshot."""

    def __init__(self, connection: Connection, audit: SqlAudit, features: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._audit = audit
        self._features = features
        self._unjudged = UnjudgedRows(connection)
        self._placeholders = AddressPlaceholders(connection, features)

    def page(self, case: OpenCase, *, run: str, stale_before: datetime, after: str, limit: int) -> OpenPage:
        """
        Return a page of open sessions.

        Never judged sessions come in physical order, all others by id.
        """
        if case is OpenCase.NEVER_JUDGED and not after and self._unjudged.is_empty:
            return OpenPage([], "")
        columns = [*SEEN, BEGAN_AT, _is_blank(), self._document()]
        within = KeyRange(after, "")
        rows, last = self._rows_of(columns, case, run, stale_before, within=within, limit=limit)
        no_address = [row[1] for row in rows if address_of(row[2]) is None]
        events = self._events_of(no_address)
        return OpenPage([_open_session(row, events.get(row[1], ())) for row in rows], last)

    def first(self, case: OpenCase, *, run: str, stale_before: datetime, within: KeyRange) -> tuple[str, str] | None:
        """Return the first open session of a case."""
        rows, last = self._rows_of([SESSIONS.session_id], case, run, stale_before, within=within, limit=1)
        while last and not rows:
            left = KeyRange(last, within.until)
            rows, last = self._rows_of([SESSIONS.session_id], case, run, stale_before, within=left, limit=1)
        return (last, rows[0][1]) if rows else None

    def _rows_of(
        self,
        columns: Sequence[ColumnElement[Any]],
        case: OpenCase,
        run: str,
        stale_before: datetime,
        *,
        within: KeyRange,
        limit: int,
    ) -> tuple[Sequence[Any], str]:
        """Return columns of the first sessions of a range, each with its position, and the last position."""
        page = None
        if case is OpenCase.NEVER_JUDGED:
            page = self._unjudged.page(within, run=run, limit=limit)
        if page is not None:
            rows = (
                self._connection.execute(select(page.place, *columns).where(page.condition)).all() if page.size else []
            )
            return rows, page.last  # even if another process wrote all of them meanwhile
        query = self._filter(select(SESSIONS.session_id, *columns), case, run, stale_before)
        query = query.where(is_after(SESSIONS.session_id, within.after)).order_by(SESSIONS.session_id).limit(limit)
        rows = self._connection.execute(query).all()
        return rows, position_of(rows[-1][0]) if rows else ""

    def count(self, case: OpenCase, *, run: str, stale_before: datetime) -> int:
        """Count the open sessions of a case."""
        if case is OpenCase.NEVER_JUDGED:
            return self._unjudged.count(run=run)
        query = self._filter(select(func.count()).select_from(session_summaries), case, run, stale_before)
        return int(self._connection.execute(query).scalar_one())

    def times_of_unjudged(self) -> tuple[datetime, datetime] | None:
        """Return the time of the first and of the last never judged session, without unreadable times."""
        is_valid = is_plain_timestamp(self._connection, BEGAN_AT)
        query = select(func.min(BEGAN_AT), func.max(BEGAN_AT)).where(_is_unjudged(), is_valid)
        first, last = self._connection.execute(query).one()
        return None if first is None else (first, last)

    def _filter(self, query: Select[Any], case: OpenCase, run: str, stale_before: datetime) -> Select[Any]:
        quarantined = select(quarantined_sessions.c.session_id).where(quarantined_sessions.c.run == run)
        if self._connection.execute(quarantined.limit(1)).first() is not None:
            query = query.where(SESSIONS.session_id.not_in(quarantined))
        if case is OpenCase.NEVER_JUDGED:
            return query.where(_is_unjudged())
        query = query.where(not_(is_sealed()), not_(_may_get_connect(run, stale_before)))
        if case is OpenCase.UNDONE:
            return query.where(SESSIONS.snapshot_gap == Gap.UNDONE.value)
        if case is OpenCase.LEARNED:
            query = query.join(known_addresses, known_addresses.c.ip_address == SESSIONS.source_ip)
            return query.where(_has_new_facts())
        others = SESSIONS.gap_run.is_distinct_from(run)
        return query.where(SESSIONS.snapshot_gap.is_not(None), SESSIONS.snapshot_gap != Gap.UNDONE.value, others)

    def _document(self) -> ColumnElement[Any]:
        """Return the enrichment document of a session without an address, as text; NULL for other sessions."""
        if not self._features.has_session_documents:
            return literal(None)
        is_no_address = and_(SESSIONS.source_ip.not_like("%.%"), SESSIONS.source_ip.not_like("%:%"))
        is_nowhere = or_(SESSIONS.source_ip.is_(None), SESSIONS.source_ip == UNKNOWN_ADDRESS, is_no_address)
        return case((is_nowhere, cast(literal_column("session_summaries.enrichment"), Text)))

    def _events_of(self, sessions: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the raw events of sessions: the connects, or all events of a session without a connect."""
        raw = self._features.raw_events
        if raw is None or not sessions:
            return {}
        found: dict[str, list[str]] = {}
        if "event_type" in raw.c:
            self._read_events(found, sessions, raw.c.event_type == CONNECT)
        self._read_events(found, [session for session in sessions if session not in found], true())
        return found

    def _read_events(
        self, found: dict[str, list[str]], sessions: Collection[str], condition: ColumnElement[bool]
    ) -> None:
        raw = self._features.raw_events
        if raw is None or not sessions:
            return
        wanted = select_texts(self._connection, sessions).cte("wanted")
        query = select(raw.c.session_id, cast(raw.c.payload, Text)).join(wanted, wanted.c.value == raw.c.session_id)
        for session_id, payload in self._connection.execute(query.where(condition)):
            found.setdefault(session_id, []).append(payload)

    @property
    def can_apply_staged(self) -> bool:
        """Whether pages follow the physical order."""
        return self._unjudged.have_physical_order

    def key_ranges(self, count: int) -> Sequence[KeyRange]:
        """Return key ranges in physical order."""
        return self._unjudged.key_ranges(count)

    def may_have_learned(self, *, since: datetime | None) -> bool:
        """Find open sessions by the addresses with new facts, or scan all if there are too many such addresses."""
        row = known_addresses.c
        is_later = row.learned_at.is_not(None) if since is None else row.learned_at > since
        query = select(row.ip_address).where(is_later).limit(MOST_ADDRESSES + 1)
        addresses = self._connection.execute(query).scalars().all()
        if not 0 < len(addresses) <= MOST_ADDRESSES:
            return bool(addresses)
        theirs = select(SESSIONS.session_id).join(known_addresses, row.ip_address == SESSIONS.source_ip)
        theirs = theirs.where(
            SESSIONS.source_ip.in_(select_texts(self._connection, addresses)), not_(is_sealed()), _has_new_facts()
        )
        return self._connection.execute(theirs.limit(1)).first() is not None

    def apply_staged(
        self,
        *,
        run: str,
        within: KeyRange,
        limit: int,
        learned_until: datetime | None,
        is_forecast: bool = False,
    ) -> PushdownResult | None:
        """Apply staged verdicts to a page in physical order."""
        page = self._unjudged.page(within, run=run, limit=limit)
        if page is None or not page.size or not SqlVerdictSpans(self._connection).exists:
            return None
        return apply_to_plain_rows(
            self._connection,
            self._features,
            page,
            began_at=BEGAN_AT,
            is_blank=_is_blank(),
            run=run,
            learned_until=learned_until,
            is_forecast=is_forecast,
        )

    def write_verdicts(self, judged: Collection[Judged], *, run: str, written_at: datetime) -> Collection[str]:
        """Seal sessions, or write why they stay open, in one statement over staged rows."""
        if not judged:
            return ()
        count = len(judged)
        rows = verdict_rows(judged, run, timestamp_encoder(self._connection))
        fill_staging(self._connection, STAGE, pack_rows(self._connection, rows))
        new = select(STAGE.c.source_ip).where(STAGE.c.source_ip.is_distinct_from(STAGE.c.stored_ip))
        self._placeholders.add(new.subquery())
        staged = staged_rows(STAGE, count).c
        seals = staged.snapshot_seal.is_not(None)
        writes_source = staged.source_ip_run.is_not(None)
        writes_facts = and_(_is_blank(), seals)
        writing = (
            update(session_summaries)
            .where(
                SESSIONS.session_id == staged.session_id,
                not_(is_sealed()),
                SESSIONS.source_ip.is_not_distinct_from(staged.stored_ip),
                SESSIONS.snapshot_gap.is_not_distinct_from(staged.stored_gap),
            )
            .values(
                # A row with placeholder codes is sealed by the audit below; while it is open it keeps them.
                {c: case((or_(_is_blank(), ~seals), staged[c]), else_=SESSIONS[c]) for c in SEEN_COLUMNS}
                | {c: case((writes_facts, staged[c]), else_=SESSIONS[c]) for c in (*FACT_COLUMN_NAMES, "snapshot_seal")}
                | {
                    "source_ip_run": case((writes_source, staged.source_ip_run), else_=SESSIONS.source_ip_run),
                    "source_ip_was": case((writes_source, staged.stored_ip), else_=SESSIONS.source_ip_was),
                    "snapshot_run": case((writes_facts, literal(run))),
                    "snapshot_gap": staged.snapshot_gap,
                    "gap_checked_at": case((~seals, learned_last())),
                    "gap_run": case((~seals, literal(run))),
                }
            )
            # Not `is_not(None)`: SQLite 3.40 takes it for always true in RETURNING of UPDATE FROM.
            .returning(SESSIONS.session_id, SESSIONS.snapshot_run)
        )
        with prefer_index_scans(self._connection):
            written = dict(tuple(row) for row in self._connection.execute(writing))
        count_seals(self._connection, run, sum(sealing_run is not None for sealing_run in written.values()))
        if any(each.session.has_placeholders for each in judged):
            self._seal_over_placeholders(written, run, written_at)
        if len(written) == count:
            return ()
        return set(self._connection.execute(select(STAGE.c.session_id)).scalars()) - written.keys()

    def _seal_over_placeholders(self, written: Collection[str], run: str, written_at: datetime) -> None:
        """Seal rows with placeholder codes through the audit, so that an undo can restore the codes."""
        of_row = STAGE.c.session_id == SESSIONS.session_id
        new: dict[str, ColumnElement[Any]] = {
            column: select(STAGE.c[column]).where(of_row).scalar_subquery()
            for column in SNAPSHOT_COLUMNS
            if column != "snapshot_run"
        }
        new["snapshot_run"] = literal(run)
        sealing = SESSIONS.session_id.in_(select(STAGE.c.session_id).where(STAGE.c.snapshot_seal.is_not(None)))
        condition = and_(
            SESSIONS.session_id.in_(select_texts(self._connection, written)), sealing, ~_is_blank(), not_(is_sealed())
        )
        self._audit.insert_corrections(new, condition, reason="backfill", run=run, made_at=written_at)


def _is_blank() -> ColumnElement[bool]:
    """Whether all fact columns are NULL; another loader may have written placeholder codes."""
    return and_(SESSIONS.enrichment_at.is_(None), *(SESSIONS[fact].is_(None) for fact in FACTS))


def _has_new_facts() -> ColumnElement[bool]:
    """Whether the address of an open session has facts that are newer than its gap decision."""
    learned_at = known_addresses.c.learned_at
    is_new = or_(SESSIONS.gap_checked_at.is_(None), learned_at > SESSIONS.gap_checked_at)
    return and_(SESSIONS.snapshot_gap.in_(RETRYABLE_GAPS), learned_at.is_not(None), is_new)


def _is_unjudged() -> TextClause:
    return text(UNJUDGED.format(row="session_summaries."))


def _may_get_connect(run: str, stale_before: datetime) -> ColumnElement[bool]:
    """Whether a live run may still read the connect of a session."""
    return and_(
        SESSIONS.snapshot_gap == Gap.AWAITING_CONNECT.value, SESSIONS.gap_run.in_(other_live_runs(run, stale_before))
    )


def _open_session(row: Any, events: Sequence[str]) -> OpenSession:
    _, session_id, source_ip, gap, seen_at, rank, port, began_at, is_blank, document = row
    return OpenSession(
        session_id=session_id,
        sighting=sighting_of(source_ip, seen_at or began_at, rank, port),
        stored_ip=source_ip,
        stored_gap=gap,
        has_sighting_time=seen_at is not None and rank is not None,
        began_at=began_at,
        has_placeholders=not is_blank,
        events=events,
        document=document,
    )
