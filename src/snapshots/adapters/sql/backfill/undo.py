"""Undo the writes of a run, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)

from snapshots.adapters.sql.connection.dialects.expressions import compared_by_bytes
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.keyset import is_after, is_within_any, position_of
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.schema.tables import (
    SNAPSHOT_COLUMNS,
    is_sealed,
    known_addresses,
    session_summaries,
    snapshot_corrections,
)
from snapshots.adapters.sql.stores.address_counters import was_found_by
from snapshots.adapters.sql.stores.corrections import SqlAudit
from snapshots.adapters.sql.stores.placeholders import AddressPlaceholders
from snapshots.app.ports.audit import UndonePage
from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.snapshot.gap import Gap

SESSIONS, C = session_summaries.c, snapshot_corrections.c
SEEN = ("source_port", "source_ip_rank", "source_ip_seen_at")


class SqlRunUndo:
    """Corrections that restore the values of `session_summaries` from before a run."""

    def __init__(self, connection: Connection, audit: SqlAudit, features: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._audit = audit
        self._placeholders = AddressPlaceholders(connection, features)

    def undo(
        self, run: str, *, by: str, uncounted: Sequence[KeyRange], after: str, limit: int, at: datetime
    ) -> UndonePage:
        """Undo a page of sessions, in the order of their ids."""
        # A session that another run sealed since keeps the address that this run found.
        wrote = or_(SESSIONS.snapshot_run == run, and_(SESSIONS.source_ip_run == run, ~is_sealed()))
        page = (
            select(SESSIONS.session_id)
            .where(wrote, is_after(SESSIONS.session_id, after))
            .order_by(SESSIONS.session_id)
            .limit(limit)
        )
        names = self._connection.execute(page.with_for_update()).scalars().all()
        if not names:
            return UndonePage(last="")
        among = SESSIONS.session_id.in_(select_texts(self._connection, names))
        sealed = and_(among, SESSIONS.snapshot_run == run)
        sources = self._connection.execute(select(SESSIONS.snapshot_source).where(sealed).distinct()).scalars().all()
        written = (
            select(SESSIONS.source_ip)
            .where(among, SESSIONS.source_ip_run == run, SESSIONS.source_ip.is_not(None))
            .distinct()
        )
        addresses = self._connection.execute(written).scalars().all() if self._placeholders.are_needed else ()
        counts = self._counts(and_(among, was_found_by(SESSIONS, run)), uncounted)
        before = exists().where(C.session_id == SESSIONS.session_id, C.run == run)
        restored = self._restore(and_(sealed, before), run, by, at)
        opened = self._open(and_(sealed, ~before), run, by, at)
        forgotten = self._clear_found_addresses(and_(among, ~is_sealed()), run, by, at)
        self._subtract_session_counts(counts, at)
        self._placeholders.delete_unused(addresses)
        return UndonePage(
            last=position_of(names[-1]),
            opened=opened,
            restored=restored,
            forgotten=forgotten,
            sources=frozenset(label for labels in sources for label in (labels or "").split()),
        )

    def _restore(self, condition: ColumnElement[bool], run: str, by: str, at: datetime) -> int:
        """Restore the values that corrections of the run replaced."""
        replaced: Mapping[str, ColumnElement[Any]] = {
            column: select(C[f"old_{column}"])
            .where(C.session_id == SESSIONS.session_id, C.run == run)
            .order_by(C.id.desc())
            .limit(1)
            .scalar_subquery()
            for column in SNAPSHOT_COLUMNS
        }
        return self._audit.insert_corrections(replaced, condition, reason=f"undo {run}", run=by, made_at=at)

    def _open(self, condition: ColumnElement[bool], run: str, by: str, at: datetime) -> int:
        """Remove the snapshot, and the sighting if the run wrote it."""
        wrote_it = SESSIONS.source_ip_run == run
        new: dict[str, ColumnElement[Any]] = dict.fromkeys(SNAPSHOT_COLUMNS, null())
        new["source_ip"] = case((wrote_it, SESSIONS.source_ip_was), else_=SESSIONS.source_ip)
        new |= {column: case((wrote_it, null()), else_=SESSIONS[column]) for column in SEEN}
        return self._audit.insert_corrections(new, condition, reason=f"undo {run}", run=by, made_at=at)

    def _clear_found_addresses(self, condition: ColumnElement[bool], run: str, by: str, at: datetime) -> int:
        """Remove the sighting that the run wrote from open sessions, and set their gap."""
        wrote_it = SESSIONS.source_ip_run == run
        found = and_(condition, was_found_by(SESSIONS, run))
        forgotten = self._connection.execute(select(func.count()).select_from(session_summaries).where(found))
        count = int(forgotten.scalar_one())
        now = literal(at, SESSIONS.updated_at.type)
        self._connection.execute(
            update(session_summaries)
            .where(condition)
            .values(
                {column: case((wrote_it, null()), else_=SESSIONS[column]) for column in (*SEEN, "source_ip_run")}
                | {
                    "source_ip": case((wrote_it, SESSIONS.source_ip_was), else_=SESSIONS.source_ip),
                    "source_ip_was": case((wrote_it, null()), else_=SESSIONS.source_ip_was),
                    "snapshot_gap": Gap.UNDONE.value,
                    "gap_checked_at": now,
                    "gap_run": by,
                }
            )
        )
        return count

    def _counts(self, condition: ColumnElement[bool], uncounted: Sequence[KeyRange]) -> Sequence[tuple[str, int]]:
        query = (
            select(SESSIONS.source_ip, func.count())
            .where(
                condition,
                SESSIONS.source_ip.is_not(None),
                not_(is_within_any(compared_by_bytes(self._connection, SESSIONS.source_ip), uncounted)),
            )
            .group_by(SESSIONS.source_ip)
            .order_by(SESSIONS.source_ip)
        )
        return [(address, count) for address, count in self._connection.execute(query)]

    def _subtract_session_counts(self, counts: Sequence[tuple[str, int]], at: datetime) -> None:
        """Subtract sessions from the counters of addresses, and recompute first_seen and last_seen."""
        if not counts:
            return
        row = known_addresses.c
        staying = SESSIONS.source_ip == row.ip_address
        first = select(func.min(SESSIONS.first_event_at)).where(staying).scalar_subquery()
        last = select(func.max(SESSIONS.last_event_at)).where(staying).scalar_subquery()
        more = row.session_count - bindparam("less")
        self._connection.execute(
            update(known_addresses)
            .where(row.ip_address == bindparam("address"))
            .values(
                session_count=case((more < 0, 0), else_=more),
                first_seen=func.coalesce(first, row.first_seen),
                last_seen=func.coalesce(last, row.last_seen),
                updated_at=literal(at, row.updated_at.type),
            ),
            [{"address": address, "less": count} for address, count in counts],
        )
