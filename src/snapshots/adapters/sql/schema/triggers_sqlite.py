"""Install and compare the triggers of a SQLite database."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from snapshots.adapters.sql.schema.guard_rules import (
    FILLABLE,
    FIXED,
    GUARDED,
    IS_SEALED,
    NO_CLAIM,
    NO_DELETE,
    NO_MATCH,
    PROTECTED,
    RECORDS,
    SEALED,
    Record,
    columns,
)
from snapshots.adapters.sql.schema.tables import HOLDS_A_FACT

TABLES = (
    "CREATE TABLE snapshot_door (correction_id BIGINT)",
    "CREATE TABLE snapshot_probe (k INTEGER PRIMARY KEY, replaced INTEGER NOT NULL)",
    "INSERT INTO snapshot_probe VALUES (1, 0)",
)
"""`snapshot_door` holds the correction being applied, `snapshot_probe` detects REPLACE; both always look like this."""


class Trigger(NamedTuple):
    """A trigger; *definition* follows its name in the CREATE statement."""

    name: str
    table: str
    definition: str

    @property
    def statement(self) -> str:
        """Return the CREATE statement."""
        return f"CREATE TRIGGER {self.name} {self.definition}"


def install(connection: Connection, *, is_adopted: bool) -> None:
    """Create tables and triggers."""
    for statement in (*TABLES, *(trigger.statement for trigger in triggers(connection, is_adopted=is_adopted))):
        connection.exec_driver_sql(statement)


def remove(connection: Connection) -> None:
    """Drop tables and triggers."""
    for trigger in connection.execute(text(_OWN)).scalars().all():
        connection.execute(text(f'DROP TRIGGER "{trigger}"'))
    for table in ("snapshot_door", "snapshot_probe"):
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def differences(connection: Connection, *, is_adopted: bool) -> Iterator[str]:
    """Yield the triggers and tables that are missing or differ."""
    found = {name: (table, _plain(sql)) for name, table, sql in connection.execute(text(_FOUND))}
    expected = {trigger.name: trigger for trigger in triggers(connection, is_adopted=is_adopted)}
    for name, trigger in sorted(expected.items()):
        if name not in found:
            yield f"{name} on {trigger.table} is missing"
        elif found[name] != (trigger.table, _plain(trigger.statement)):
            yield f"{name} on {trigger.table} has another definition"
    watched = {*GUARDED, "snapshot_door", "snapshot_probe"} - {"session_summaries"}
    for name, (table, _) in sorted(found.items()):
        if name not in expected and (table in watched or name.startswith("snapshot_")):
            yield f"{name} on {table} is not a trigger of this program"
    for table, contents in (("snapshot_door", []), ("snapshot_probe", [(1, 0)])):
        there = connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = :name"), {"name": table}).first()
        if there is None:
            yield f"the table {table} is missing"
        elif connection.exec_driver_sql(f"SELECT * FROM {table} LIMIT 9").all() != contents:
            yield f"the table {table} holds other rows"


_OWN = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, 9) = 'snapshot_' ORDER BY name"
_FOUND = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"


def _plain(statement: str) -> str:
    return " ".join(statement.split())


def triggers(connection: Connection, *, is_adopted: bool) -> Sequence[Trigger]:
    """Return every trigger; those that refuse REPLACE depend on the unique keys of the tables."""
    made = [
        Trigger("snapshot_guard", "session_summaries", _GUARD.replace("@OTHERWISE@", _PUT_BACK if is_adopted else "")),
        Trigger("snapshot_no_delete", "session_summaries", _NO_DELETE),
        Trigger("snapshot_correction_apply", "snapshot_corrections", _CORRECTION_APPLY),
        Trigger("snapshot_door_newest", "snapshot_door", _DOOR_NEWEST),
        Trigger("snapshot_pruning_apply", "snapshot_prunings", _PRUNING_APPLY),
        *(
            _refusal(f"snapshot_{record.table}_no_delete", record.table, "BEFORE DELETE", "append-only")
            for record in RECORDS
        ),
        *(_no_update(record) for record in RECORDS),
        *(
            Trigger(f"snapshot_{table}_no_replace", table, _NO_REPLACE.format(event="INSERT", table=table))
            for table in GUARDED
        ),
    ]
    keys = ", ".join((*_keys(connection, "session_summaries"), "rowid", "_rowid_", "oid"))
    event = _NO_REPLACE.format(event=f"UPDATE OF {keys}", table="session_summaries")
    made.append(Trigger("snapshot_session_summaries_no_replace_by_update", "session_summaries", event))
    return made


def _keys(connection: Connection, table: str) -> Sequence[str]:
    """Return the columns of a table's unique keys."""
    query = (
        "SELECT DISTINCT c.name FROM pragma_index_list(:name) i JOIN pragma_index_info(i.name) c"
        ' WHERE i."unique" AND c.name IS NOT NULL ORDER BY c.name'
    )
    return [f'"{name}"' for name in connection.execute(text(query), {"name": table}).scalars()]


def _refusal(name: str, table: str, event: str, why: str, when: str = "") -> Trigger:
    condition = f" WHEN {when}" if when else ""
    return Trigger(name, table, f"{event} ON {table}{condition} BEGIN SELECT RAISE(ABORT, '{table} is {why}'); END")


def _no_update(record: Record) -> Trigger:
    """Refuse changes, also of the rowid: UPDATE OR REPLACE deletes the row that has the new rowid."""
    when = ""
    if record.fixed:
        unless = f" OR {record.unless}" if record.unless else ""
        rowid = "" if record.table == "ip_observations" else " OR OLD.rowid IS NOT NEW.rowid"
        when = f"({columns('OLD.', record.fixed)}) IS NOT ({columns('NEW.', record.fixed)}){rowid}{unless}"
    elif record.table == "snapshot_prunings":
        when = "OLD.sessions >= 0"
    return _refusal(f"snapshot_{record.table}_no_update", record.table, "BEFORE UPDATE", "append-only", when)


_NO_REPLACE = """
AFTER {event} ON {table}
BEGIN
  INSERT OR IGNORE INTO snapshot_probe (k, replaced) VALUES (1, 1);
  SELECT RAISE(ABORT, 'OR REPLACE is refused on {table}: use ON CONFLICT')
    FROM snapshot_probe WHERE replaced = 1;
END"""
# SQLite lets the conflict clause of the outer statement override the one inside a trigger, so the OR IGNORE
# above replaces the row in snapshot_probe exactly when the outer statement is INSERT OR REPLACE or UPDATE OR
# REPLACE. These would delete a sealed row with the same key, or rowid, without firing a trigger for DELETE.

_GUARD = (
    f"""
AFTER UPDATE OF {columns("", PROTECTED)} ON session_summaries
WHEN {IS_SEALED}
 AND ({columns("OLD.", PROTECTED)}) IS NOT ({columns("NEW.", PROTECTED)})
 AND NOT EXISTS (
   SELECT 1 FROM snapshot_door d JOIN snapshot_corrections c ON c.id = d.correction_id
   WHERE c.session_id = OLD.session_id AND NEW.session_id = OLD.session_id
     AND ({columns("OLD.", FIXED)}) IS ({columns("NEW.", FIXED)})
     AND ({columns("c.old_")}) IS ({columns("OLD.")})
     AND ({columns("c.new_")}) IS ({columns("NEW.")}))
BEGIN SELECT RAISE(ABORT, '{SEALED}')"""
    "@OTHERWISE@; END"
)

_PUT_BACK = f"""
    WHERE NOT ({" AND ".join(f"(OLD.{c} IS NULL OR OLD.{c} IS NEW.{c})" for c in PROTECTED)});
  UPDATE session_summaries SET ({columns("", FILLABLE)}) = ({columns("OLD.", FILLABLE)})
   WHERE session_id = OLD.session_id;
  INSERT INTO snapshot_put_backs (session_id, times, last_at)
    VALUES (OLD.session_id, 1, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')
    ON CONFLICT (session_id) DO UPDATE SET times = times + 1, last_at = excluded.last_at"""
# SQLite's triggers do not fire themselves again unless recursive_triggers is on, and then this one refuses.

_CORRECTION_APPLY = f"""
AFTER INSERT ON snapshot_corrections
BEGIN
  INSERT INTO snapshot_door (correction_id) VALUES (NEW.id);
  UPDATE session_summaries SET ({columns("")}) = ({columns("NEW.new_")})
   WHERE session_id = NEW.session_id AND ({columns("")}) IS ({columns("NEW.old_")});
  SELECT RAISE(ABORT, '{NO_MATCH}') WHERE changes() <> 1;
  DELETE FROM snapshot_door;
END"""

_DOOR_NEWEST = """
BEFORE INSERT ON snapshot_door
WHEN NEW.correction_id IS NOT (SELECT max(id) FROM snapshot_corrections)
BEGIN SELECT RAISE(ABORT, 'snapshot_door opens for the newest correction only'); END"""

_NO_DELETE = f"""
BEFORE DELETE ON session_summaries
WHEN {IS_SEALED} AND NOT EXISTS (
   SELECT 1 FROM snapshot_prunings WHERE sessions < 0 AND OLD.last_event_at < before)
BEGIN SELECT RAISE(ABORT, '{NO_DELETE}'); END"""

_PRUNED = "FROM session_summaries WHERE last_event_at < NEW.before"

_PRUNING_APPLY = f"""
AFTER INSERT ON snapshot_prunings
BEGIN
  SELECT RAISE(ABORT, '{NO_CLAIM}')
   WHERE NEW.sessions <> -1 OR NEW.sealed_by_run IS NOT NULL
      OR NEW.events NOT IN (-1, (SELECT coalesce(sum(event_count), 0) {_PRUNED}));
  UPDATE snapshot_prunings SET
    events = (SELECT coalesce(sum(event_count), 0) {_PRUNED}),
    sealed_by_run = (SELECT json_group_object(run, sessions) FROM (
      SELECT coalesce(snapshot_run, '-') AS run, count(*) AS sessions {_PRUNED}
        AND snapshot_method IS NOT NULL AND {HOLDS_A_FACT.format(row="")} GROUP BY 1))
   WHERE id = NEW.id;
  DELETE {_PRUNED};
  UPDATE snapshot_prunings SET sessions = changes() WHERE id = NEW.id;
END"""
