"""A database: transactions, errors, and the number of statements."""

import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, event, select, text

from snapshots import SessionAggregate, SettingRefused, StoreUnavailable, open_service
from snapshots.adapters.sql.connection.datetimes import (
    UtcDateTime,
    recorded_timestamp_text,
    timestamp_rfc3339,
    timestamp_text,
)
from snapshots.adapters.sql.connection.dialects.planner import prefer_index_scans
from snapshots.adapters.sql.connection.driver_errors import is_disk_full, is_unusable
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.behaviour_columns import behaviour_values
from snapshots.adapters.sql.rows.row_decoder import activity_in, behaviour_in, seal_of
from snapshots.adapters.sql.rows.session_encoder import COLUMNS, SessionRows
from snapshots.adapters.sql.schema.tables import FOUND_COLUMNS, ip_observations, known_addresses, session_summaries
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import StoreUnusable
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.behaviour import Behaviour, Traits
from snapshots.domain.session.event_record import record_of, text_of_time
from snapshots.domain.session.session import SessionEvent
from snapshots.domain.session.session_totals import NewSession, totals_of
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.fakes import DictSource, FakeSourceRegistry, snapshot_service
from tests.strategies import NOON, events, ip_snapshots, moments, odd_moments, sightings, traits


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqlDatabase]:
    made = SqlDatabase(f"sqlite:///{tmp_path}/test.db")
    yield made
    made.close()


def service(database: SqlDatabase, facts: dict[str, IpFacts] | None = None) -> SnapshotService:
    source = DictSource("a", NOON, facts or {"8.8.8.8": IpFacts(asn=15169, country="US")})
    return snapshot_service(database, FakeSourceRegistry(source))


def statements(engine: Engine) -> list[str]:
    sent: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    return sent


@pytest.mark.parametrize("sessions", [1, 2000])
def test_a_batch_reads_the_inventory_once(database: SqlDatabase, sessions: int) -> None:
    """Whatever the number of sessions; what was just learned of new addresses is not read back, only their history."""
    service(database).enrich([SessionAggregate.sighted("first", "9.9.9.9", NOON)])
    sent = statements(database.engine)
    aggregates = [SessionAggregate.sighted(f"s{n}", f"8.8.{n // 250}.{n % 250}", NOON) for n in range(sessions)]

    for _ in range(2):  # the addresses are new, then known
        sent.clear()
        service(database).enrich(aggregates)

        found = [s for s in sent if "ip_observations" in s and s.lstrip().startswith(("SELECT", "WITH"))]
        assert len(found) == 1
        assert len(sent) <= 21


@pytest.mark.slow
def test_a_batch_may_have_more_addresses_than_a_statement_has_parameters(database: SqlDatabase) -> None:
    """SQLite takes 32,766 at most."""
    texts = [f"11.{n // 256}.{n % 256}.1" for n in range(33_000)]
    facts = {address: IpFacts(asn=64500) for address in texts}

    summaries = service(database, facts).enrich([SessionAggregate.sighted(address, address, NOON) for address in texts])

    assert all(summary.is_sealed for summary in summaries)
    with database.reading() as connection:
        assert len(connection.execute(select(known_addresses.c.ip_address)).all()) == 33_000


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Engine]:
    """An engine with SQLAlchemy's defaults, as another loader creates it."""
    url = f"sqlite:///{tmp_path}/theirs.db"
    made = SqlDatabase(url)
    made.migrate()
    made.close()
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_a_connection_of_the_caller_is_not_committed(database: SqlDatabase, theirs: Engine) -> None:
    """A rollback by the caller discards everything."""
    with theirs.connect() as connection:
        summaries = service(database).enrich([SessionAggregate.sighted("s", "8.8.8.8", NOON)], connection)
        assert observed(connection) == 1
        connection.rollback()
        assert observed(connection) == 0

    assert summaries[0].is_sealed


def test_on_a_callers_connection_the_caller_commits(database: SqlDatabase, theirs: Engine) -> None:
    """Its own rows, which may reference the address, are in the same transaction."""
    with theirs.begin() as connection:
        connection.execute(text("CREATE TABLE mine (ip TEXT REFERENCES known_addresses (ip_address))"))
        service(database).enrich([SessionAggregate.sighted("s", "10.0.0.1", NOON)], connection)
        connection.execute(text("INSERT INTO mine VALUES ('10.0.0.1')"))

    with theirs.connect() as connection:
        assert (
            connection.execute(text("SELECT count(*) FROM mine JOIN known_addresses ON ip = ip_address")).scalar() == 1
        )


def test_a_failure_on_a_callers_connection_leaves_the_caller_its_own_work(
    database: SqlDatabase, theirs: Engine
) -> None:
    """Only the savepoint is rolled back."""
    broken = DictSource("a", NOON, {})
    broken.look_up = lambda _: 1 / 0  # type: ignore[assignment, method-assign, return-value]  # it fails
    service = snapshot_service(database, FakeSourceRegistry(broken))
    with theirs.begin() as connection:
        connection.execute(text("CREATE TABLE mine (ip TEXT)"))
        connection.execute(text("INSERT INTO mine VALUES ('x')"))
        with pytest.raises(ZeroDivisionError):
            service.enrich([SessionAggregate.sighted("s", "8.8.8.8", NOON)], connection)
        assert connection.execute(text("SELECT count(*) FROM mine")).scalar() == 1
        assert connection.execute(select(known_addresses)).all() == []


@pytest.mark.parametrize("break_", ["close", "close the driver's", "invalidate", "detach"])
def test_a_closed_connection_of_the_caller_is_an_error(sql_url: str, break_: str) -> None:
    """Both drivers report it in their own words."""
    made = SqlDatabase(sql_url)
    made.migrate()
    engine = create_engine(sql_url)
    connection = engine.connect()
    if break_ == "close":
        connection.close()
    elif break_ == "invalidate":
        connection.begin()
        connection.invalidate()
    else:
        if break_ == "detach":
            connection.detach()
        connection.connection.dbapi_connection.close()  # type: ignore[union-attr]  # it has one

    with pytest.raises(StoreUnavailable):
        service(made).enrich([SessionAggregate.sighted("s", "8.8.8.8", NOON)], connection)

    connection.invalidate() if not connection.closed else None
    connection.close()
    engine.dispose()
    made.close()


def observed(connection: Connection) -> int:
    return len(connection.execute(select(ip_observations)).all())


def test_an_object_that_is_not_a_connection_is_refused(database: SqlDatabase) -> None:
    """A DBAPI connection is not a SQLAlchemy connection."""
    with pytest.raises(SettingRefused, match=r"pass a sqlalchemy\.Connection.*got builtins\.str"):
        service(database).enrich([], "connection")


def test_the_service_is_opened_by_a_url(tmp_path: Path) -> None:
    """Three lines in another loader, with the bundled tables."""
    with open_service(f"sqlite:///{tmp_path}/test.db") as opened:
        (summary,) = opened.enrich([SessionAggregate.sighted("s", "8.8.8.8", datetime(2026, 11, 1, tzinfo=UTC))])

    assert summary.snapshot is not None
    assert (summary.snapshot.asn, summary.snapshot.country) == (15169, "US")


def test_a_check_constraint_refuses_an_incomplete_snapshot(database: SqlDatabase) -> None:
    """Neither facts without a time nor a time without facts can be stored."""
    whole = dict.fromkeys(("event_count", "command_count", "file_downloads", "login_attempts", "forward_count"), 1)
    whole |= dict.fromkeys(("first_event_at", "last_event_at", "created_at", "updated_at"), NOON)  # type: ignore[arg-type]  # of several types
    row = {"session_id": "s", "event_fingerprints": b"", **whole}
    for torn in ({"snapshot_asn": 1}, {"enrichment_at": NOON, "snapshot_method": "asof"}, {"snapshot_country": "DE"}):
        with pytest.raises(StoreUnavailable, match="snapshot_is_whole"), database.transaction() as stores:
            stores._connection.execute(session_summaries.insert(), row | torn)


def test_readers_work_during_a_write(database: SqlDatabase) -> None:
    """For example a report during a load."""
    with database.transaction() as stores:
        stores.bookmarks.marks_of(["x"])
        with database.reading() as connection:
            assert connection.execute(select(known_addresses)).all() == []


def test_a_database_is_shown_without_its_password() -> None:
    """In errors and logs."""
    with pytest.raises(SettingRefused) as refused:
        SqlDatabase("unknown://me:secret@host/db")
    assert "secret" not in str(refused.value)


class Interrupting:
    """A value at which Ctrl-C is pressed."""

    def __conform__(self, _protocol: object) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_while_rows_are_read_releases_the_lock(
    database: SqlDatabase,
) -> None:
    """The statement that records the interruption does not wait for the lock of its own process."""
    database.migrate()

    adding = "INSERT INTO known_networks (asn_number, created_at, updated_at) VALUES (?, '2026-03-01', '2026-03-01')"

    def interrupted() -> None:
        with database.transaction() as stores:
            stores.runs._connection.exec_driver_sql(adding, [(1,), (Interrupting(),)])

    with pytest.raises(KeyboardInterrupt) as held:
        interrupted()

    with database.transaction() as stores:
        assert stores.runs.latest(limit=1) == []
    assert held.value is not None  # and with it the statement


def test_a_datetime_without_a_time_zone_is_not_stored() -> None:
    """It would be read back as a different time."""
    kind, dialect = UtcDateTime(), create_engine("sqlite://").dialect
    berlin = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))

    assert kind.process_bind_param(berlin, dialect) == "2026-03-01 12:00:00.000000"
    with pytest.raises(ValueError, match="has no time zone"):
        kind.process_bind_param(NOON.replace(tzinfo=None), dialect)


@given(moment=st.datetimes(timezones=st.timezones() | st.just(UTC)).filter(lambda at: 1 < at.year < 9999))
def test_a_timestamp_is_formatted_as_python_formats_it(moment: datetime) -> None:
    """The faster formatter omits a zero fraction."""
    in_utc = moment.astimezone(UTC)

    assert timestamp_text(moment) == in_utc.isoformat(" ", "microseconds")[:26]
    assert datetime.fromisoformat(timestamp_rfc3339(moment)) == in_utc


@given(seen=st.none() | sightings, held=ip_snapshots, name=st.text(min_size=1, max_size=5))
def test_bulk_seals_equal_the_seals_of_single_rows(seen: Sighting | None, held: IpSnapshot, name: str) -> None:
    """The bulk encoder and the row decoder compute the same seal."""
    summary = SessionAggregate.sighted(name, None, NOON).summary()._replace(sighting=seen, snapshot=held)

    row = dict(zip(COLUMNS, SessionRows("run", NOON, lambda moment: moment).row(summary), strict=True))

    assert row["snapshot_seal"] == seal_of(row)


@given(
    found=st.lists(events(moments | odd_moments), min_size=1, max_size=8),
    verdict=st.sampled_from(Gap) | ip_snapshots,
    is_text=st.booleans(),
)
def test_a_new_session_has_the_row_of_its_summary(
    found: list[SessionEvent], verdict: IpSnapshot | Gap, *, is_text: bool
) -> None:
    """Column by column, with times as SQLite stores them and as PostgreSQL copies them."""
    totals = totals_of("s", [record_of(each._replace(sensor="a")) for each in found])
    assume(totals is not None)
    assert totals is not None
    stored, stored_text = (timestamp_text, recorded_timestamp_text) if is_text else (text_of_time, str)
    rows = SessionRows("run", NOON, stored, NOON, stored_text=stored_text)

    assert rows.new_row(NewSession.of(totals).judged(verdict)) == rows.row(totals.summary().judged(verdict))


def test_every_column_of_a_session_is_written() -> None:
    """Except those that only a backfill writes."""
    assert {*COLUMNS, *FOUND_COLUMNS} == set(session_summaries.columns.keys())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        '{"hassh": 1}',
        '{"hassh": [["x", "y"]]}',
        '{"another": [[1, "y"]]}',
        '{"duration": [[1, "long"]]}',
        '{"credentials": [[1, "root"]]}',
        '{"credentials": [[1, "[]"]]}',
        '{"hassh": [[1e99, "y"]]}',
        "[" * 100_000,
    ],
)
def test_unreadable_behaviour_is_read_as_none(text: str) -> None:
    """Values of another program do not stop a load."""
    assert behaviour_in(text) == Behaviour()


@given(st.lists(st.tuples(moments, traits.map(lambda trait: (trait,))), max_size=12))
def test_what_was_done_is_read_as_it_was_stored(shown: list[tuple[datetime, Traits]]) -> None:
    """Without the times, which take longest to decode."""
    behaviour = Behaviour.of(shown)
    *_, stored = behaviour_values(behaviour)

    assert isinstance(stored, str | None)
    assert activity_in(stored, ()) == Activity.of(behaviour.texts)


@pytest.mark.parametrize("text", ["no json", "[]", '{"command": 1}', '{"command": [["x", 1]]}', "[" * 100_000])
def test_nothing_is_known_to_be_done_by_an_unreadable_behaviour(text: str) -> None:
    """Values of another program do not stop an export."""
    assert activity_in(text, ()) == Activity()


def test_commands_are_listed_next_to_values_of_another_program() -> None:
    """Queries count them, too."""
    assert activity_in('{"command": [[1, "id"]], "another": [[1, "x"]]}', ()) == Activity(commands=("id",))


def test_a_server_that_refuses_temp_buffers_is_usable(postgresql: str) -> None:
    """A connection from an external pool may have used temporary tables, after which temp_buffers cannot change."""
    database = SqlDatabase(postgresql)

    @event.listens_for(database.engine, "connect", insert=True)
    def used_before(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE theirs (n integer)")
            cursor.execute("INSERT INTO theirs VALUES (1)")
        connection.commit()

    with database.transaction() as stores:
        assert stores.connection.execute(text("SHOW temp_buffers")).scalar_one() == "8MB"
    database.close()
    unused = SqlDatabase(postgresql)
    with unused.view() as stores:
        assert stores.connection.execute(text("SHOW temp_buffers")).scalar_one() == "64MB"
    unused.close()


def test_planner_settings_of_the_caller_are_restored(postgresql: str) -> None:
    """On the caller's connection, within the caller's transaction."""
    engine = create_engine(postgresql)
    asked = text("SELECT current_setting('enable_hashjoin'), current_setting('enable_mergejoin')")
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL enable_hashjoin = off"))
        with prefer_index_scans(connection):
            assert tuple(connection.execute(asked).one()) == ("off", "off")
        assert tuple(connection.execute(asked).one()) == ("off", "on")
    engine.dispose()


def test_a_full_disk_is_reported_on_sqlite(database: SqlDatabase) -> None:
    """Also during a batch job, which does not retry session by session."""
    database.migrate()
    event.listen(database.engine, "checkout", lambda connection, *_: connection.execute("PRAGMA max_page_count = 1"))
    aggregates = [SessionAggregate.sighted(f"s{n}", f"8.8.{n // 200}.{n % 200}", NOON) for n in range(2000)]

    with pytest.raises(StoreUnusable, match=r"the disk of the database .* is full: .* free some space"):
        service(database).enrich(aggregates)


def test_a_full_disk_is_reported_on_postgresql(postgresql: str) -> None:
    """Any statement may fail."""
    database = SqlDatabase(postgresql)
    database.migrate()
    raise_full = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"

    full = pytest.raises(StoreUnusable, match=r"the disk of the database .* is full: .*could not extend file")
    with full, database.dry_run_transaction() as connection:
        connection.exec_driver_sql(raise_full)
    database.close()


@pytest.mark.parametrize("free", [True, False])
def test_an_io_error_of_sqlite_is_a_full_disk_where_there_is_no_space(
    free: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite reports "disk I/O error" for a full disk and for a failing one."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    state = list(os.statvfs(tmp_path))
    state[4] = 1000 if free else 0
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(state))

    assert is_disk_full(error, tmp_path) is not free
    assert is_unusable(error)
