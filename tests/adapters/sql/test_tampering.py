"""Changes of sealed sessions, audit tables or triggers are refused, or reported by verify."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.clock import SystemClock
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.ports.runs import RunKind
from snapshots.app.ports.sessions import SessionChange
from snapshots.app.queries.inspection import Inspection, Trial
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.conftest import database_on
from tests.strategies import DAY, HOME, NOON, observed, snapshot

pytestmark = pytest.mark.slow

COLUMNS = ", ".join(column.name for column in session_summaries.columns)
OTHERS = COLUMNS.replace("session_id, ", "", 1)
A_BUILD = SourceBuild(name="a", built_at=NOON, licence="none", sha256="0" * 64, origin="bundled")


@pytest.fixture(scope="module")
def filled_sqlite(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    path = tmp_path_factory.mktemp("filled") / "test.db"
    shutil.copyfile(sqlite_template, path)
    with closing(SqlDatabase(f"sqlite:///{path}")) as made:
        store(made)
    return path


@pytest.fixture(scope="module")
def filled_postgresql(server: str, postgresql_template: str) -> Iterator[str]:
    with database_on(server, postgresql_template) as url:
        with closing(SqlDatabase(url)) as made:
            store(made)
        yield str(make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> Iterator[SqlDatabase]:
    """Four sealed sessions and an open one; one was corrected, and some were pruned before."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            shutil.copyfile(request.getfixturevalue("filled_sqlite"), tmp_path / "test.db")
            url = f"sqlite:///{tmp_path}/test.db"
        else:
            url = stack.enter_context(database_on(server, request.getfixturevalue("filled_postgresql")))
        yield stack.enter_context(closing(SqlDatabase(url)))


def store(database: SqlDatabase) -> None:
    verdicts: dict[str, IpSnapshot | Gap] = {
        "old1": snapshot(),
        "old2": snapshot(),
        **{f"s{n}": snapshot() for n in range(4)},
        "open": Gap.NOTHING_KNOWN,
    }
    found = [
        SessionAggregate.sighted(name, HOME.text, NOON + (-9 * DAY if name.startswith("old") else n * DAY))
        .summary()
        .judged(verdict)
        for n, (name, verdict) in enumerate(verdicts.items())
    ]
    with database.transaction() as stores:
        stores.runs.begin("r", RunKind.LOAD, at=NOON)
        stores.sources.register_build(A_BUILD, registered_at=NOON)
        stores.inventory.register_addresses([s.sighting for s in found if s.sighting], registered_at=NOON)
        stores.inventory.learn([LearnedFacts([HOME], [observed("a", NOON, asn=64500)])], {}, learned_at=NOON)
        stores.counts.count_sessions([SessionChange(held=None, kept=each) for each in found], seen_at=NOON)
        stores.sessions.save(found, run="r", saved_at=NOON)
        stores.runs.begin("p", RunKind.PRUNE, at=NOON)
        pruned = stores.audit.prune(NOON - DAY, run="p", made_at=NOON)
        stores.runs.add_settings("p", {"before": (NOON - DAY).isoformat()})
        stores.runs.record_progress("p", {"sessions": pruned.sessions, "events": pruned.events}, at=NOON)
        corrected = IpSnapshot.corrected(snapshot(), asn=7, at=NOON + DAY)
        stores.audit.correct("s0", corrected, reason="wrong", run="c", made_at=NOON + DAY)


@pytest.fixture
def hand(database: SqlDatabase) -> Iterator[Connection]:
    """A plain connection of another program."""
    engine = create_engine(database.engine.url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def looked(database: SqlDatabase) -> Inspection:
    return SqlReports(database, AsOfReader(), clock=SystemClock()).inspect(show=99)


def named(database: SqlDatabase) -> str:
    return "\n".join(f"{found.where}  {found.invariant.broken}" for found in looked(database).violations)


def dialect_of(database: SqlDatabase) -> str:
    return database.engine.dialect.name


def run_as(hand: Connection, statement: str) -> None:
    """Run statements that are separated by semicolons at the ends of lines."""
    for each in statement.split(";\n"):
        hand.exec_driver_sql(each)


def test_an_unchanged_database_has_no_findings(database: SqlDatabase) -> None:
    """Nothing is reported, and the triggers refused every tested change."""
    found = looked(database)

    assert (found.violations, found.not_checked, found.is_impossible) == ([], [], False)
    assert {trial.value for column, trial in found.trials.items() if column != "session_id"} == {"refused"}
    assert found.trials["session_id"] is not Trial.ACCEPTED


RECORD_TABLES = (
    "snapshot_corrections",
    "snapshot_prunings",
    "ip_observations",
    "fact_sources",
    "run_seals",
    "runs",
)

REFUSED_EVERYWHERE = [
    "DELETE FROM session_summaries WHERE session_id = 's1'",
    "UPDATE session_summaries SET session_id = 's1' WHERE session_id = 'open'",
    "UPDATE session_summaries SET session_id = 'x' WHERE session_id = 's1'",
    f"INSERT INTO session_summaries ({COLUMNS}) SELECT 's1', {OTHERS} FROM session_summaries WHERE session_id = 'open'",
    f"INSERT INTO session_summaries ({COLUMNS}) SELECT {COLUMNS} FROM session_summaries WHERE session_id = 's1'"
    " ON CONFLICT (session_id) DO UPDATE SET snapshot_asn = NULL, enrichment_at = NULL, snapshot_method = NULL",
    f"INSERT INTO session_summaries ({COLUMNS}) SELECT {COLUMNS} FROM session_summaries WHERE session_id = 'open'"
    " ON CONFLICT (session_id) DO UPDATE SET session_id = 's1'",
    *(f"DELETE FROM {table}" for table in RECORD_TABLES),
    "UPDATE snapshot_corrections SET reason = 'x'",
    "UPDATE snapshot_prunings SET events = 0",
    "UPDATE snapshot_prunings SET sessions = -1",
    "UPDATE ip_observations SET asn = 1",
    "UPDATE ip_observations SET confirmed_until = '2000-01-01 00:00:00.000000'",
    "UPDATE fact_sources SET sha256 = 'x'",
    "UPDATE fact_sources SET licence = 'x'",
    "UPDATE fact_sources SET source = 'x'",
    "UPDATE runs SET kind = 'x'",
    "UPDATE runs SET run = 'x'",
    "UPDATE run_seals SET sessions = sessions - 1",
    "UPDATE run_seals SET run = 'x'",
    "INSERT INTO snapshot_prunings (before, run, made_at, sessions, events)"
    " VALUES ('2027-01-01', 'r', '2027-01-01', -1, 0)",
    "INSERT INTO snapshot_prunings (before, run, made_at, sessions, events)"
    " VALUES ('2027-01-01', 'r', '2027-01-01', 0, 0)",
    "INSERT INTO snapshot_prunings (before, run, made_at, sessions, events, sealed_by_run)"
    " VALUES ('2027-01-01', 'r', '2027-01-01', -1, -1, '{}')",
]

SEALED_ROW = "(SELECT rowid FROM session_summaries WHERE session_id = 's1')"

REFUSED_ON_SQLITE = [
    *(
        f"UPDATE OR {conflict} session_summaries SET {number} = {SEALED_ROW} WHERE session_id = 'open'"
        for conflict in ("REPLACE", "FAIL", "ROLLBACK", "ABORT")
        for number in ("rowid", "_rowid_", "oid", "OID")
    ),
    f"UPDATE OR REPLACE session_summaries SET (event_count, rowid) = (1, {SEALED_ROW}) WHERE session_id = 'open'",
    "UPDATE OR REPLACE session_summaries SET rowid = rowid - 1",
    *(
        f"UPDATE OR {conflict} session_summaries SET session_id = 's1' WHERE session_id = 'open'"
        for conflict in ("REPLACE", "FAIL", "ROLLBACK", "ABORT")
    ),
    f"INSERT OR REPLACE INTO session_summaries (rowid, {COLUMNS})"
    f" SELECT {SEALED_ROW}, 'x', {OTHERS} FROM session_summaries WHERE session_id = 'open'",
    f"REPLACE INTO session_summaries ({COLUMNS}) SELECT {COLUMNS} FROM session_summaries WHERE session_id = 's1'",
    f"INSERT OR REPLACE INTO session_summaries (oid, {COLUMNS})"
    f" SELECT {SEALED_ROW}, 'x', {OTHERS} FROM session_summaries WHERE session_id = 'open'"
    " ON CONFLICT (session_id) DO NOTHING",
    *(f"REPLACE INTO {table} SELECT * FROM {table}" for table in RECORD_TABLES),
    *(
        f"UPDATE OR REPLACE {table} SET {key} = {key} + 1"
        for table, key in (("snapshot_corrections", "id"), ("snapshot_prunings", "id"), ("snapshot_prunings", "rowid"))
    ),
    *(f"UPDATE OR REPLACE {table} SET rowid = rowid + 1" for table in ("fact_sources", "runs", "run_seals")),
    "INSERT INTO snapshot_door VALUES (99)",
    "ALTER TABLE session_summaries DROP COLUMN snapshot_asn",
]

REFUSED_ON_POSTGRESQL = [
    "MERGE INTO session_summaries s USING (SELECT 1) x ON s.session_id = 's1' WHEN MATCHED THEN DELETE",
    "MERGE INTO session_summaries s USING (SELECT 1) x ON s.session_id = 's1'"
    " WHEN MATCHED THEN UPDATE SET session_id = 'x'",
    *(f"TRUNCATE {table} CASCADE" for table in ("session_summaries", "known_addresses", *RECORD_TABLES)),
    *(f"SET session_replication_role = replica;\nDELETE FROM {table}" for table in RECORD_TABLES),
    "SET session_replication_role = replica;\nTRUNCATE session_summaries CASCADE",
    "SET session_replication_role = replica;\nUPDATE session_summaries SET snapshot_asn = 1 WHERE session_id = 's1'",
    "ALTER TABLE session_summaries DROP COLUMN snapshot_asn",
]


def cases(everywhere: list[str], sqlite: list[str], postgresql: list[str]) -> list[tuple[str, str]]:
    by_dialect = {"sqlite": everywhere + sqlite, "postgresql": everywhere + postgresql}
    return [(dialect, statement) for dialect, statements in by_dialect.items() for statement in statements]


@pytest.mark.parametrize("settings", [(0, 0), (1, 1)])
def test_forbidden_changes_are_refused_on_sqlite(
    settings: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whether or not triggers fire for REPLACE, and CHECK constraints are enforced."""
    database = SqlDatabase(f"sqlite:///{tmp_path_factory.mktemp('db')}/test.db")
    store(database)
    recursive, unchecked = settings
    forbidden_is_refused(
        database,
        [*REFUSED_EVERYWHERE, *REFUSED_ON_SQLITE],
        f"PRAGMA recursive_triggers = {recursive}",
        f"PRAGMA ignore_check_constraints = {unchecked}",
        "PRAGMA foreign_keys = OFF",
    )
    database.close()


def test_forbidden_changes_are_refused_on_postgresql(postgresql: str) -> None:
    """Also with session_replication_role = replica."""
    database = SqlDatabase(postgresql)
    store(database)
    forbidden_is_refused(database, [*REFUSED_EVERYWHERE, *REFUSED_ON_POSTGRESQL])
    database.close()


def forbidden_is_refused(database: SqlDatabase, statements: list[str], *settings: str) -> None:
    engine = create_engine(database.engine.url)
    passed = []
    with engine.connect() as connection:
        for setting in settings:
            connection.exec_driver_sql(setting)
            connection.rollback()
        for statement in statements:
            try:
                run_as(connection, statement)
                passed.append(statement)
            except DatabaseError:
                pass
            connection.rollback()
    engine.dispose()
    assert passed == []
    assert named(database) == ""


def test_a_statement_with_or_ignore_changes_no_sealed_row(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It neither fails nor changes a row."""
    database = SqlDatabase(f"sqlite:///{tmp_path_factory.mktemp('db')}/test.db")
    store(database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE OR IGNORE session_summaries SET rowid = {SEALED_ROW} WHERE session_id = 'open'"
        )
        connection.exec_driver_sql("UPDATE OR IGNORE session_summaries SET session_id = 's1' WHERE session_id = 'open'")
    assert named(database) == ""
    database.close()


PRUNED_BY_HAND = (
    "WITH pruned AS (INSERT INTO snapshot_prunings (before, run, made_at, sessions, events)"
    " VALUES ('2027-01-01', 'r', '2027-01-01', -1, -1) RETURNING id)"
    " DELETE FROM session_summaries USING pruned WHERE session_id = 's1'"
)

ACCEPTED = [
    (
        f"INSERT INTO session_summaries ({COLUMNS}) SELECT 's9', {OTHERS} FROM session_summaries"
        " WHERE session_id = 's1'",
        "run r: 4 sealed sessions, 3 on record",
    ),
    (
        "UPDATE session_summaries SET snapshot_asn = 1, enrichment_at = created_at, snapshot_method = 'asof',"
        " snapshot_source = 'a@2026-03-01', snapshot_run = 'mine', snapshot_gap = NULL WHERE session_id = 'open'",
        "run mine: 1 sealed sessions, 0 on record",
    ),
    ("UPDATE session_summaries SET snapshot_gap = NULL WHERE session_id = 'open'", "open  torn"),
    ("UPDATE run_seals SET sessions = sessions + 1", "run r: 3 sealed sessions, 4 on record"),
    ("INSERT INTO run_seals VALUES ('mine', 7, 1)", "run mine: 0 sealed sessions, 1 on record"),
]


@pytest.mark.parametrize(("statement", "name"), ACCEPTED)
def test_an_accepted_change_without_audit_is_named(database: SqlDatabase, statement: str, name: str) -> None:
    """The triggers protect sealed rows; a forged seal is missing in the audit tables."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(statement)

    assert name in named(database)


def test_a_pruning_that_deletes_more_than_it_records_is_named(postgresql: str) -> None:
    """Rows are deleted in the statement that inserts the pruning, before its trigger counts."""
    database = SqlDatabase(postgresql)
    store(database)
    try:
        with database.engine.begin() as connection:
            connection.exec_driver_sql(PRUNED_BY_HAND)
    except DatabaseError:
        assert named(database) == ""
    else:
        assert "run r: 0 sealed sessions, 1 on record" in named(database)
    database.close()


OF_PARTITIONS = [
    ("ALTER TABLE session_summaries DETACH PARTITION {one}", "run r: "),
    ("DROP TABLE {one} CASCADE", "run r: "),
    (
        f"INSERT INTO session_summaries ({COLUMNS}) SELECT 's9', {OTHERS} FROM session_summaries"
        " WHERE session_id = 's1'",
        "run r: 4 sealed sessions, 3 on record",
    ),
    ("ALTER TABLE {one} DISABLE TRIGGER snapshot_guard", "snapshot_guard on {one} is disabled"),
    ("ALTER TABLE {one} ENABLE TRIGGER snapshot_no_delete", "snapshot_no_delete on {one} is disabled for replicas"),
    ("DROP TRIGGER snapshot_no_truncate ON {one}", "snapshot_no_truncate on {one} is missing"),
    ("CREATE RULE mine AS ON DELETE TO {one} DO INSTEAD NOTHING", "the rule mine on {one}"),
    ("ALTER TABLE {one} ENABLE ROW LEVEL SECURITY", "row-level security on {one}"),
]


@pytest.mark.parametrize(("statement", "name"), OF_PARTITIONS)
def test_a_change_of_a_partition_is_named(postgresql: str, statement: str, name: str) -> None:
    """Each partition has the triggers, and its rows are counted."""
    database = SqlDatabase(postgresql)
    database.migrate(partitions=2)
    store(database)
    assert named(database) == ""
    with database.engine.begin() as connection:
        where = "SELECT tableoid::regclass::text FROM session_summaries WHERE session_id = 's1'"
        one = connection.exec_driver_sql(where).scalar_one()
        connection.exec_driver_sql(statement.replace("{one}", one))

    assert name.replace("{one}", one) in named(database)
    database.close()


MALFORMED_JSON = ("", "x", "[]", "1", "[" * 100_000)
MALFORMED_COUNTS = (*MALFORMED_JSON, '{"r": "x"}', '{"r": null}', '{"r": 1.5}', '{"r": 99999999999999999999}')

PAST_THE_GUARD = [
    ("DELETE FROM session_summaries WHERE session_id = 's1'", "run r: 2 sealed sessions, 3 on record"),
    (
        f"INSERT INTO session_summaries ({COLUMNS}) SELECT 's9', {OTHERS} FROM session_summaries"
        " WHERE session_id = 's1'",
        "run r: 4 sealed sessions, 3 on record",
    ),
    (
        "UPDATE session_summaries SET snapshot_asn = NULL, enrichment_at = NULL, snapshot_method = NULL"
        " WHERE session_id = 's1'",
        "s1  torn",
    ),
    (
        "UPDATE session_summaries SET snapshot_asn = NULL, enrichment_at = NULL, snapshot_method = NULL,"
        " snapshot_seal = NULL, snapshot_run = NULL, snapshot_source = NULL WHERE session_id = 's1'",
        "s1  torn",
    ),
    (
        "UPDATE session_summaries SET snapshot_asn = NULL, enrichment_at = NULL, snapshot_method = NULL,"
        " snapshot_seal = NULL, snapshot_run = NULL, snapshot_source = NULL, snapshot_gap = 'nothing_known'"
        " WHERE session_id = 's1'",
        "run r: 2 sealed sessions, 3 on record",
    ),
    ("UPDATE session_summaries SET snapshot_run = 'c' WHERE session_id = 's1'", "s1  changed without audit"),
    ("UPDATE session_summaries SET snapshot_run = NULL WHERE session_id = 's1'", "run -: 1 sealed sessions"),
    ("UPDATE ip_observations SET asn = 5", "s1  not stated"),
    ("UPDATE ip_observations SET source = 'b'", "s1  not stated"),
    ("UPDATE ip_observations SET observed_at = '2025-01-01 00:00:00.000000'", "and no build has that date"),
    ("DELETE FROM ip_observations", "s1  not stated"),
    ("DELETE FROM fact_sources", "the source a@2026-03-01 was never registered"),
    ("UPDATE fact_sources SET source = 'b'", "the source a@2026-03-01 was never registered"),
    ("UPDATE fact_sources SET sha256 = 'x'", "the source a@2026-03-01T12:00 is not what was registered"),
    ("UPDATE fact_sources SET licence = 'x'", "the source a@2026-03-01T12:00 is not what was registered"),
    ("DELETE FROM snapshot_corrections", "run c: 1 sealed sessions, 0 on record"),
    ("UPDATE snapshot_corrections SET new_snapshot_asn = 9", "correction 1 of s0"),
    ("UPDATE snapshot_corrections SET old_snapshot_asn = 9", "correction 1 of s0"),
    ("UPDATE snapshot_corrections SET old_snapshot_run = 'x'", "run x: 0 sealed sessions, -1 on record"),
    ("UPDATE snapshot_corrections SET session_id = 's1'", "correction 1 of s1"),
    ("UPDATE snapshot_corrections SET reason = 'x'", "correction 1 of s0"),
    ("UPDATE snapshot_corrections SET run = 'x'", "correction 1 of s0"),
    ("UPDATE snapshot_corrections SET made_at = '2025-01-01 00:00:00.000000'", "correction 1 of s0"),
    ("UPDATE snapshot_prunings SET sealed_by_run = '{}'", "run r: 3 sealed sessions, 5 on record"),
    ("UPDATE snapshot_prunings SET events = 9", "pruning 1"),
    ("UPDATE snapshot_prunings SET sessions = 9", "pruning 1"),
    ("UPDATE snapshot_prunings SET sessions = 0", "pruning 1"),
    ("UPDATE snapshot_prunings SET before = '2025-01-01 00:00:00.000000'", "pruning 1"),
    ("UPDATE snapshot_prunings SET made_at = '2025-01-01 00:00:00.000000'", "pruning 1"),
    ("UPDATE snapshot_prunings SET run = 'r'", "pruning 1"),
    (
        "UPDATE ip_observations SET confirmed_until = '2027-01-01 00:00:00.000000'",
        "observations of a name 2027-01-01 00:00:00 (confirmed_until), and no build has that date",
    ),
    ("UPDATE session_summaries SET snapshot_seal = NULL WHERE session_id = 's1'", "s1  "),
    ("UPDATE snapshot_corrections SET new_snapshot_seal = NULL", "correction 1 of s0"),
    ("UPDATE snapshot_corrections SET old_snapshot_seal = NULL", "correction 1 of s0"),
    ("DELETE FROM snapshot_prunings", "run r: 3 sealed sessions, 5 on record"),
    ("UPDATE run_seals SET sessions = 9", "run r: 3 sealed sessions, 6 on record"),
    ("DELETE FROM run_seals", "run r: 3 sealed sessions, -3 on record"),
    *((f"UPDATE snapshot_prunings SET sealed_by_run = '{malformed}'", "pruning 1") for malformed in MALFORMED_COUNTS),
    ("""UPDATE runs SET settings = '{"before": []}' WHERE run = 'p'""", "pruning 1"),
    *(
        (f"UPDATE runs SET {column} = '{malformed}' WHERE run = 'p'", "pruning 1")
        for column in ("counts", "settings")
        for malformed in MALFORMED_JSON
    ),
]


@pytest.mark.parametrize(("statement", "name"), PAST_THE_GUARD, ids=lambda text: text[:80])
def test_a_change_that_bypasses_the_triggers_is_reported(database: SqlDatabase, statement: str, name: str) -> None:
    """Made by an operator who drops and recreates the triggers."""
    with database.changing_tables() as connection:
        triggers.remove(connection)
        connection.execute(text(statement))
        triggers.install(connection)

    assert name in named(database)


OF_ANOTHER_TYPE = [
    ("snapshot_prunings", "sealed_by_run"),
    ("snapshot_prunings", "events"),
    ("runs", "counts"),
    ("runs", "settings"),
]


@pytest.mark.parametrize(("table", "column"), OF_ANOTHER_TYPE)
def test_a_blob_in_a_pruning_or_its_run_is_named_with_its_column(
    table: str, column: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite stores a value of any type in any column; verify reports it and continues."""
    database = SqlDatabase(f"sqlite:///{tmp_path_factory.mktemp('db')}/test.db")
    store(database)
    with database.changing_tables() as connection:
        triggers.remove(connection)
        connection.execute(text(f"UPDATE {table} SET {column} = CAST('{{}}' AS BLOB)"))
        triggers.install(connection)

    assert f"{column} holds a blob" in named(database)
    database.close()


DIGESTS = [
    ("UPDATE snapshot_corrections SET digest = NULL WHERE id = 2", ["correction 2 of s2: its digest is missing"]),
    (
        "UPDATE fact_sources SET digest = NULL WHERE source = 'b'",
        ["the digest of the source b@2026-03-01T12:00 is missing"],
    ),
    ("UPDATE snapshot_corrections SET digest = NULL WHERE id = 1", []),
    ("UPDATE fact_sources SET digest = NULL WHERE source = 'a'", []),
]


@pytest.mark.parametrize(("statement", "names"), DIGESTS)
def test_a_missing_digest_is_named(database: SqlDatabase, statement: str, names: list[str]) -> None:
    """Unless all earlier rows lack it too, as in a database of an older version."""
    corrected = IpSnapshot.corrected(snapshot(), asn=7, at=NOON + DAY)
    with database.transaction() as stores:
        stores.sources.register_build(replace(A_BUILD, name="b"), registered_at=NOON + DAY)
        stores.runs.begin("d", RunKind.CORRECT, at=NOON + DAY)
        stores.audit.correct("s2", corrected, reason="wrong", run="d", made_at=NOON + DAY)
    assert named(database) == ""
    with database.changing_tables() as connection:
        triggers.remove(connection)
        connection.execute(text(statement))
        triggers.install(connection)

    assert [line.split("  ")[0] for line in named(database).splitlines()] == names


NO_OP = "RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"

INTACT_ON_SQLITE = [
    (
        "DROP TRIGGER snapshot_guard;\nCREATE TRIGGER snapshot_guard AFTER UPDATE OF snapshot_asn ON session_summaries"
        " WHEN 0 BEGIN SELECT RAISE(ABORT, 'sealed'); END",
        "snapshot_guard on session_summaries has another definition",
    ),
    ("DROP TRIGGER snapshot_no_delete", "snapshot_no_delete on session_summaries is missing"),
    (
        "DROP TRIGGER snapshot_session_summaries_no_replace_by_update",
        "snapshot_session_summaries_no_replace_by_update on session_summaries is missing",
    ),
    (
        "CREATE TRIGGER mine BEFORE INSERT ON snapshot_probe BEGIN SELECT RAISE(IGNORE); END",
        "mine on snapshot_probe is not a trigger of this program",
    ),
    ("UPDATE snapshot_probe SET k = 2", "the table snapshot_probe holds other rows"),
    ("DROP TABLE snapshot_door", "the table snapshot_door is missing"),
    (
        "CREATE UNIQUE INDEX mine ON session_summaries (created_at, event_count, session_id)",
        "snapshot_session_summaries_no_replace_by_update on session_summaries has another definition",
    ),
    (
        "PRAGMA writable_schema = ON;\nUPDATE sqlite_master SET sql = replace(sql, 'snapshot_is_whole', 'mine')"
        " WHERE name = 'session_summaries'",
        "the constraint snapshot_is_whole of session_summaries is missing",
    ),
    (
        "ALTER TABLE session_summaries RENAME COLUMN snapshot_gap TO mine",
        "the column snapshot_gap of session_summaries is missing",
    ),
    ("ALTER TABLE session_summaries RENAME TO mine", "the table session_summaries is missing"),
    ("DROP TABLE snapshot_corrections", "the table snapshot_corrections is missing"),
]

INTACT_ON_POSTGRESQL = [
    *(
        (f"CREATE OR REPLACE FUNCTION {function}() {NO_OP}", f"the function {function} has another definition")
        for function in (
            "snapshot_guard",
            "snapshot_no_delete",
            "snapshot_append_only",
            "snapshot_correction_apply",
            "snapshot_pruning_apply",
            "snapshot_stamp",
        )
    ),
    ("ALTER FUNCTION snapshot_guard() RESET search_path", "the function snapshot_guard has another definition"),
    ("ALTER FUNCTION snapshot_guard() SECURITY INVOKER", "the function snapshot_guard has another definition"),
    (
        "ALTER TABLE session_summaries ENABLE TRIGGER snapshot_guard",
        "snapshot_guard on session_summaries is disabled for replicas",
    ),
    (
        "ALTER TABLE session_summaries DISABLE TRIGGER snapshot_guard",
        "snapshot_guard on session_summaries is disabled",
    ),
    ("ALTER TABLE runs DISABLE TRIGGER ALL", "snapshot_runs_no_delete on runs is disabled"),
    (
        "DROP TRIGGER snapshot_guard ON session_summaries;\n"
        "CREATE TRIGGER snapshot_guard AFTER UPDATE ON session_summaries FOR EACH ROW"
        " WHEN (OLD.session_id = 'x') EXECUTE FUNCTION snapshot_guard();\n"
        "ALTER TABLE session_summaries ENABLE ALWAYS TRIGGER snapshot_guard",
        "snapshot_guard on session_summaries has another definition",
    ),
    (
        "DROP TRIGGER snapshot_no_delete ON session_summaries;\n"
        "CREATE TRIGGER snapshot_no_delete BEFORE DELETE ON session_summaries FOR EACH ROW WHEN (OLD.session_id = 'x')"
        " EXECUTE FUNCTION snapshot_no_delete();\n"
        "ALTER TABLE session_summaries ENABLE ALWAYS TRIGGER snapshot_no_delete",
        "snapshot_no_delete on session_summaries has another definition",
    ),
    ("DROP TRIGGER snapshot_no_truncate ON runs", "snapshot_no_truncate on runs is missing"),
    (
        "CREATE RULE mine AS ON UPDATE TO session_summaries DO INSTEAD NOTHING",
        "the rule mine on session_summaries",
    ),
    ("CREATE RULE mine AS ON INSERT TO snapshot_corrections DO INSTEAD NOTHING", "the rule mine on snapshot_correc"),
    ("ALTER TABLE session_summaries ENABLE ROW LEVEL SECURITY", "row-level security on session_summaries"),
    ("CREATE POLICY mine ON runs USING (true)", "row-level security on runs"),
    (
        "ALTER TABLE session_summaries DROP CONSTRAINT snapshot_is_whole",
        "the constraint snapshot_is_whole of session_summaries is missing",
    ),
    (
        "ALTER TABLE session_summaries DROP CONSTRAINT sealed_or_gap;\n"
        "ALTER TABLE session_summaries ADD CONSTRAINT sealed_or_gap CHECK (true)",
        "the constraint sealed_or_gap of session_summaries is missing or differs",
    ),
    (
        "ALTER TABLE session_summaries RENAME COLUMN snapshot_gap TO mine",
        "the column snapshot_gap of session_summaries is missing",
    ),
    ("ALTER TABLE session_summaries RENAME TO mine", "the table session_summaries is missing"),
    (
        "ALTER TABLE fact_sources RENAME TO mine;\nCREATE VIEW fact_sources AS SELECT * FROM mine",
        "the table fact_sources is missing",
    ),
]


@pytest.mark.parametrize(("statements", "name"), INTACT_ON_SQLITE)
def test_a_guard_that_is_not_intact_is_named_on_sqlite(
    tmp_path_factory: pytest.TempPathFactory, statements: str, name: str
) -> None:
    """Each trigger, function or constraint that differs from its definition."""
    database = SqlDatabase(f"sqlite:///{tmp_path_factory.mktemp('db')}/test.db")
    store(database)
    engine = create_engine(database.engine.url)
    with engine.begin() as connection:
        run_as(connection, statements)
    engine.dispose()

    assert name in named(database)
    database.close()


@pytest.mark.parametrize(("statements", "name"), INTACT_ON_POSTGRESQL)
def test_a_guard_that_is_not_intact_is_named_on_postgresql(postgresql: str, statements: str, name: str) -> None:
    """Each trigger, function or constraint that differs from its definition."""
    database = SqlDatabase(postgresql)
    store(database)
    with database.engine.begin() as connection:
        run_as(connection, statements)

    assert name in named(database)
    database.close()
