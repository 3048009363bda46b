"""Adopting a database of cowrieprocessor, running next to its loader, replacing the loader, and undoing it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.sql.rows.behaviour_columns import BEHAVIOUR_COLUMNS
from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.spans_table import drop_spans_table
from snapshots.app.ports.log_source import LogEvent
from tests.cowrieprocessor import AdoptableSchema, load_as_cowrieprocessor, put_session
from tests.journeys.conftest import NEW, OLD, SQLITE_BY_DEFAULT, Run
from tests.tables import mmdb

ADDED = {"current_country", "current_ip_type", "looked_up_until", "learned_at", "newest_at"}
BEFORE = "2026-03-01 11:00:00.000000"
SHAPES = [
    AdoptableSchema(dialect="sqlite"),
    AdoptableSchema(dialect="postgresql", by_migrations=True, json="JSONB"),
]
MORE_SHAPES = [
    AdoptableSchema(dialect="sqlite", version=16),
    AdoptableSchema(dialect="sqlite", version=15, by_migrations=True, types=""),
    AdoptableSchema(dialect="postgresql"),
    AdoptableSchema(dialect="postgresql", version=16, types="array"),
    AdoptableSchema(dialect="postgresql", version=15, by_migrations=True, types="", json="JSONB"),
]
ROWS: dict[str, dict[str, Any]] = {
    "open": {},
    "sealed": {"source_ip": "8.8.8.8", "snapshot_asn": 15169, "snapshot_country": "US", "enrichment_at": BEFORE},
    "partial": {"source_ip": "8.8.8.8", "snapshot_asn": 64500, "enrichment_at": BEFORE},
    "sentinel": {"source_ip": "8.8.8.8", "snapshot_country": "XX", "enrichment_at": BEFORE},
    "mixed": {"source_ip": "8.8.8.8", "snapshot_asn": 64500, "snapshot_country": "XX", "enrichment_at": BEFORE},
    "list": {"source_ip": "8.8.8.8", "snapshot_ip_type": '["VPN"]', "enrichment_at": BEFORE},
    "torn": {"source_ip": "8.8.8.8", "snapshot_country": "FR"},
    "timeless": {"first_event_at": None, "last_event_at": None},
}


class Adopted:
    """A database of cowrieprocessor, and a connection to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def rows(self, table: str = "session_summaries", columns: str = "*") -> list[dict[str, Any]]:
        order = {"session_summaries": "session_id", "known_addresses": "ip_address"}.get(table, "1")
        with self.engine.connect() as connection:
            found = connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY {order}")).mappings()
            return [dict(row) for row in found]

    def row(self, session_id: str) -> dict[str, Any]:
        (found,) = (row for row in self.rows() if row["session_id"] == session_id)
        return found

    def shape(self) -> dict[str, tuple[list[str], list[str], list[str]]]:
        """Return the columns, the indexes, and the columns in their order with their types, of each table."""
        seen = inspect(self.engine)
        return {
            name: (
                sorted(column["name"] for column in seen.get_columns(name)),
                sorted(str(index["name"]) for index in seen.get_indexes(name)),
                [f"{column['name']} {column['type']}" for column in seen.get_columns(name)],
            )
            for name in seen.get_table_names()
        }


def name_of(shape: AdoptableSchema) -> str:
    return f"{shape.dialect}-{shape.version}-{'migrated' if shape.by_migrations else 'orm'}"


@pytest.fixture(params=[*SHAPES, *(pytest.param(each, marks=pytest.mark.slow) for each in MORE_SHAPES)], ids=name_of)
def shape(request: pytest.FixtureRequest) -> AdoptableSchema:
    return request.param  # type: ignore[no-any-return]  # one of SHAPES


Make = Callable[[AdoptableSchema], Adopted]


@pytest.fixture
def make(run: Run, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a database of a shape, which every command of the test uses after `run` named one."""
    engines: list[Engine] = []

    def _make(shape: AdoptableSchema) -> Adopted:
        is_postgresql = shape.dialect == "postgresql"
        url = request.getfixturevalue("postgresql") if is_postgresql else f"sqlite:///{tmp_path}/theirs.db"
        monkeypatch.setenv("SNAPSHOTS_DB", url)
        engines.append(create_engine(url))
        with engines[0].begin() as connection:
            shape.make(connection)
        return Adopted(engines[0])

    assert callable(run)
    yield _make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def theirs(shape: AdoptableSchema, make: Make) -> Adopted:
    """Each schema variant, with the rows that it can have."""
    database = make(shape)
    columns = database.shape()["session_summaries"][0]
    with database.engine.begin() as connection:
        for name, values in ROWS.items():
            if set(values) <= set(columns):
                put_session(connection, name, **values)
    return database


@pytest.fixture(params=SQLITE_BY_DEFAULT)
def newest(make: Make, request: pytest.FixtureRequest) -> Adopted:
    """The newest shape, still without rows."""
    return make(AdoptableSchema(dialect=request.param, by_migrations=request.param == "postgresql"))


def test_every_schema_variant_is_adopted_without_writing_a_row(theirs: Adopted, run: Run) -> None:
    """Its rows are unchanged, and everything of ours works next to them."""
    names = ", ".join(theirs.shape()["session_summaries"][0])
    before = theirs.rows(columns=names)

    code, out, err = run("adopt")

    assert (code, out.splitlines()[-1], err) == (0, "Done.", "")
    assert theirs.rows(columns=names) == before
    loaded = run("load", OLD)
    assert "received a snapshot" in loaded[1], loaded
    assert [row for row in theirs.rows(columns=names) if row["session_id"] in ROWS] == before
    assert run("report")[0] == 0
    assert run("explain", "open")[0] == 0


def test_a_dry_run_of_adopting_changes_nothing_and_names_locks_and_sizes(theirs: Adopted, run: Run) -> None:
    """The adoption then prints the same lines."""
    before = theirs.shape()

    forecast = run("adopt", "--dry-run")[1].splitlines()

    assert theirs.shape() == before
    assert forecast[-1] == "Nothing was changed: this was a dry run."
    assert any("session_summaries: add the columns" in line and "locks a moment" in line for line in forecast)
    assert forecast[:-1] == run("adopt")[1].splitlines()[:-1]


def test_adopting_again_does_nothing(theirs: Adopted, run: Run) -> None:
    """It can be interrupted and repeated."""
    run("adopt")
    shape = theirs.shape()

    code, out, _ = run("adopt")

    assert (code, "Nothing to do." in out) == (0, True)
    assert theirs.shape() == shape


def test_an_undo_of_an_adoption_restores_every_column(theirs: Adopted, run: Run) -> None:
    """And it reports how the values filled since are treated."""
    before, rows = theirs.shape(), theirs.rows("session_summaries")
    run("adopt")
    run("load", OLD)

    forecast = run("adopt", "--undo", "--dry-run")[1]
    code, out, _ = run("adopt", "--undo")

    assert code == 0
    assert "79 sessions that were sealed since keep" in forecast
    assert ("lost with the columns" in forecast) == ("snapshot_ip_type" not in before["session_summaries"][0])
    assert forecast.splitlines()[:-1] == out.splitlines()[:-1]
    after = theirs.shape()
    assert set(after) == set(before)
    assert after["session_summaries"] == before["session_summaries"]
    assert [row for row in theirs.rows() if row["session_id"] in ROWS] == rows
    assert "was never adopted" in run("adopt", "--undo")[2]


def test_only_a_cowrieprocessor_database_can_be_adopted(newest: Adopted, run: Run, tmp_path: Path) -> None:
    """The message states why, and nothing is changed."""
    ours = f"sqlite:///{tmp_path}/ours.db"
    run("migrate", "--db", ours)
    assert "created by snapshots" in run("adopt", "--db", ours)[2]

    with newest.engine.begin() as connection:
        connection.execute(text("UPDATE schema_state SET value = '9'"))
    assert "has version 9; 15, 16, 17 can be adopted" in run("adopt")[2]

    with newest.engine.begin() as connection:
        connection.execute(text("UPDATE schema_state SET value = '17'"))
        connection.execute(text("CREATE TABLE runs (id INTEGER)"))
    assert "tables of its own called runs" in run("adopt")[2]

    with newest.engine.begin() as connection:
        connection.execute(text("DROP TABLE schema_state"))
    assert "not a database of cowrieprocessor" in run("adopt")[2]


def put_rows(database: Adopted) -> None:
    with database.engine.begin() as connection:
        for name, values in ROWS.items():
            put_session(connection, name, **values)


def an_event(name: str) -> LogEvent:
    line = f'{{"session":"{name}","timestamp":"2026-03-01T12:10:00Z","eventid":"cowrie.command.input"}}'
    event = LineDecoder().decode(line.encode())
    assert isinstance(event, LogEvent)
    return event


def test_rows_without_a_name_are_named_or_deleted_first(make: Make, run: Run) -> None:
    """SQLite lets a primary key be NULL; such a session cannot be named."""
    database = make(AdoptableSchema(dialect="sqlite", by_migrations=True))
    with database.engine.begin() as connection:
        put_session(connection, "named")
        put_session(connection, None)

    code, _, err = run("adopt")

    assert (code, "rows without a session_id (1): give each a unique one" in err) == (1, True)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE session_summaries SET session_id = 'mine' WHERE session_id IS NULL"))
    assert [run(command)[0] for command in ("adopt", "backfill")] == [0, 0]


def test_the_other_loader_continues_to_write_and_never_aborts(newest: Adopted, run: Run) -> None:
    """Filled NULLs are restored, and a changed fact is an error: no value of either loader is overwritten."""
    put_rows(newest)
    run("adopt")
    before = {row["session_id"]: row for row in newest.rows()}
    # Its COALESCE keeps what is there, and fills what is not from whatever it knows today.
    facts = {"source_ip": "8.8.8.8", "snapshot_asn": 1, "snapshot_country": "DE", "snapshot_ip_type": "TOR"}
    facts["enrichment_at"] = BEFORE

    with newest.engine.begin() as connection:
        load_as_cowrieprocessor(connection, [an_event(name) for name in [*ROWS, "new"]], facts)

    after = {row["session_id"]: row for row in newest.rows()}
    assert {name: after[name]["event_count"] for name in ROWS} == dict.fromkeys(ROWS, 6)
    columns = ("source_ip", "snapshot_asn", "snapshot_country", "snapshot_ip_type", "enrichment_at")
    for name in ("sealed", "partial", "mixed", "list", "torn"):
        assert [after[name][c] for c in columns] == [before[name][c] for c in columns], name
    assert (after["open"]["snapshot_asn"], after["new"]["snapshot_country"]) == (1, "DE")
    assert "The guard reverted 5 times" in run("verify")[1]


def test_a_change_of_a_fact_by_the_other_loader_is_refused(newest: Adopted, run: Run) -> None:
    """Filling is put back, changing is an error: nothing of ours or theirs is overwritten."""
    put_rows(newest)
    run("adopt")

    with newest.engine.connect() as connection, pytest.raises(DatabaseError, match="sealed"):
        connection.execute(text("UPDATE session_summaries SET snapshot_country = 'DE' WHERE session_id = 'sealed'"))

    assert newest.row("sealed")["snapshot_country"] == "US"


def test_verify_names_torn_and_sentinel_rows_and_correct_opens_them(newest: Adopted, run: Run) -> None:
    """XX alone is not a fact: after its removal the session is open again; other facts stay."""
    put_rows(newest)
    run("adopt")

    found = json.loads(run("verify", "--format", "json")[1])["invariants"]["violations"]
    assert [(v["invariant"], v["where"]) for v in found] == [
        ("in_range", "list"),
        ("no_sentinel", "mixed"),
        ("no_sentinel", "sentinel"),
        ("whole", "torn"),
    ]

    assert run("correct", "--sentinels", "--reason", "no facts", "--dry-run")[1].startswith("2 sessions have")
    assert run("correct", "--sentinels", "--reason", "no facts")[1].startswith("2 sessions had")
    assert run("correct", "--sentinels", "--reason", "no facts")[1].startswith("0 sessions had")
    opened, mixed = newest.row("sentinel"), newest.row("mixed")
    assert (opened["snapshot_country"], opened["enrichment_at"]) == (None, None)
    assert (mixed["snapshot_country"], mixed["snapshot_asn"], mixed["enrichment_at"] is None) == (None, 64500, False)
    assert [row["old_snapshot_country"] for row in newest.rows("snapshot_corrections")] == ["XX", "XX"]


def test_correct_requires_a_session_or_sentinels(run: Run) -> None:
    """Asked for both or neither, it does nothing."""
    assert run("correct", "--reason", "x")[0] == 2
    assert run("correct", "s", "--sentinels", "--reason", "x")[0] == 2
    assert run("correct", "s", "--dry-run", "--reason", "x")[0] == 2
    assert run("adopt", "--undo", "--widen")[0] == 2


def make_as_adopted_before(connection: Connection, version: str = "0010") -> None:
    """Create the tables of a former adoption, which stored facts of addresses in the other loader's inventory."""
    triggers.remove(connection)
    for table, column in (
        ("snapshot_prunings", "sealed_by_run"),
        ("snapshot_corrections", "digest"),
        ("fact_sources", "digest"),
    ):
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
    for table in ("run_seals", "session_logins", "credentials", "passwords"):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    drop_spans_table(connection)
    connection.exec_driver_sql("ALTER TABLE quarantined_sessions RENAME TO set_asides")
    for table, new, before in (
        ("runs", "heartbeat_at", "heard_at"),
        ("runs", "checkpoint", "position"),
        ("set_asides", "quarantined_at", "set_aside_at"),
        ("bookmarks", "stored_at", "put_at"),
        ("dead_letters", "stored_at", "kept_at"),
    ):
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME COLUMN {new} TO {before}")
    for old, columns in {
        "ip_inventory": {
            "current_country": "VARCHAR(2)",
            "current_ip_type": "VARCHAR(16)",
            "looked_up_until": "INTEGER NOT NULL DEFAULT 0",
            "learned_at": "TIMESTAMP WITH TIME ZONE",
            "newest_at": "TIMESTAMP WITH TIME ZONE",
        }
    }.items():
        for name, kind in columns.items():
            connection.exec_driver_sql(f"ALTER TABLE {old} ADD COLUMN {name} {kind}")
    state = json.loads(connection.execute(text("SELECT state_before FROM adoptions")).scalar_one())
    for table in ("ip_inventory", "asn_inventory"):
        there = [column["name"] for column in inspect(connection).get_columns(table)]
        state["columns"][table] = [name for name in there if name not in ADDED]
        state["indexes"][table] = []
    connection.execute(text("UPDATE adoptions SET state_before = :s"), {"s": json.dumps(state)})
    connection.exec_driver_sql("DROP TABLE ip_observations")
    connection.exec_driver_sql(
        "CREATE TABLE ip_observations (ip_address VARCHAR(45) NOT NULL, source VARCHAR(64) NOT NULL, observed_at"
        " TIMESTAMP WITH TIME ZONE NOT NULL, confirmed_until TIMESTAMP WITH TIME ZONE NOT NULL, learned_at TIMESTAMP"
        " WITH TIME ZONE NOT NULL, asn BIGINT, country VARCHAR(2), ip_types VARCHAR(64) NOT NULL, PRIMARY KEY"
        " (ip_address, source, observed_at), FOREIGN KEY(ip_address) REFERENCES ip_inventory (ip_address))"
    )
    for table in ("known_addresses", "known_networks", "inventory_placeholders"):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def events_of(path: Path) -> list[LogEvent]:
    return [line for line in LogContent(path, LineDecoder()).lines() if isinstance(line, LogEvent)]


COUNTERS = "session_id, event_count, command_count, login_attempts, file_downloads, matcher"


def test_cutting_over_neither_doubles_nor_loses(newest: Adopted, run: Run, tmp_path: Path) -> None:
    """What its loader counted adds nothing, whatever its sensor is called; of 100 new lines, 100 count."""
    with newest.engine.begin() as connection:
        load_as_cowrieprocessor(connection, events_of(NEW))
    counted = newest.rows(columns=COUNTERS)
    run("adopt")

    report = run("load", NEW, "--store-events")[1]

    assert newest.rows(columns=COUNTERS) == counted
    assert "509 events already stored" in report
    assert sum(row["lines"] for row in newest.rows("event_lines")) == 509  # what it counted was not kept

    log = tmp_path / "cowrie.json"
    last = max(line.event.at for line in events_of(NEW))
    names = sorted({line.logged_id for line in events_of(NEW)})[:20]
    log.write_text(
        "".join(
            json.dumps(
                {
                    "session": names[n % 20] if n < 60 else f"new{n % 20}",
                    "timestamp": (last + timedelta(seconds=n + 1)).isoformat(),
                    "eventid": "cowrie.command.input",
                }
            )
            + "\n"
            for n in range(100)
        )
    )
    assert "100 new events, 20 new sessions" in run("load", log)[1]
    assert "Nothing new" in run("load", log)[1]
    assert "Nothing new" in run("load", NEW)[1]
    total = sum(row["event_count"] for row in newest.rows())
    assert total == 509 + 100
    assert {row["matcher"] for row in newest.rows() if row["session_id"] in names} == {"their-name-for-it"}


def test_loading_again_after_the_switch_adds_addresses_that_its_loader_never_wrote(newest: Adopted, run: Run) -> None:
    """The delta loader stored sessions without source_ip and snapshot; their log lines contain both."""
    with newest.engine.begin() as connection:
        load_as_cowrieprocessor(connection, events_of(NEW))
    run("adopt")

    run("load", NEW)

    assert all(row["source_ip"] and row["snapshot_asn"] for row in newest.rows())
    assert run("verify", "--target", "95")[0] == 0


def test_a_network_number_that_does_not_fit_leaves_the_session_open_until_the_column_is_widened(
    make: Make, run: Run, tmp_path: Path
) -> None:
    """AS4200000000 in a 32-bit column once aborted a whole batch."""
    database = make(AdoptableSchema(dialect="postgresql"))
    put_rows(database)
    table = mmdb(tmp_path / "large.mmdb", {"8.8.0.0/16": {"asn": 4_200_000_000, "country": "US"}})
    log = tmp_path / "cowrie.json"
    log.write_text(
        '{"session":"a","timestamp":"2027-01-01T00:00:00Z","src_ip":"8.8.8.8","eventid":"cowrie.session.connect"}\n'
    )
    run("adopt")

    code, _, err = run("load", log, "--mmdb", table)

    assert (code, err) == (0, "")
    assert database.row("a")["snapshot_gap"] == "asn_too_large"

    assert "widen snapshot_asn to 64 bits, over" in run("adopt", "--widen")[1]
    log.write_text(log.read_text().replace('"a"', '"b"'))
    run("load", log, "--mmdb", table)
    assert database.row("b")["snapshot_asn"] == 4_200_000_000


def test_an_array_of_types_is_converted_to_text_only_on_request(make: Make, run: Run) -> None:
    """It rewrites the table, so the message states its size."""
    database = make(AdoptableSchema(dialect="postgresql", version=16, types="array"))
    with database.engine.begin() as connection:
        put_session(connection, "typed", source_ip="8.8.8.8", snapshot_ip_types=["RESIDENTIAL", "vpn"])

    code, _, err = run("adopt")
    assert (code, "`adopt --widen` turns it into the text" in err) == (1, True)

    assert run("adopt", "--widen")[0] == 0
    assert database.row("typed")["snapshot_ip_type"] == "RESIDENTIAL,vpn"
    assert json.loads(run("explain", "typed", "--format", "json")[1])["snapshot"]["ip_type"] == "VPN"


ODD: dict[str, dict[str, Any]] = {
    "counters": {"event_count": None, "command_count": None},
    "lower": {"source_ip": "8.8.8.8", "snapshot_country": "xx", "enrichment_at": BEFORE},
    "empty": {"source_ip": "8.8.8.8", "snapshot_country": "", "snapshot_ip_type": "[]", "enrichment_at": BEFORE},
    "word": {"source_ip": "8.8.8.8", "snapshot_ip_type": "scanner", "enrichment_at": BEFORE},
    "negative": {"source_ip": "8.8.8.8", "snapshot_asn": -1, "enrichment_at": BEFORE},
    "upper": {"source_ip": "2001:4860:4860::8888", "snapshot_asn": 15169, "enrichment_at": "2026-03-01T11:00:00+00:00"},
}


def test_odd_rows_do_not_stop_a_load_and_can_be_corrected(make: Make, run: Run, tmp_path: Path) -> None:
    """NULL counters, times in other formats, meaningless text, addresses that are in no inventory."""
    database = make(AdoptableSchema(dialect="sqlite", by_migrations=True))
    with database.engine.begin() as connection:
        for name, values in ODD.items():
            if name == "counters":
                connection.execute(text("PRAGMA ignore_check_constraints = ON"))
                continue
            put_session(connection, name, **values)
        put_session(connection, "orphan", snapshot_asn=64500, snapshot_country="XX", enrichment_at=BEFORE)
        put_session(connection, "timeless", snapshot_asn=64500, enrichment_at="unknown")
        connection.execute(text("UPDATE session_summaries SET source_ip = '9.9.9.9' WHERE session_id = 'orphan'"))
    run("adopt")
    log = tmp_path / "cowrie.json"
    log.write_text(
        "".join(
            f'{{"session":"{name}","timestamp":"2026-03-01T12:10:00Z","src_ip":"1.1.1.1","eventid":"cowrie.session.connect"}}\n'
            for name in [*ODD, "orphan", "timeless"]
        )
    )
    before = {row["session_id"]: row for row in database.rows()}

    code, _, err = run("load", log)

    assert (code, err) == (0, "")
    after = {row["session_id"]: row for row in database.rows()}
    for name in ("word", "negative", "upper", "orphan", "timeless"):
        assert after[name]["snapshot_run"] is None, name
        assert after[name]["snapshot_asn"] == before[name]["snapshot_asn"], name
    assert "guard" not in run("verify")[1].partition("violations")[2]
    assert run("explain", "timeless")[0] == 0
    for name in ("word", "upper", "orphan", "negative"):
        assert run("correct", name, "--reason", "by hand", "--asn", "64501")[:1] == (0,), name
        assert database.row(name)["snapshot_asn"] == 64501


def test_the_text_of_a_list_fits_into_the_audit(newest: Adopted, run: Run) -> None:
    """One such row once kept every sentinel from being taken out."""
    listed = {"source_ip": "8.8.8.8", "snapshot_ip_type": '["RESIDENTIAL", "VPN"]', "enrichment_at": BEFORE}
    with newest.engine.begin() as connection:
        put_session(connection, "listed", **listed, snapshot_country="XX")
        put_session(connection, "plain", source_ip="8.8.8.8", snapshot_country="XX", enrichment_at=BEFORE)
    run("adopt")

    assert run("correct", "--sentinels", "--reason", "no facts")[1].startswith("2 sessions had")
    assert run("correct", "listed", "--ip-type", "VPN", "--reason", "the list has it")[0] == 0
    assert newest.row("listed")["snapshot_ip_type"] == "VPN"


def test_migrate_refuses_to_downgrade_an_adopted_database(newest: Adopted, run: Run) -> None:
    """It would drop tables of the other loader, and lose the record of the former schema."""
    put_rows(newest)
    run("adopt")

    for version in ("base", "0001"):
        assert "adopt --undo" in run("migrate", "--to", version)[2]
    assert len(newest.rows()) == len(ROWS)


def test_existing_columns_of_its_tables_are_used_unchanged(newest: Adopted, run: Run, tmp_path: Path) -> None:
    """Its newest version made some by which campaigns are found; also when it was adopted before those were ours."""
    with newest.engine.begin() as connection:
        put_session(connection, "a1", password_hash="theirs")
        its_own = {column["name"] for column in inspect(connection).get_columns("session_summaries")}
    assert run("adopt")[0] == 0
    newest.engine.dispose()  # SQLite's connection remembers the tables as they were
    with newest.engine.begin() as connection:
        for name in set(BEHAVIOUR_COLUMNS) - its_own:
            connection.exec_driver_sql(f"ALTER TABLE session_summaries DROP COLUMN {name}")
        connection.exec_driver_sql("DROP TABLE event_lines")
        connection.exec_driver_sql("DROP TABLE session_fingerprints")
        make_as_adopted_before(connection, version="0004")

    assert run("migrate")[0] == 0
    line = {"session": "a1", "timestamp": "2026-12-01T10:00:00Z", "eventid": "cowrie.client.version", "version": "Go"}
    (tmp_path / "cowrie.json").write_text(json.dumps(line) + "\n")
    assert run("load", tmp_path / "cowrie.json")[0] == 0

    assert {"password_hash", "command_signature", "ssh_key_fingerprint"} <= its_own
    assert (newest.row("a1")["password_hash"], newest.row("a1")["client_version"]) == ("theirs", "Go")


@pytest.mark.parametrize("count", [4, 300])
def test_events_counted_by_both_loaders_are_not_counted_again(
    newest: Adopted, run: Run, tmp_path: Path, count: int
) -> None:
    """Ours read a part, theirs continued, then ours reads all: of a short session and of a long one."""
    run("adopt")
    lines = [
        f'{{"session":"a","timestamp":"2026-03-01T12:{n // 60:02}:{n % 60:02}Z","src_ip":"8.8.8.8",'
        '"eventid":"cowrie.login.failed"}\n'
        for n in range(count)
    ]
    log = tmp_path / "cowrie.json"
    log.write_text("".join(lines[: count // 2]))
    run("load", log)
    log.write_text("".join(lines))
    with newest.engine.begin() as connection:
        load_as_cowrieprocessor(connection, events_of(log)[count // 2 :])

    run("load", log)

    assert (newest.row("a")["event_count"], newest.row("a")["login_attempts"]) == (count, count)


def test_sessions_of_a_reused_id_are_recognized_after_an_undo(newest: Adopted, run: Run, tmp_path: Path) -> None:
    """The undo drops the column with the logged ID."""
    lines = [
        f'{{"session":"dup","timestamp":"2026-03-01T1{n}:00:00Z","src_ip":"8.8.8.{n}","eventid":"cowrie.session.connect"}}\n'
        for n in range(2)
    ]
    log = tmp_path / "cowrie.json"
    log.write_text("".join(lines))
    run("adopt")
    run("load", log)
    before = newest.rows(columns=COUNTERS)
    run("adopt", "--undo")
    run("adopt")

    assert "Nothing new" in run("load", log)[1]
    assert newest.rows(columns=COUNTERS) == before


def test_objects_that_depend_on_a_column_are_retained(make: Make, run: Run) -> None:
    """Partial indexes, indexes on expressions, and views."""
    database = make(AdoptableSchema(dialect="postgresql"))
    with database.engine.begin() as connection:
        connection.execute(text("CREATE INDEX p1 ON session_summaries (matcher) WHERE snapshot_asn IS NOT NULL"))
        connection.execute(text("CREATE INDEX p2 ON session_summaries ((snapshot_asn % 10))"))
        connection.execute(text("CREATE VIEW v AS SELECT matcher FROM session_summaries"))
    before = database.shape()["session_summaries"]

    assert run("adopt")[0] == 0
    assert set(before[1]) <= set(database.shape()["session_summaries"][1])
    assert run("adopt", "--undo")[0] == 0
    assert database.shape()["session_summaries"] == before


def test_widened_columns_get_their_former_types(make: Make, run: Run) -> None:
    """Unless they have values that those types cannot store: the plan reports this, and no value is lost."""
    database = make(AdoptableSchema(dialect="postgresql"))
    put_rows(database)
    before = database.shape()["session_summaries"]
    run("adopt", "--widen")
    assert "snapshot_asn BIGINT" in database.shape()["session_summaries"][2]
    assert "restore the type INTEGER of snapshot_asn" in run("adopt", "--undo")[1]
    assert database.shape()["session_summaries"] == before

    run("adopt", "--widen")
    with database.engine.begin() as connection:
        put_session(connection, "large", snapshot_asn=4_200_000_000, matcher="m" * 40, enrichment_at=BEFORE)
    out = run("adopt", "--undo")[1]

    assert "session_summaries.snapshot_asn stays BIGINT" in out
    assert "session_summaries.matcher stays VARCHAR(255)" in out
    assert (database.row("large")["snapshot_asn"], database.row("large")["matcher"]) == (4_200_000_000, "m" * 40)


def test_a_column_with_a_constraint_is_not_recreated(make: Make, run: Run) -> None:
    """The constraint would be dropped with it."""
    database = make(AdoptableSchema(dialect="postgresql"))
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE session_summaries ADD CONSTRAINT c CHECK (snapshot_asn > 0)"))

    assert "constraint c" in run("adopt")[1]


def test_enrichment_of_cowrieprocessor_seals_sessions(newest: Adopted, run: Run, tmp_path: Path) -> None:
    """With the date at which it was written; reading it again adds nothing."""
    log = tmp_path / "cowrie.json"
    log.write_text(
        '{"session":"a","timestamp":"2026-03-01T12:00:00Z","src_ip":"192.88.98.1","eventid":"cowrie.session.connect"}\n'
    )
    document = json.dumps({"maxmind": {"asn": 64500, "country": "fr"}, "spur": {"client": {"types": ["VPN"]}}})
    with newest.engine.begin() as connection:
        put_session(connection, "theirs", source_ip="192.88.98.1")
        is_postgresql = connection.dialect.name == "postgresql"
        value = "CAST(:document AS JSON)" if is_postgresql else ":document"
        connection.execute(
            text(f"UPDATE ip_inventory SET enrichment = {value}, enrichment_updated_at = '{BEFORE}'"),
            {"document": document},
        )
    run("adopt")

    assert "4 observations added" in run("inventory", "refresh")[1]  # three of the bundled tables
    assert "0 observations added" in run("inventory", "refresh")[1]
    run("load", log)

    row = newest.row("a")
    assert (row["snapshot_asn"], row["snapshot_country"], row["snapshot_ip_type"]) == (64500, "FR", "VPN")
    assert (row["snapshot_method"], row["snapshot_source"]) == ("asof", "cowrieprocessor@2026-03-01T11:00")
