"""
How the database itself refuses to change a sealed session.

The guard is a set of triggers, made anew after every migration. The only doors are two tables: a row
inserted into `snapshot_corrections` makes the change that it describes, once, and a row inserted into
`snapshot_prunings` lets sessions that ended before its date be deleted in the same transaction.

In an adopted database another loader goes on writing, column by column. Where it would fill what a sealed
row lacks, the guard puts the row back and counts that, so that its load goes on; where it would change a
fact, the guard refuses as everywhere.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from snapshots.adapters.sql.tables import HOLDS_A_FACT, SNAPSHOT_COLUMNS, adoptions

FIXED = ("logged_id", "source_ip_run", "source_ip_was")
"""Columns of a sealed session that not even a correction changes."""

PROTECTED = ("session_id", *FIXED, *SNAPSHOT_COLUMNS)
OBSERVED = ("ip_address", "source", "observed_at", "learned_at", "asn", "country", "ip_types")

SEALED = "snapshot is sealed: change it by inserting into snapshot_corrections"
NO_MATCH = "correction does not match the session as it stands: nothing changed"
NO_DELETE = "snapshot is sealed: delete it by prune"

IS_SEALED = HOLDS_A_FACT.format(row="OLD.")
FILLABLE = tuple(column for column in PROTECTED if column != "session_id")

APPEND_ONLY = ("snapshot_corrections", "snapshot_prunings")


OWN = frozenset({"snapshot_door", "snapshot_probe", "txid"})
"""Tables and columns that only the guard uses, on one of the databases; no migration knows them."""


def install(connection: Connection) -> None:
    """Make the triggers, in the caller's transaction."""
    remove(connection)
    is_adopted = connection.execute(select(adoptions.c.id)).scalar() is not None
    if connection.dialect.name != "postgresql":
        for statement in (*_SQLITE, _SQLITE_GUARD.replace("@OTHERWISE@", _PUT_BACK if is_adopted else "")):
            connection.exec_driver_sql(statement)
        return
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    # A trigger for each row is made on every partition, one for a statement is not.
    partitions = connection.execute(text(_PARTITIONS)).scalars().all()
    truncate = (statement.format(table=partition) for partition in partitions for statement in (_NO_TRUNCATE, _ALWAYS))
    for statement in (*_POSTGRESQL, *truncate, *(_POSTGRESQL_PUT_BACK if is_adopted else ())):
        # A temporary table of the same name would else stand before the real one and open the guard.
        connection.exec_driver_sql(statement.replace("@SCHEMA@", schema).replace("%", "%%"))


def remove(connection: Connection) -> None:
    """Drop the triggers and what only they use, in the caller's transaction."""
    if connection.dialect.name == "postgresql":
        for function in connection.execute(text(_FUNCTIONS)).scalars().all():
            connection.execute(text(f"DROP FUNCTION {function}() CASCADE"))
        return
    for trigger in connection.execute(text(_TRIGGERS)).scalars().all():
        connection.execute(text(f"DROP TRIGGER {trigger}"))
    for table in ("snapshot_door", "snapshot_probe"):
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def missing(connection: Connection) -> Sequence[tuple[str, str]]:
    """Return the triggers that should be there and are not, or are switched off, each as its table and its name."""
    is_adopted = connection.execute(select(adoptions.c.id)).scalar() is not None
    if connection.dialect.name == "postgresql":
        statements = (*_POSTGRESQL, *(_POSTGRESQL_PUT_BACK if is_adopted else ()))
    else:
        statements = (*_SQLITE, _SQLITE_GUARD)
    made = {found[::-1] for statement in statements for found in _MADE.findall(statement)}
    if connection.dialect.name == "postgresql":
        partitions = connection.execute(text(_PARTITIONS)).scalars().all()
        made |= {(each, name) for each in partitions for table, name in made if table == "session_summaries"}
    query = _ENABLED if connection.dialect.name == "postgresql" else _PRESENT
    return sorted(made - {(table, name) for table, name in connection.execute(text(query))})


_MADE = re.compile(r"CREATE TRIGGER (\w+)\b.*?\bON (\w+)", re.DOTALL)
_PRESENT = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"
_ENABLED = """
SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = current_schema() AND t.tgenabled <> 'D'"""

_FUNCTIONS = """
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = current_schema() AND left(p.proname, 9) = 'snapshot_' ORDER BY p.proname"""

_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, 9) = 'snapshot_' ORDER BY name"


def _of(prefix: str, columns: Sequence[str] = SNAPSHOT_COLUMNS) -> str:
    return ", ".join(f"{prefix}{column}" for column in columns)


_REPLACE_REFUSED = """
CREATE TRIGGER snapshot_{name}_no_replace AFTER INSERT ON {table}
BEGIN
  INSERT OR IGNORE INTO snapshot_probe (k, replaced) VALUES (1, 1);
  SELECT RAISE(ABORT, 'INSERT OR REPLACE is refused on {table}: use ON CONFLICT')
    FROM snapshot_probe WHERE replaced = 1;
END"""
# SQLite lets the conflict clause of the outer statement override the one inside a trigger, so the OR IGNORE
# above replaces the row in snapshot_probe exactly when the outer statement is an INSERT OR REPLACE, which
# would destroy a sealed row without firing any trigger for UPDATE or DELETE.

_SQLITE_GUARD = (
    f"""
CREATE TRIGGER snapshot_guard AFTER UPDATE OF {_of("", PROTECTED)} ON session_summaries
WHEN {IS_SEALED}
 AND ({_of("OLD.", PROTECTED)}) IS NOT ({_of("NEW.", PROTECTED)})
 AND NOT EXISTS (
   SELECT 1 FROM snapshot_door d JOIN snapshot_corrections c ON c.id = d.correction_id
   WHERE c.session_id = OLD.session_id AND NEW.session_id = OLD.session_id
     AND ({_of("OLD.", FIXED)}) IS ({_of("NEW.", FIXED)})
     AND ({_of("c.old_")}) IS ({_of("OLD.")})
     AND ({_of("c.new_")}) IS ({_of("NEW.")}))
BEGIN SELECT RAISE(ABORT, '{SEALED}')"""
    "@OTHERWISE@; END"
)

_PUT_BACK = f"""
    WHERE NOT ({" AND ".join(f"(OLD.{c} IS NULL OR OLD.{c} IS NEW.{c})" for c in PROTECTED)});
  UPDATE session_summaries SET ({_of("", FILLABLE)}) = ({_of("OLD.", FILLABLE)}) WHERE session_id = OLD.session_id;
  INSERT INTO snapshot_put_backs (session_id, times, last_at)
    VALUES (OLD.session_id, 1, strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')
    ON CONFLICT (session_id) DO UPDATE SET times = times + 1, last_at = excluded.last_at"""
# SQLite's triggers do not fire themselves again unless recursive_triggers is on, and then this one refuses.

_SQLITE = (
    "CREATE TABLE snapshot_door (correction_id BIGINT)",
    "CREATE TABLE snapshot_probe (k INTEGER PRIMARY KEY, replaced INTEGER NOT NULL)",
    "INSERT INTO snapshot_probe VALUES (1, 0)",
    f"""
CREATE TRIGGER snapshot_correction_apply AFTER INSERT ON snapshot_corrections
BEGIN
  INSERT INTO snapshot_door (correction_id) VALUES (NEW.id);
  UPDATE session_summaries SET ({_of("")}) = ({_of("NEW.new_")})
   WHERE session_id = NEW.session_id AND ({_of("")}) IS ({_of("NEW.old_")});
  SELECT RAISE(ABORT, '{NO_MATCH}') WHERE changes() <> 1;
  DELETE FROM snapshot_door;
END""",
    """
CREATE TRIGGER snapshot_door_newest BEFORE INSERT ON snapshot_door
WHEN NEW.correction_id IS NOT (SELECT max(id) FROM snapshot_corrections)
BEGIN SELECT RAISE(ABORT, 'snapshot_door opens for the newest correction only'); END""",
    f"""
CREATE TRIGGER snapshot_no_replace_by_update BEFORE UPDATE OF session_id ON session_summaries
WHEN NEW.session_id IS NOT OLD.session_id
 AND EXISTS (SELECT 1 FROM session_summaries s WHERE s.session_id = NEW.session_id AND {HOLDS_A_FACT.format(row="s.")})
BEGIN SELECT RAISE(ABORT, 'snapshot is sealed: another session cannot take its id'); END""",
    f"""
CREATE TRIGGER snapshot_no_delete BEFORE DELETE ON session_summaries
WHEN {IS_SEALED} AND NOT EXISTS (
   SELECT 1 FROM snapshot_prunings WHERE sessions < 0 AND OLD.last_event_at < before)
BEGIN SELECT RAISE(ABORT, '{NO_DELETE}'); END""",
    """
CREATE TRIGGER snapshot_pruning_apply AFTER INSERT ON snapshot_prunings
BEGIN
  SELECT RAISE(ABORT, 'a pruning begins with sessions = -1 and events = the events of its sessions')
   WHERE NEW.sessions <> -1;
  DELETE FROM session_summaries WHERE last_event_at < NEW.before;
  UPDATE snapshot_prunings SET sessions = changes() WHERE id = NEW.id;
END""",
    """
CREATE TRIGGER snapshot_prunings_no_update BEFORE UPDATE ON snapshot_prunings WHEN OLD.sessions >= 0
BEGIN SELECT RAISE(ABORT, 'snapshot_prunings is append-only'); END""",
    "CREATE TRIGGER snapshot_corrections_no_update BEFORE UPDATE ON snapshot_corrections"
    " BEGIN SELECT RAISE(ABORT, 'snapshot_corrections is append-only'); END",
    *(
        f"CREATE TRIGGER snapshot_no_delete_{number} BEFORE DELETE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for number, table in enumerate((*APPEND_ONLY, "ip_observations"))
    ),
    f"""
CREATE TRIGGER snapshot_observations_no_update BEFORE UPDATE ON ip_observations
WHEN ({_of("OLD.", OBSERVED)}) IS NOT ({_of("NEW.", OBSERVED)}) OR NEW.confirmed_until < OLD.confirmed_until
BEGIN SELECT RAISE(ABORT, 'of an observation only confirmed_until may grow'); END""",
    *(
        _REPLACE_REFUSED.format(name=short, table=table)
        for short, table in (
            ("sessions", "session_summaries"),
            ("corrections", "snapshot_corrections"),
            ("prunings", "snapshot_prunings"),
            ("observations", "ip_observations"),
        )
    ),
)

_CORRECTED = f"""
    SELECT 1 FROM (SELECT * FROM snapshot_corrections WHERE session_id = OLD.session_id ORDER BY id DESC LIMIT 1) c
    WHERE c.txid = pg_current_xact_id()::text AND NEW.session_id = OLD.session_id
      AND ROW({_of("OLD.", FIXED)}) IS NOT DISTINCT FROM ROW({_of("NEW.", FIXED)})
      AND ROW({_of("c.old_")}) IS NOT DISTINCT FROM ROW({_of("OLD.")})
      AND ROW({_of("c.new_")}) IS NOT DISTINCT FROM ROW({_of("NEW.")})"""
"""Finds the correction that is being applied to a row."""

_NO_TRUNCATE = (
    "CREATE TRIGGER snapshot_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
    " EXECUTE FUNCTION snapshot_append_only()"
)

_ALWAYS = "ALTER TABLE {table} ENABLE ALWAYS TRIGGER snapshot_no_truncate"

_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass('session_summaries')"

_POSTGRESQL_PUT_BACK = (
    f"""
CREATE FUNCTION snapshot_put_back() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @SCHEMA@, pg_temp AS $$
BEGIN
  IF EXISTS ({_CORRECTED}) THEN
    RETURN NEW;
  END IF;
  {" ".join(f"IF OLD.{c} IS NULL THEN NEW.{c} := NULL; END IF;" for c in FILLABLE)}
  INSERT INTO snapshot_put_backs AS p (session_id, times, last_at) VALUES (OLD.session_id, 1, clock_timestamp())
    ON CONFLICT (session_id) DO UPDATE SET times = p.times + 1, last_at = excluded.last_at;
  RETURN NEW;
END $$""",
    f"""
CREATE TRIGGER snapshot_put_back BEFORE UPDATE ON session_summaries FOR EACH ROW
WHEN ({IS_SEALED}
  AND ({" OR ".join(f"OLD.{c} IS NULL AND NEW.{c} IS NOT NULL" for c in FILLABLE)}))
EXECUTE FUNCTION snapshot_put_back()""",
    "ALTER TABLE session_summaries ENABLE ALWAYS TRIGGER snapshot_put_back",
)

_RAISES = "USING ERRCODE = 'integrity_constraint_violation'"

_POSTGRESQL = (
    "ALTER TABLE snapshot_corrections ADD COLUMN IF NOT EXISTS txid TEXT NOT NULL DEFAULT pg_current_xact_id()::text",
    "ALTER TABLE snapshot_prunings ADD COLUMN IF NOT EXISTS txid TEXT NOT NULL DEFAULT pg_current_xact_id()::text",
    f"""
CREATE FUNCTION snapshot_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @SCHEMA@, pg_temp AS $$
BEGIN
  IF NOT EXISTS ({_CORRECTED}) THEN
    RAISE EXCEPTION '{SEALED}' {_RAISES}, DETAIL = 'session ' || OLD.session_id;
  END IF;
  RETURN NULL;
END $$""",
    f"""
CREATE TRIGGER snapshot_guard AFTER UPDATE ON session_summaries FOR EACH ROW
WHEN ({IS_SEALED}
  AND ROW({_of("OLD.", PROTECTED)}) IS DISTINCT FROM ROW({_of("NEW.", PROTECTED)}))
EXECUTE FUNCTION snapshot_guard()""",
    """
CREATE FUNCTION snapshot_stamp() RETURNS trigger LANGUAGE plpgsql SET search_path = @SCHEMA@, pg_temp AS $$
BEGIN NEW.txid := pg_current_xact_id()::text; RETURN NEW; END $$""",
    *(
        f"CREATE TRIGGER snapshot_stamp BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION snapshot_stamp()"
        for table in APPEND_ONLY
    ),
    f"""
CREATE FUNCTION snapshot_correction_apply() RETURNS trigger LANGUAGE plpgsql SET search_path = @SCHEMA@, pg_temp AS $$
DECLARE n bigint;
BEGIN
  UPDATE session_summaries s SET ({_of("")}) = ROW({_of("a.new_")}) FROM added a
   WHERE s.session_id = a.session_id AND ROW({_of("s.")}) IS NOT DISTINCT FROM ROW({_of("a.old_")});
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> (SELECT count(*) FROM added) THEN
    RAISE EXCEPTION '{NO_MATCH}' {_RAISES};
  END IF;
  RETURN NULL;
END $$""",
    "CREATE TRIGGER snapshot_correction_apply AFTER INSERT ON snapshot_corrections REFERENCING NEW TABLE AS added"
    " FOR EACH STATEMENT EXECUTE FUNCTION snapshot_correction_apply()",
    f"""
CREATE FUNCTION snapshot_no_delete() RETURNS trigger LANGUAGE plpgsql SET search_path = @SCHEMA@, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM snapshot_prunings p
                  WHERE p.txid = pg_current_xact_id()::text AND p.sessions < 0 AND OLD.last_event_at < p.before) THEN
    RAISE EXCEPTION '{NO_DELETE}' {_RAISES}, DETAIL = 'session ' || OLD.session_id;
  END IF;
  RETURN OLD;
END $$""",
    "CREATE TRIGGER snapshot_no_delete BEFORE DELETE ON session_summaries FOR EACH ROW"
    f" WHEN ({IS_SEALED}) EXECUTE FUNCTION snapshot_no_delete()",
    f"""
CREATE FUNCTION snapshot_pruning_apply() RETURNS trigger LANGUAGE plpgsql SET search_path = @SCHEMA@, pg_temp AS $$
DECLARE n bigint;
BEGIN
  IF NEW.sessions <> -1 THEN
    RAISE EXCEPTION 'a pruning begins with sessions = -1 and events = the events of its sessions' {_RAISES};
  END IF;
  DELETE FROM session_summaries WHERE last_event_at < NEW.before;
  GET DIAGNOSTICS n = ROW_COUNT;
  UPDATE snapshot_prunings SET sessions = n WHERE id = NEW.id;
  RETURN NULL;
END $$""",
    "CREATE TRIGGER snapshot_pruning_apply AFTER INSERT ON snapshot_prunings FOR EACH ROW"
    " EXECUTE FUNCTION snapshot_pruning_apply()",
    f"""
CREATE FUNCTION snapshot_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = @SCHEMA@, pg_temp AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME {_RAISES}; END $$""",
    "CREATE TRIGGER snapshot_corrections_append_only BEFORE UPDATE OR DELETE ON snapshot_corrections FOR EACH ROW"
    " EXECUTE FUNCTION snapshot_append_only()",
    "CREATE TRIGGER snapshot_prunings_no_update BEFORE UPDATE ON snapshot_prunings FOR EACH ROW"
    " WHEN (OLD.sessions >= 0) EXECUTE FUNCTION snapshot_append_only()",
    "CREATE TRIGGER snapshot_prunings_no_delete BEFORE DELETE ON snapshot_prunings FOR EACH ROW"
    " EXECUTE FUNCTION snapshot_append_only()",
    "CREATE TRIGGER snapshot_observations_no_delete BEFORE DELETE ON ip_observations FOR EACH ROW"
    " EXECUTE FUNCTION snapshot_append_only()",
    f"""
CREATE TRIGGER snapshot_observations_no_update BEFORE UPDATE ON ip_observations FOR EACH ROW
WHEN (ROW({_of("OLD.", OBSERVED)}) IS DISTINCT FROM ROW({_of("NEW.", OBSERVED)})
   OR NEW.confirmed_until < OLD.confirmed_until) EXECUTE FUNCTION snapshot_append_only()""",
    *(_NO_TRUNCATE.format(table=table) for table in (*APPEND_ONLY, "ip_observations", "session_summaries")),
    *(
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"
        for table, trigger in (
            ("session_summaries", "snapshot_guard"),
            ("session_summaries", "snapshot_no_delete"),
            ("session_summaries", "snapshot_no_truncate"),
        )
    ),
)
