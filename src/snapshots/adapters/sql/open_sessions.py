"""The sessions without a snapshot, in SQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, not_, or_, select, update
from sqlalchemy import insert as plain_insert

from snapshots.adapters.sql.rows import seal_of, sighting_in, snapshot_columns
from snapshots.adapters.sql.sessions import STAGE
from snapshots.adapters.sql.tables import SNAPSHOT_COLUMNS, ip_inventory, is_sealed, runs, session_summaries
from snapshots.app.run_ports import RunState
from snapshots.app.session_ports import Judged, OpenSession
from snapshots.domain.gap import Gap
from snapshots.domain.source_ip import SightingKind

S = session_summaries.c
SEEN = [S[name] for name in ("session_id", "source_ip", "source_ip_seen_at", "source_ip_rank", "source_port")]
TIMES = [S[name] for name in ("first_event_at", "last_event_at", "created_at")]

MAY_CLOSE = sorted(gap.value for gap in Gap if gap.may_close)


class SqlOpenSessions:
    """Rows of `session_summaries` without a snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def learned_since(self, *, run: str, silent_since: datetime, after: str, limit: int) -> Sequence[OpenSession]:
        """Return a page of open sessions whose address learned something since their gap was judged."""
        query = (
            select(*SEEN, *TIMES)
            .join(ip_inventory, ip_inventory.c.ip_address == S.source_ip)
            .where(
                S.snapshot_gap.in_(MAY_CLOSE),
                not_(is_sealed()),
                ip_inventory.c.learned_at > S.gap_checked_at,
                S.session_id > after,
                not_(_awaits_a_connect(run, silent_since)),
            )
            .order_by(S.session_id)
            .limit(limit)
            .with_for_update(of=session_summaries)
        )
        return [
            OpenSession(session_id=row["session_id"], sighting=sighting_in(row))
            for row in self._connection.execute(query).mappings()
        ]

    def may_have_learned(self, *, since: datetime) -> bool:
        """Whether any address that was registered before a moment learned something since then."""
        row = ip_inventory.c
        query = select(row.ip_address).where(row.learned_at >= since, row.created_at < since).limit(1)
        return self._connection.execute(query).first() is not None

    def settle(self, judged: Collection[Judged], *, run: str, settled_at: datetime) -> int:
        """Seal sessions, or write why they stay open, in one statement over staged rows."""
        if not judged:
            return 0
        self._connection.execute(delete(STAGE))
        self._connection.execute(plain_insert(STAGE), [_row(each, run, settled_at) for each in judged])
        written = [*SNAPSHOT_COLUMNS, "snapshot_gap", "gap_checked_at", "gap_run", "updated_at"]
        done = self._connection.execute(
            update(session_summaries)
            .where(S.session_id == STAGE.c.session_id, not_(is_sealed()))
            .values({name: STAGE.c[name] for name in written})
        )
        return done.rowcount


def _awaits_a_connect(run: str, silent_since: datetime) -> ColumnElement[bool]:
    """Whether a run at work may still read the connect of a session."""
    at_work = select(runs.c.run).where(
        runs.c.state == RunState.RUNNING.value, runs.c.heard_at > silent_since, runs.c.run != run
    )
    lacks_a_connect = or_(S.source_ip_rank.is_(None), S.source_ip_rank > int(SightingKind.CONNECT))
    return and_(S.snapshot_gap == Gap.NEVER_LOOKED_UP.value, lacks_a_connect, S.gap_run.in_(at_work))


def _row(judged: Judged, run: str, settled_at: datetime) -> dict[str, Any]:
    gap = judged.verdict if isinstance(judged.verdict, Gap) else None
    snapshot = None if isinstance(judged.verdict, Gap) else judged.verdict
    row = {"session_id": judged.session.session_id} | snapshot_columns(judged.session.sighting, snapshot, run)
    return row | {
        "snapshot_seal": seal_of(row) if snapshot is not None else None,
        "snapshot_gap": gap.value if gap is not None else None,
        "gap_checked_at": settled_at if gap is not None else None,
        "gap_run": run if gap is not None else None,
        "updated_at": settled_at,
    }
