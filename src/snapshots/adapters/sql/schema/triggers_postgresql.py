"""Install and compare the triggers of a PostgreSQL database."""

import re
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


class Function(NamedTuple):
    """A trigger function in PL/pgSQL; *is_definer* lets roles without rights on the audit tables use it."""

    name: str
    body: str
    is_definer: bool = False

    def statement(self, schema: str) -> str:
        """Return the CREATE statement; search_path prevents that a temporary table hides the real one."""
        definer = " SECURITY DEFINER" if self.is_definer else ""
        head = f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql{definer}"
        return f"{head} SET search_path = {schema}, pg_temp AS $${self.body}$$"


class Trigger(NamedTuple):
    """A trigger; *event* ends with FOR EACH ROW or FOR EACH STATEMENT."""

    name: str
    table: str
    event: str
    function: str
    when: str = ""

    @property
    def statements(self) -> Sequence[str]:
        """Return the CREATE statements; the trigger also fires under session_replication_role = replica."""
        condition = f" WHEN ({self.when})" if self.when else ""
        return (
            f"CREATE TRIGGER {self.name} {self.event.format(table=self.table)}{condition}"
            f" EXECUTE FUNCTION {self.function}()",
            f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}",
        )


def install(connection: Connection, *, is_adopted: bool) -> None:
    """Create columns, functions and triggers."""
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    made = [
        *(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {_TXID}" for table in STAMPED),
        *(function.statement(schema) for function in functions(is_adopted=is_adopted)),
        *(statement for trigger in _all(connection, is_adopted=is_adopted) for statement in trigger.statements),
    ]
    for statement in made:
        connection.exec_driver_sql(statement.replace("%", "%%"))


def remove(connection: Connection) -> None:
    """Drop functions and triggers."""
    for function in connection.execute(text(_OWN)).scalars().all():
        connection.execute(text(f"DROP FUNCTION {function}() CASCADE"))


def differences(connection: Connection, *, is_adopted: bool) -> Iterator[str]:
    """Yield the functions and triggers that are missing or have another definition."""
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    yield from _function_differences(connection, schema, is_adopted=is_adopted)
    yield from _trigger_differences(connection, is_adopted=is_adopted)
    for table, rule in connection.execute(text(_RULES), {"tables": _tables(connection)}):
        yield f"the rule {rule} on {table} rewrites statements"
    for (table,) in connection.execute(text(_ROW_SECURITY), {"tables": _tables(connection)}):
        yield f"row-level security on {table} hides rows"


def _function_differences(connection: Connection, schema: str, *, is_adopted: bool) -> Iterator[str]:
    found = {row.name: row for row in connection.execute(text(_FUNCTIONS))}
    for function in functions(is_adopted=is_adopted):
        there = found.get(function.name)
        if there is None:
            yield f"the function {function.name} is missing"
            continue
        settings = [f"search_path={schema}, pg_temp"]
        expected = (function.body, function.is_definer, settings, "plpgsql", "trigger")
        if (there.body, there.is_definer, there.settings, there.language, there.returns) != expected:
            yield f"the function {function.name} has another definition"


def _trigger_differences(connection: Connection, *, is_adopted: bool) -> Iterator[str]:
    query = text(_TRIGGERS)
    found = {(row.table, row.name): row for row in connection.execute(query, {"tables": _tables(connection)})}
    expected = {(trigger.table, trigger.name): trigger for trigger in _all(connection, is_adopted=is_adopted)}
    clones = [
        trigger._replace(table=partition)
        for partition in _partitions(connection)
        for trigger in expected.values()
        if trigger.table == "session_summaries" and "FOR EACH ROW" in trigger.event
    ]
    expected |= {(clone.table, clone.name): clone for clone in clones}
    for (table, name), trigger in sorted(expected.items()):
        row = found.get((table, name))
        if row is None:
            yield f"{name} on {table} is missing"
        elif row.enabled != "A":
            yield f"{name} on {table} is {_ENABLED.get(row.enabled, 'not always enabled')}"
        elif _plain(row.definition) != _plain(trigger.statements[0]) or row.function != trigger.function:
            yield f"{name} on {table} has another definition"
    records = {record.table for record in RECORDS}
    for table, name in sorted(found.keys() - expected.keys()):
        if table in records or name.startswith("snapshot_"):
            yield f"{name} on {table} is not a trigger of this program"


_ENABLED = {"D": "disabled", "O": "disabled for replicas", "R": "enabled for replicas only"}


def _plain(definition: str) -> str:
    """
    Normalize the definition of a trigger.

    The server prints casts, parentheses and qualified names differently before and after a restore of a dump.
    """
    form = re.sub(r"::\w+(?: varying)?(?:\(\d+\))?(?:\[\])?", "", definition.lower().replace('"', ""))
    form = re.sub(r"(\bon |execute function )\w+\.", r"\1", form)
    return re.sub(r"[\s()\[\]]", "", form.replace("<> all", "not in").replace("array[", ""))


def _tables(connection: Connection) -> list[str]:
    return [*GUARDED, *_partitions(connection)]


def _partitions(connection: Connection) -> Sequence[str]:
    return connection.execute(text(_PARTITIONS)).scalars().all()


_PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = to_regclass('session_summaries') ORDER BY c.relname"""

_OWN = """
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = current_schema() AND left(p.proname, 9) = 'snapshot_' ORDER BY p.proname"""

_FUNCTIONS = """
SELECT p.proname AS name, p.prosrc AS body, p.prosecdef AS is_definer, p.proconfig AS settings,
       l.lanname AS language, p.prorettype::regtype::text AS returns
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname = current_schema() AND left(p.proname, 9) = 'snapshot_'"""

_OF_TABLES = "WHERE n.nspname = current_schema() AND c.relname = ANY (:tables)"

_TRIGGERS = f"""
SELECT c.relname AS table, t.tgname AS name, t.tgenabled::text AS enabled, pg_get_triggerdef(t.oid) AS definition,
       CASE WHEN p.pronamespace = n.oid THEN p.proname END AS function
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_proc p ON p.oid = t.tgfoid {_OF_TABLES} AND NOT t.tgisinternal"""

_RULES = f"""
SELECT c.relname, r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace {_OF_TABLES} ORDER BY 1, 2"""

_ROW_SECURITY = f"""
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 {_OF_TABLES} AND (c.relrowsecurity OR EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid)) ORDER BY 1"""

STAMPED = ("snapshot_corrections", "snapshot_prunings")
_TXID = "txid TEXT NOT NULL DEFAULT pg_current_xact_id()::text"


def _all(connection: Connection, *, is_adopted: bool) -> Sequence[Trigger]:
    """Return every trigger; PostgreSQL clones row triggers to partitions, but not statement triggers."""
    return [
        *triggers(is_adopted=is_adopted),
        *(_no_truncate(table) for table in (*GUARDED, *_partitions(connection))),
    ]


def triggers(*, is_adopted: bool) -> Sequence[Trigger]:
    """Return every trigger except those that refuse TRUNCATE."""
    changes = " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in PROTECTED)
    fills = " OR ".join(f"OLD.{c} IS NULL AND NEW.{c} IS NOT NULL" for c in FILLABLE)
    update, row = "UPDATE ON {table}", "FOR EACH ROW"
    sessions, corrections, prunings = "session_summaries", *STAMPED
    return [
        Trigger("snapshot_guard", sessions, f"AFTER {update} {row}", "snapshot_guard", f"{IS_SEALED} AND ({changes})"),
        Trigger("snapshot_no_delete", sessions, f"BEFORE DELETE ON {{table}} {row}", "snapshot_no_delete", IS_SEALED),
        *(Trigger("snapshot_stamp", table, f"BEFORE INSERT ON {{table}} {row}", "snapshot_stamp") for table in STAMPED),
        Trigger(
            "snapshot_correction_apply",
            corrections,
            "AFTER INSERT ON {table} REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
            "snapshot_correction_apply",
        ),
        Trigger("snapshot_pruning_apply", prunings, f"AFTER INSERT ON {{table}} {row}", "snapshot_pruning_apply"),
        *(
            Trigger(f"snapshot_{r.table}_no_delete", r.table, f"BEFORE DELETE ON {{table}} {row}", REFUSES)
            for r in RECORDS
        ),
        *(_no_update(record) for record in RECORDS),
        *(
            [
                Trigger(
                    "snapshot_put_back",
                    sessions,
                    f"BEFORE {update} {row}",
                    "snapshot_put_back",
                    f"{IS_SEALED} AND ({fills})",
                )
            ]
            if is_adopted
            else []
        ),
    ]


REFUSES = "snapshot_append_only"


def _no_update(record: Record) -> Trigger:
    when = " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in record.fixed)
    if record.fixed and record.unless:
        when += f" OR {record.unless}"
    elif record.table == "snapshot_prunings":
        when = "OLD.sessions >= 0"
    event = "BEFORE UPDATE ON {table} FOR EACH ROW"
    return Trigger(f"snapshot_{record.table}_no_update", record.table, event, REFUSES, when)


def _no_truncate(table: str) -> Trigger:
    return Trigger("snapshot_no_truncate", table, "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT", REFUSES)


_RAISES = "USING ERRCODE = 'integrity_constraint_violation'"

_CORRECTED = f"""
    SELECT 1 FROM (SELECT * FROM snapshot_corrections WHERE session_id = OLD.session_id ORDER BY id DESC LIMIT 1) c
    WHERE c.txid = pg_current_xact_id()::text AND NEW.session_id = OLD.session_id
      AND ROW({columns("OLD.", FIXED)}) IS NOT DISTINCT FROM ROW({columns("NEW.", FIXED)})
      AND ROW({columns("c.old_")}) IS NOT DISTINCT FROM ROW({columns("OLD.")})
      AND ROW({columns("c.new_")}) IS NOT DISTINCT FROM ROW({columns("NEW.")})"""
"""Query for the correction that is being applied to a row."""


def functions(*, is_adopted: bool) -> Sequence[Function]:
    """Return every function."""
    return [
        Function("snapshot_guard", _GUARD, is_definer=True),
        Function("snapshot_stamp", "\nBEGIN NEW.txid := pg_current_xact_id()::text; RETURN NEW; END "),
        Function("snapshot_correction_apply", _CORRECTION_APPLY),
        Function("snapshot_no_delete", _NO_DELETE),
        Function("snapshot_pruning_apply", _PRUNING_APPLY),
        Function(REFUSES, f"\nBEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME {_RAISES}; END "),
        *([Function("snapshot_put_back", _PUT_BACK, is_definer=True)] if is_adopted else []),
    ]


_GUARD = f"""
BEGIN
  IF NOT EXISTS ({_CORRECTED}) THEN
    RAISE EXCEPTION '{SEALED}' {_RAISES}, DETAIL = 'session ' || OLD.session_id;
  END IF;
  RETURN NULL;
END """

_PUT_BACK = f"""
BEGIN
  IF EXISTS ({_CORRECTED}) THEN
    RETURN NEW;
  END IF;
  {" ".join(f"IF OLD.{c} IS NULL THEN NEW.{c} := NULL; END IF;" for c in FILLABLE)}
  INSERT INTO snapshot_put_backs AS p (session_id, times, last_at) VALUES (OLD.session_id, 1, clock_timestamp())
    ON CONFLICT (session_id) DO UPDATE SET times = p.times + 1, last_at = excluded.last_at;
  RETURN NEW;
END """

_CORRECTION_APPLY = f"""
DECLARE n bigint;
BEGIN
  UPDATE session_summaries s SET ({columns("")}) = ROW({columns("a.new_")}) FROM added a
   WHERE s.session_id = a.session_id AND ROW({columns("s.")}) IS NOT DISTINCT FROM ROW({columns("a.old_")});
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> (SELECT count(*) FROM added) THEN
    RAISE EXCEPTION '{NO_MATCH}' {_RAISES};
  END IF;
  RETURN NULL;
END """

_NO_DELETE = f"""
BEGIN
  IF NOT EXISTS (SELECT 1 FROM snapshot_prunings p
                  WHERE p.txid = pg_current_xact_id()::text AND p.sessions < 0 AND OLD.last_event_at < p.before) THEN
    RAISE EXCEPTION '{NO_DELETE}' {_RAISES}, DETAIL = 'session ' || OLD.session_id;
  END IF;
  RETURN OLD;
END """

_PRUNED = "FROM session_summaries WHERE last_event_at < NEW.before"

_PRUNING_APPLY = f"""
DECLARE counted bigint; sealed json; n bigint;
BEGIN
  SELECT coalesce(sum(event_count), 0) INTO counted {_PRUNED};
  IF NEW.sessions <> -1 OR NEW.sealed_by_run IS NOT NULL OR NEW.events NOT IN (-1, counted) THEN
    RAISE EXCEPTION '{NO_CLAIM}' {_RAISES};
  END IF;
  SELECT json_object_agg(run, sessions) INTO sealed FROM (
    SELECT coalesce(snapshot_run, '-') AS run, count(*) AS sessions {_PRUNED}
       AND snapshot_method IS NOT NULL AND {HOLDS_A_FACT.format(row="")} GROUP BY 1) AS by_run;
  DELETE {_PRUNED};
  GET DIAGNOSTICS n = ROW_COUNT;
  UPDATE snapshot_prunings SET sessions = n, events = counted, sealed_by_run = coalesce(sealed::text, '{{}}')
   WHERE id = NEW.id;
  RETURN NULL;
END """
