"""Runs and the sessions that they quarantined, in SQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select, update

from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.schema.tables import quarantined_sessions, runs
from snapshots.app.ports.runs import RunKind, RunRecord, RunState


def other_live_runs(run: str, stale_before: datetime) -> Select[str]:
    """Return the query for other running runs whose last heartbeat is after *stale_before*."""
    row = runs.c
    return select(row.run).where(row.state == RunState.RUNNING.value, row.heartbeat_at > stale_before, row.run != run)


class SqlRuns:
    """Runs as rows of `runs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, run: str, kind: RunKind, *, at: datetime, settings: Mapping[str, str] | None = None) -> None:
        """Insert a running run unless it exists."""
        row = {"run": run, "kind": kind.value, "state": RunState.RUNNING.value, "began_at": at, "heartbeat_at": at}
        row |= {"settings": json.dumps(dict(settings or {}))}
        self._connection.execute(insert(self._connection, runs).on_conflict_do_nothing(), row)

    def record_progress(
        self, run: str, counts: Mapping[str, int] | None, *, at: datetime, checkpoint: str | None = None
    ) -> None:
        """Update the heartbeat, and replace counts and checkpoint unless they are None."""
        values: dict[str, Any] = {"heartbeat_at": at}
        values |= {"counts": json.dumps(dict(counts))} if counts is not None else {}
        values |= {"checkpoint": checkpoint} if checkpoint is not None else {}
        self._connection.execute(update(runs).where(runs.c.run == run).values(values))

    def add_settings(self, run: str, settings: Mapping[str, str]) -> None:
        """Merge settings into the stored ones."""
        held = self._connection.execute(select(runs.c.settings).where(runs.c.run == run)).scalar_one()
        both = json.loads(held or "{}") | dict(settings)
        self._connection.execute(update(runs).where(runs.c.run == run).values(settings=json.dumps(both)))

    def resume(self, run: str, *, at: datetime) -> None:
        """Set the state to running."""
        values = {"state": RunState.RUNNING.value, "heartbeat_at": at, "ended_at": None}
        self._connection.execute(update(runs).where(runs.c.run == run).values(values))

    def find(self, run: str, *, for_update: bool = False) -> RunRecord | None:
        """Return the row of a run."""
        query = select(runs).where(runs.c.run == run)
        row = self._connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()
        return _record(row) if row is not None else None

    def names(self, beginning: str, *, limit: int) -> Sequence[str]:
        """Return names that begin with a text, in order."""
        query = select(runs.c.run).where(runs.c.run.startswith(beginning, autoescape=True))
        return self._connection.execute(query.order_by(runs.c.run).limit(limit)).scalars().all()

    def latest(self, *, limit: int, kinds: Collection[RunKind] = tuple(RunKind)) -> Sequence[RunRecord]:
        """Return the newest rows of some kinds."""
        query = select(runs).where(runs.c.kind.in_([kind.value for kind in kinds]))
        query = query.order_by(runs.c.began_at.desc(), runs.c.run.desc()).limit(limit)
        return [_record(row) for row in self._connection.execute(query).mappings()]

    def mark_undone(self, run: str) -> None:
        """Set the state to undone."""
        self._connection.execute(update(runs).where(runs.c.run == run).values(state=RunState.UNDONE.value))

    def quarantine(self, run: str, session_id: str, reason: str, *, at: datetime) -> None:
        """Insert the session unless it exists."""
        row = {"run": run, "session_id": session_id, "reason": reason, "quarantined_at": at}
        self._connection.execute(insert(self._connection, quarantined_sessions).on_conflict_do_nothing(), row)

    def quarantined_by(self, run: str) -> Mapping[str, str]:
        """Return the quarantined sessions of a run, each with the reason."""
        query = select(quarantined_sessions.c.session_id, quarantined_sessions.c.reason).where(
            quarantined_sessions.c.run == run
        )
        return dict(tuple(row) for row in self._connection.execute(query))

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        """Set the final state and the end time."""
        self._connection.execute(update(runs).where(runs.c.run == run).values(state=state.value, ended_at=at))


def _record(row: RowMapping) -> RunRecord:
    return RunRecord(
        run=row["run"],
        kind=RunKind(row["kind"]),
        state=RunState(row["state"]),
        began_at=row["began_at"],
        heartbeat_at=row["heartbeat_at"],
        ended_at=row["ended_at"],
        counts=json.loads(row["counts"] or "{}"),
        settings=json.loads(row["settings"] or "{}"),
        checkpoint=row["checkpoint"] or "",
    )
