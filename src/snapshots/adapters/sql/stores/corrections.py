"""Correct and prune sealed sessions by audit rows, whose triggers make the change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    and_,
    case,
    delete,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)

from snapshots.adapters.sql.connection.dialects.expressions import digest_of
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.keyset import is_after, is_within_any, position_of
from snapshots.adapters.sql.connection.staging import driver_rows, fill_staging, pack_rows, staging_metadata
from snapshots.adapters.sql.rows.row_decoder import record_text, seal_of, sighting_in, snapshot_in
from snapshots.adapters.sql.rows.session_logins import SqlSessionLogins
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.schema.tables import (
    FACTS,
    SNAPSHOT_COLUMNS,
    is_sealed,
    known_addresses,
    metadata,
    session_summaries,
    snapshot_corrections,
    snapshot_prunings,
    states,
)
from snapshots.adapters.sql.stores.address_counters import was_found_by
from snapshots.adapters.sql.stores.placeholders import AddressPlaceholders
from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.audit import Pruned, SealedPage, SealedSession
from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS
from snapshots.domain.snapshot.snapshot import IpSnapshot

SESSIONS = session_summaries.c
CHANGED = tuple(column for column in SNAPSHOT_COLUMNS if not column.startswith("source_"))
"""Columns that a correction of facts changes."""

CASCADING_TABLES = [
    table
    for table in metadata.sorted_tables
    if any(key.column is SESSIONS.session_id and key.ondelete == "CASCADE" for key in table.foreign_keys)
]
"""Tables whose rows are deleted with their sessions."""

STAGING = Table(
    "stage_corrections",
    staging_metadata,
    *(Column(column, SESSIONS[column].type, primary_key=column == "session_id") for column in ("session_id", *CHANGED)),
    prefixes=["TEMPORARY"],
)


class SqlAudit:
    """Rows of `snapshot_corrections` and `snapshot_prunings`."""

    def __init__(self, connection: Connection, features: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._placeholders = AddressPlaceholders(connection, features)

    def correct(self, session_id: str, snapshot: IpSnapshot, *, reason: str, run: str, made_at: datetime) -> None:
        """Insert a correction, whose trigger changes the session."""
        query = select(session_summaries).where(SESSIONS.session_id == session_id).with_for_update()
        held = self._connection.execute(query).mappings().one()
        row = _changed(held, snapshot, run)
        changed = ("snapshot_seal", *(column for column in SNAPSHOT_COLUMNS if row[column] != held[column]))
        new = {column: literal(row[column], SESSIONS[column].type) for column in changed}
        self.insert_corrections(new, SESSIONS.session_id == session_id, reason=reason, run=run, made_at=made_at)

    def last_reason(self, session_id: str) -> str | None:
        """Return the reason in the newest row about the session."""
        corrections = snapshot_corrections.c
        newest = (
            select(corrections.reason)
            .where(corrections.session_id == session_id)
            .order_by(corrections.id.desc())
            .limit(1)
        )
        return self._connection.execute(newest).scalar()

    def sealed(self, *, after: str, limit: int) -> SealedPage:
        """Return a page of sealed sessions by id."""
        query = (
            select(session_summaries)
            .where(is_sealed(), is_after(SESSIONS.session_id, after))
            .order_by(SESSIONS.session_id)
            .limit(limit)
        )
        found, last = [], ""
        for row in self._connection.execute(query).mappings():
            last = position_of(row["session_id"])
            snapshot, sighting = snapshot_in(row), sighting_in(row)
            if snapshot is not None and sighting is not None:
                found.append(SealedSession(session_id=row["session_id"], sighting=sighting, snapshot=snapshot))
        return SealedPage(found, last)

    def replace(self, snapshots: Mapping[str, IpSnapshot], *, reason: str, run: str, made_at: datetime) -> None:
        """Insert corrections from staged rows in one statement."""
        if not snapshots:
            return
        held = select(session_summaries).where(SESSIONS.session_id.in_(select_texts(self._connection, list(snapshots))))
        rows = [
            _changed(row, snapshots[row["session_id"]], run)
            for row in self._connection.execute(held.with_for_update()).mappings()
        ]
        if len(rows) != len(snapshots):
            raise StoreUnavailable("a session to correct does not exist")
        fill_staging(
            self._connection, STAGING, pack_rows(self._connection, driver_rows(self._connection, STAGING, rows))
        )
        of_row = STAGING.c.session_id == SESSIONS.session_id
        new = {column: select(STAGING.c[column]).where(of_row).scalar_subquery() for column in CHANGED}
        staged = SESSIONS.session_id.in_(select(STAGING.c.session_id))
        self.insert_corrections(new, staged, reason=reason, run=run, made_at=made_at)

    def insert_corrections(
        self,
        new: Mapping[str, ColumnElement[Any]],
        which: ColumnElement[bool],
        *,
        reason: str,
        run: str,
        made_at: datetime,
    ) -> int:
        """Insert corrections with old values copied in SQL, so that they match exactly, whatever their format."""
        columns = {
            "session_id": SESSIONS.session_id,
            "reason": literal(reason),
            "run": literal(run),
            "made_at": literal(made_at, snapshot_corrections.c.made_at.type),
            **{f"old_{column}": SESSIONS[column] for column in SNAPSHOT_COLUMNS},
            **{f"new_{column}": new.get(column, SESSIONS[column]) for column in SNAPSHOT_COLUMNS},
            "digest": digest_of(self._connection, SESSIONS.session_id + literal(record_text(reason, run, made_at))),
        }
        held = select(*columns.values()).where(which).order_by(SESSIONS.session_id)
        made = snapshot_corrections.insert().from_select(list(columns), held)
        return self._connection.execute(made, execution_options={"preserve_rowcount": True}).rowcount

    def take_out_sentinels(self, *, reason: str, run: str, made_at: datetime) -> int:
        """Insert corrections that replace sentinels with NULL, in one statement."""
        sentinels = self.count_sentinels()
        new = {
            "source_ip": case((SESSIONS.source_ip != UNKNOWN_ADDRESS, SESSIONS.source_ip)),
            **{fact: case((states(fact), SESSIONS[fact])) for fact in FACTS},
            "enrichment_at": case((is_sealed(), SESSIONS.enrichment_at)),
        }
        self.insert_corrections(new, _holds_a_sentinel(), reason=reason, run=run, made_at=made_at)
        return sentinels

    def count_sentinels(self) -> int:
        """Count the sessions with a sentinel in place of a fact."""
        query = select(func.count()).select_from(session_summaries).where(_holds_a_sentinel())
        return self._connection.execute(query).scalar_one()

    def prune(
        self,
        before: datetime,
        *,
        run: str,
        made_at: datetime,
        uncounted: Mapping[str, Sequence[KeyRange]] | None = None,
    ) -> Pruned:
        """Insert a pruning, whose trigger deletes the sessions, and recount the sessions of their addresses."""
        going = (
            select(SESSIONS.source_ip)
            .where(SESSIONS.last_event_at < before, SESSIONS.source_ip.is_not(None))
            .distinct()
        )
        addresses = self._connection.execute(going).scalars().all()
        pruned_names = select(SESSIONS.session_id).where(SESSIONS.last_event_at < before)
        # Foreign keys, which would cascade, are off in an adopted SQLite database.
        for table in CASCADING_TABLES if self._connection.dialect.name == "sqlite" else ():
            self._connection.execute(delete(table).where(table.c.session_id.in_(pruned_names)))
        made = self._connection.execute(
            snapshot_prunings.insert().returning(snapshot_prunings.c.id),
            {"before": before, "run": run, "made_at": made_at, "sessions": -1, "events": -1},  # the trigger counts
        ).scalar_one()
        SqlSessionLogins(self._connection).delete_unused()
        own = session_summaries.alias()
        staying = own.c.source_ip == known_addresses.c.ip_address
        self._placeholders.delete_unused(addresses)
        will_be_counted = (
            and_(was_found_by(own.c, finder), is_within_any(known_addresses.c.ip_address, ranges))
            for finder, ranges in (uncounted or {}).items()
        )
        counts = and_(staying, not_(func.coalesce(or_(false(), *will_be_counted), false())))
        first = select(func.min(own.c.first_event_at)).where(staying).scalar_subquery()
        last = select(func.max(own.c.last_event_at)).where(staying).scalar_subquery()
        self._connection.execute(
            update(known_addresses)
            .where(known_addresses.c.ip_address.in_(select_texts(self._connection, addresses)))
            .values(
                session_count=select(func.count()).select_from(own).where(counts).scalar_subquery(),
                first_seen=func.coalesce(first, known_addresses.c.first_seen),
                last_seen=func.coalesce(last, known_addresses.c.last_seen),
                updated_at=literal(made_at, known_addresses.c.updated_at.type),
            )
        )
        row = snapshot_prunings.c
        sessions, events = self._connection.execute(select(row.sessions, row.events).where(row.id == made)).one()
        return Pruned(sessions=sessions, events=events)

    def would_prune(self, before: datetime) -> Pruned:
        """Count the sessions that ended before a moment."""
        query = select(func.count(), func.coalesce(func.sum(SESSIONS.event_count), 0)).where(
            SESSIONS.last_event_at < before
        )
        sessions, events = self._connection.execute(query).one()
        return Pruned(sessions=sessions, events=int(events))


def _changed(held: RowMapping, snapshot: IpSnapshot, run: str) -> dict[str, Any]:
    """Return a row with another snapshot and its seal."""
    row = dict(held) | {
        "snapshot_asn": snapshot.asn,
        "snapshot_country": snapshot.country,
        "snapshot_ip_type": snapshot.ip_type.value if snapshot.ip_type is not None else None,
        "enrichment_at": snapshot.enrichment_at,
        "snapshot_method": snapshot.method.value,
        "snapshot_source": snapshot.source,
        "snapshot_run": run,
    }
    return row | {"snapshot_seal": seal_of(row)}


def _holds_a_sentinel() -> ColumnElement[bool]:
    """Return the condition that another loader's snapshot has a pseudo country, AS0 or the unknown address."""
    has_facts = or_(*(SESSIONS[fact].is_not(None) for fact in FACTS))
    has_placeholder = or_(*(and_(SESSIONS[fact].is_not(None), not_(states(fact))) for fact in FACTS))
    return and_(
        SESSIONS.snapshot_method.is_(None), has_facts, or_(has_placeholder, SESSIONS.source_ip == UNKNOWN_ADDRESS)
    )
