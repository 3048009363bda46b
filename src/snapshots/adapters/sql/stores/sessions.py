"""Store sessions, in SQL."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    and_,
    case,
    func,
    or_,
    select,
    true,
    union_all,
)

from snapshots.adapters.sql.connection.dialects.statements import count_returned_rows, insert, select_texts
from snapshots.adapters.sql.connection.dialects.timestamps import record_time_encoder, timestamp_encoder
from snapshots.adapters.sql.connection.staging import fill_staging, pack_rows, staging_table_for
from snapshots.adapters.sql.rows.behaviour_columns import BEHAVIOUR_COLUMNS
from snapshots.adapters.sql.rows.fingerprints import SqlFingerprints, is_full
from snapshots.adapters.sql.rows.row_decoder import summary_in
from snapshots.adapters.sql.rows.session_encoder import COLUMNS, SessionRows
from snapshots.adapters.sql.rows.session_logins import SqlSessionLogins
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.schema.tables import FOUND_COLUMNS, SNAPSHOT_COLUMNS, is_sealed, session_summaries
from snapshots.adapters.sql.stores.inventory import learned_last
from snapshots.adapters.sql.stores.placeholders import AddressPlaceholders
from snapshots.adapters.sql.stores.runs import other_live_runs
from snapshots.adapters.sql.stores.seal_counts import count_seals
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap

STAGING = staging_table_for(session_summaries, COLUMNS)


class SqlSessionStore:
    """Sessions as rows of `session_summaries`."""

    def __init__(self, connection: Connection, features: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._table = features.into(session_summaries)
        self._is_shared = features is not OURS
        self._fingerprints = SqlFingerprints(connection)
        self._placeholders = AddressPlaceholders(connection, features)
        self._logins = SqlSessionLogins(connection)

    def find_summaries(self, events: Mapping[str, Collection[int]]) -> Mapping[str, Sequence[SessionSummary]]:
        """Return the sessions of each logged id and lock them; long sessions take further queries."""
        sessions = session_summaries.c
        wanted = select_texts(self._connection, events.keys()).cte("wanted")
        names = union_all(
            select(sessions.session_id).join(wanted, sessions.session_id == wanted.c.value),
            select(sessions.session_id).join(wanted, sessions.logged_id == wanted.c.value),
        )
        query = (
            select(session_summaries)
            .where(sessions.session_id.in_(names))
            .order_by(sessions.session_id)
            .with_for_update()  # on PostgreSQL; on SQLite the whole transaction has the write lock
        )
        found: defaultdict[str, list[SessionSummary]] = defaultdict(list)
        long: dict[str, str] = {}
        for row in self._connection.execute(query).mappings():
            summary = summary_in(row)
            logged_id = summary.logged_id or summary.session_id
            found[logged_id].append(summary)
            if is_full(row["event_fingerprints"]):
                long[summary.session_id] = logged_id
        return self._with_long(found, long, events) if long else dict(found)

    def _with_long(
        self,
        found: Mapping[str, Sequence[SessionSummary]],
        long: Mapping[str, str],
        events: Mapping[str, Collection[int]],
    ) -> Mapping[str, Sequence[SessionSummary]]:
        """Complete long sessions: with fingerprints from the table, and the time until which another loader counted."""
        known = self._fingerprints.among(long, events)
        counts = self._fingerprints.count(long) if self._is_shared else None

        def completed(summary: SessionSummary) -> SessionSummary:
            name, until = summary.session_id, summary.counted_until
            if name not in long:
                return summary
            if counts is not None and len(summary.fingerprints) + counts.get(name, 0) < summary.event_count:
                until = until or summary.last_event_at
            marks = summary.fingerprints.union(known.get(name, ()))
            return summary._replace(fingerprints=marks, counted_until=until)

        return {logged_id: [completed(summary) for summary in summaries] for logged_id, summaries in found.items()}

    def logins_of(self, names: Collection[str]) -> Mapping[str, Sequence[StoredLogin]]:
        """Return the login attempts of sessions, with the text of passwords that are stored."""
        return self._logins.of(names)

    def save(self, sessions: Collection[SessionSummary | NewSession], *, run: str, saved_at: datetime) -> None:
        """Upsert sessions in one statement; snapshot columns of sealed rows do not change."""
        if not sessions:
            return
        learned_until = self._connection.execute(select(learned_last())).scalar()
        stored, stored_text = timestamp_encoder(self._connection), record_time_encoder(self._connection)
        rows = SessionRows(run, saved_at, stored, learned_until, stored_text=stored_text)
        staged = (rows.new_row(each) if isinstance(each, NewSession) else rows.row(each) for each in sessions)
        fill_staging(self._connection, STAGING, pack_rows(self._connection, staged))
        self._placeholders.add(select(STAGING.c.source_ip).subquery())
        statement = insert(self._connection, self._table).from_select(COLUMNS, select(STAGING).where(true()))
        held, offered = session_summaries.c, statement.excluded
        sealed = is_sealed()
        kept = {name: case((sealed, held[name]), else_=offered[name]) for name in SNAPSHOT_COLUMNS}
        replaced: dict[str, ColumnElement[Any]] = {
            name: offered[name]
            for name in COLUMNS
            if name not in (*SNAPSHOT_COLUMNS, "session_id", "logged_id", "created_at")
        }
        has_new_events = held.event_count.is_distinct_from(offered.event_count)
        replaced["updated_at"] = case((has_new_events, offered.updated_at), else_=held.updated_at)
        # Values of another loader stay where ours are NULL.
        replaced |= {name: func.coalesce(offered[name], held[name]) for name in BEHAVIOUR_COLUMNS}
        # An address that a backfill found stays attributed to it until a load reads the address itself.
        seen = ("source_ip", "source_ip_seen_at", "source_ip_rank")
        is_as_found = or_(sealed, and_(*(held[name].is_not_distinct_from(offered[name]) for name in seen)))
        kept |= {name: case((is_as_found, held[name])) for name in FOUND_COLUMNS}
        upsert = statement.on_conflict_do_update(
            index_elements=[held.session_id],
            set_=replaced
            | kept
            | {
                "snapshot_gap": case((sealed, None), else_=offered.snapshot_gap),
                "gap_checked_at": case((sealed, None), else_=offered.gap_checked_at),
                "gap_run": case((sealed, None), else_=offered.gap_run),
            },
        )
        self._execute_upsert(upsert, sessions, run)
        self._fingerprints.add(sessions)
        self._logins.add(sessions)

    def _execute_upsert(self, upsert: Insert, sessions: Collection[SessionSummary | NewSession], run: str) -> None:
        """Execute the upsert, and add the number of newly sealed sessions to the record."""
        if all(session.snapshot is None for session in sessions):
            self._connection.execute(upsert)
            return
        # Only stored sessions can be sealed by this run already: the others are new, and no other process writes as it.
        before = self._sealed_by(run, [each.session_id for each in sessions if not isinstance(each, NewSession)])
        by_run = count_returned_rows(self._connection, upsert.returning(session_summaries.c.snapshot_run))
        count_seals(self._connection, run, by_run[run,] - before)

    def _sealed_by(self, run: str, names: Collection[str]) -> int:
        """Count how many of these sessions a run sealed."""
        if not names:
            return 0
        held = session_summaries.c
        # FILTER and not WHERE: PostgreSQL would expect few rows of the run in a new table, and scan it for each name.
        count = func.count().filter(held.snapshot_run == run)
        return self._connection.execute(
            select(count).where(held.session_id.in_(select_texts(self._connection, names)))
        ).scalar_one()

    def find_waiting(
        self, *, run: str, stale_before: datetime, after: str, limit: int, quiet_since: datetime | None = None
    ) -> Sequence[SessionSummary]:
        """Return a page of sessions that await their connect and that belong to no other live run."""
        sessions = session_summaries.c
        query = (
            select(session_summaries)
            .where(
                sessions.snapshot_gap == Gap.AWAITING_CONNECT.value,
                sessions.session_id > after,
                sessions.gap_run.not_in(other_live_runs(run, stale_before)),
            )
            .order_by(sessions.session_id)
            .limit(limit)
        )
        if quiet_since is not None:
            query = query.where(sessions.last_event_at < quiet_since)
        return [summary_in(row) for row in self._connection.execute(query).mappings()]
