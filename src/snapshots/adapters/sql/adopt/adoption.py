"""Adopt a database of cowrieprocessor, and undo the adoption."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, inspect, select, update

from snapshots.adapters.sql.adopt.cowrieprocessor_schema import AdoptableSchema, narrowing, recognized
from snapshots.adapters.sql.connection.dialects.storage import size_of
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import triggers, versions
from snapshots.adapters.sql.schema.features import features_of, foreign_inventory_of
from snapshots.adapters.sql.schema.indexes import indexes_of, missing
from snapshots.adapters.sql.schema.spans_table import create_spans_table, drop_spans_table
from snapshots.adapters.sql.schema.tables import (
    FACTS,
    adoptions,
    bookmarks,
    dead_letters,
    ip_observations,
    known_addresses,
    metadata,
    session_summaries,
    snapshot_corrections,
)
from snapshots.adapters.sql.stores.placeholders import AddressPlaceholders
from snapshots.adapters.sql.transaction import SqlStores
from snapshots.app.admin.adoption import AdoptionPlan, Lock, Step
from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.runtime import Clock
from snapshots.domain.session.session_id_reuse import QUALIFIER, QUALIFIER_DIGITS

SESSIONS = session_summaries.c
STATISTICS = "sqlite_stat1"


class SqlAdoption:
    """
    Adds missing columns, tables, triggers and indexes to a database of cowrieprocessor; no rows to its tables.

    The addresses and network names of its inventory are copied into our tables.

    Args:
        database: The database.
        clock: Source of the time of adoption.
    """

    def __init__(self, database: SqlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def plan(self, *, widen: bool) -> AdoptionPlan:
        """Return the steps of `adopt`."""
        with self._database.reading_any_version() as connection:
            return _plan(connection, self._look(connection, widen=widen))

    def adopt(self, *, widen: bool) -> AdoptionPlan:
        """Add missing objects: tables in one transaction, then indexes, each concurrently with writers."""
        with self._database.changing_tables() as connection:
            found = self._look(connection, widen=widen)
            plan = _plan(connection, found)
            triggers.remove(connection)  # the type of a column that a trigger uses cannot change
            for change in found.changes:
                for statement in change.statements:
                    connection.exec_driver_sql(statement.replace("%", "%%"))
            if _record(connection) is None:
                self._write_record(connection, found)
                _restore_logged_ids(connection)
                SqlStores(connection, features_of(connection)).inventory.take_over(registered_at=self._clock.now())
            create_spans_table(connection)
            versions.stamp(connection)
        self._database.close()  # open connections of SQLite still enforce foreign keys
        self._database.build_indexes(for_queries=False)
        return plan

    def plan_undo(self) -> AdoptionPlan:
        """Return the steps of `undo`."""
        with self._database.reading_any_version() as connection:
            return _plan_undo(connection, self._known(connection))

    def undo(self) -> AdoptionPlan:
        """Remove everything that the adoption added, in one transaction."""
        with self._database.changing_tables() as connection:
            before = self._known(connection)
            plan = _plan_undo(connection, before)
            AddressPlaceholders(connection, features_of(connection)).delete_unused()
            drop_spans_table(connection)
            versions.forget(connection)
            for table in reversed(metadata.sorted_tables):
                if table.name not in before["columns"]:
                    table.drop(connection, checkfirst=True)
                    continue
                for index in indexes_of(table, connection.dialect.name):
                    if index.name not in before["indexes"][table.name]:
                        index.drop(connection, checkfirst=True)
                for name in _added(table, before):
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP COLUMN {name}")
            if _has_statistics(connection) and not before.get("has_statistics", True):
                connection.exec_driver_sql(f"DROP TABLE {STATISTICS}")
            for change in narrowing(connection, before.get("types", {}))[0]:
                for statement in change.statements:
                    connection.exec_driver_sql(statement)
        self._database.close()
        # An earlier version recreated a column and the indexes on it.
        self._database.build_indexes(before.get("lost", ()), only_others=True)
        return plan

    def _look(self, connection: Connection, *, widen: bool) -> AdoptableSchema:
        is_ours = versions.version(connection) is not None
        is_adopted = is_ours and _record(connection) is not None
        if is_ours and not is_adopted:
            raise StoreUnavailable("this database was created by snapshots: there is nothing to adopt")
        if is_adopted:  # an older version has its rows in other tables
            versions.refuse_other_versions(connection, str(self._database))
        return recognized(connection, is_adopted=is_adopted, widen=widen)

    def _known(self, connection: Connection) -> dict[str, Any]:
        """Return the schema before the adoption."""
        state = _record(connection) if versions.version(connection) is not None else None
        if state is None:
            raise StoreUnavailable("this database was never adopted")
        versions.refuse_other_versions(connection, str(self._database))
        return dict(json.loads(state))

    def _write_record(self, connection: Connection, found: AdoptableSchema) -> None:
        columns = {name: list(there) for name, there in found.columns.items()}
        connection.execute(
            adoptions.insert(),
            {
                "id": 1,
                "adopted_at": self._clock.now(),
                "version": found.version,
                "state_before": json.dumps(
                    {
                        "columns": columns,
                        "indexes": found.indexes,
                        "types": dict(found.types),
                        "has_statistics": _has_statistics(connection),
                    }
                ),
            },
        )


def _has_statistics(connection: Connection) -> bool:
    """Whether SQLite has planner statistics, in a table that the first ANALYZE creates."""
    return connection.dialect.name == "sqlite" and inspect(connection).has_table(STATISTICS)


def _restore_logged_ids(connection: Connection) -> None:
    """Restore logged_id of sessions with qualified ids: undoing an earlier adoption dropped the column."""
    qualified = SESSIONS.session_id.like(f"%{QUALIFIER}{'_' * QUALIFIER_DIGITS}")
    for name in (
        connection.execute(select(SESSIONS.session_id).where(qualified, SESSIONS.logged_id.is_(None))).scalars().all()
    ):
        logged_id = str(name).rpartition(QUALIFIER)[0]
        connection.execute(update(session_summaries).where(SESSIONS.session_id == name).values(logged_id=logged_id))


def _record(connection: Connection) -> str | None:
    return connection.execute(select(adoptions.c.state_before)).scalar()


def _plan(connection: Connection, found: AdoptableSchema) -> AdoptionPlan:
    is_adopted = versions.version(connection) is not None
    steps = [change.step for change in found.changes]
    if not is_adopted:
        steps.append(
            Step(what="create triggers that protect sealed sessions", table=session_summaries.name, lock=Lock.MOMENT)
        )
        if foreign_inventory_of(connection) is not None:
            steps.append(Step(what="copy addresses from ip_inventory", table=known_addresses.name, lock=Lock.NONE))
    lock = Lock.NONE if connection.dialect.name == "postgresql" else Lock.WRITES
    steps += [
        Step(what=f"build the index {index.name}", table=name, lock=lock, bytes=size_of(connection, name))
        for name, index in missing(connection, for_queries=False)
    ]
    notes = list(found.notes)
    if connection.dialect.name != "postgresql":
        notes.append("times without a zone are read as UTC; a sensor that wrote local time is off by its zone")
    return AdoptionPlan(
        found=f"cowrieprocessor, version {found.version}" + (", adopted already" if is_adopted else ""),
        sessions=connection.execute(select(func.count()).select_from(session_summaries)).scalar_one(),
        steps=steps,
        notes=notes,
    )


def _plan_undo(connection: Connection, before: dict[str, Any]) -> AdoptionPlan:
    def count(table: Table, *where: Any) -> int:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()

    sealed = count(session_summaries, SESSIONS.snapshot_method.is_not(None))
    loaded = count(session_summaries, SESSIONS.event_fingerprints.is_not(None))
    losses = {table.name: count(table) for table in (snapshot_corrections, ip_observations, dead_letters, bookmarks)}
    facts = ("source_ip", *FACTS, "enrichment_at")
    kept = [name for name in facts if name in before["columns"][session_summaries.name]]
    gone = [name for name in facts if name not in kept]
    steps = [Step(what="drop the triggers", table=session_summaries.name, lock=Lock.MOMENT)]
    for table in reversed(metadata.sorted_tables):
        if table.name not in before["columns"]:
            steps.append(Step(what="drop the table", table=table.name, lock=Lock.NONE))
        elif names := _added(table, before):
            what = f"drop the columns {', '.join(names)}, and indexes on them"
            steps.append(Step(what=what, table=table.name, lock=Lock.MOMENT))
    narrowed, stay = narrowing(connection, before.get("types", {}))
    steps += [change.step for change in narrowed]
    return AdoptionPlan(
        found=f"cowrieprocessor, adopted at version {connection.execute(select(adoptions.c.version)).scalar_one()}",
        sessions=count(session_summaries),
        steps=steps,
        notes=[
            f"{sealed:,} sessions that were sealed since keep {', '.join(kept) or 'nothing of it'}",
            "the sources of facts and the protection of sealed sessions are removed",
            *([f"lost with the columns that adopting added: {', '.join(gone)}"] if gone else []),
            f"{loaded:,} sessions with events that snapshots loaded stay, with their counters",
            "lost: " + ", ".join(f"{rows:,} rows of {name}" for name, rows in losses.items()),
            *_kept_placeholders(connection),
            *stay,
        ],
    )


def _kept_placeholders(connection: Connection) -> Sequence[str]:
    placeholders = AddressPlaceholders(connection, features_of(connection))
    kept = placeholders.count_in_use()
    if not kept:
        return []
    why = "because sessions refer to them; `snapshots undo` removes both"
    return [f"{kept:,} rows without facts stay in ip_inventory {why}"]


def _added(table: Table, before: dict[str, Any]) -> Sequence[str]:
    return [column.name for column in table.columns if column.name not in before["columns"][table.name]]
