"""Query plans: the cost of a batch does not depend on the size of the tables, since it reads them by index."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, false

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.backfill.physical_scan import RowPage, UnjudgedRows
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import UNJUDGED_ROWS_INDEX
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.open_sessions import OpenCase
from snapshots.composition.wiring import Container
from snapshots.domain.session.session import SessionAggregate
from tests.app.backfill.test_batch_runner import RecordedProgress
from tests.cowrieprocessor import AdoptableSchema, put_session
from tests.strategies import NOON, snapshot

pytestmark = pytest.mark.slow

SESSIONS, BATCH = 3000, 500
WHOLE = {
    "sqlite": re.compile(r"^SCAN (session_summaries|known_addresses)"),
    "postgresql": re.compile(r"Seq Scan on (session_summaries|known_addresses|ip_inventory)"),
}
CHANGES = re.compile(r"WITH plain AS|UPDATE (session_summaries SET source_ip|known_addresses SET current_asn)=")
NAMES = re.compile(r"SELECT session_summaries\.session_id, session_summaries\.session_id AS")
WALKS = re.compile(r"SELECT CAST\(max\(place\) AS text\)")
WRITES = re.compile("SELECT|WITH|INSERT|UPDATE")
PAGES = re.compile(r"SELECT max\(rowid\)")
ROWS = re.compile(r"SELECT session_summaries\.rowid,")
PLAIN = re.compile(r"WITH plain AS")


@pytest.fixture(params=["ours", "theirs"])
def container(request: pytest.FixtureRequest, unmigrated_url: str) -> Iterator[Container]:
    """A database of either loader with many unjudged sessions, and planner statistics."""
    container = Container(settings=Settings.of(db=unmigrated_url))
    database = container.database()
    (put_ours if request.param == "ours" else put_theirs)(container)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    yield container
    database.close()


def put_ours(container: Container) -> None:
    sessions = [SessionAggregate.sighted(f"{n:012x}", address(n), NOON).summary() for n in range(SESSIONS)]
    container.database().migrate()
    with container.database().transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
        stores.sessions.save(sessions, run="run", saved_at=NOON)


def put_theirs(container: Container) -> None:
    engine = create_engine(container.settings().db)
    with engine.begin() as connection:
        AdoptableSchema(dialect=connection.dialect.name).make(connection)
        for n in range(SESSIONS):
            put_session(connection, f"{n:012x}", source_ip=address(n))
    engine.dispose()
    container.adoption().adopt(widen=False)


def put_copy(database: SqlDatabase, name: str) -> None:
    """Store another unjudged session, as a copy of one in the table."""
    with database.engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM session_summaries LIMIT 1").mappings()
        copy = {c: v for c, v in rows.one().items() if not c.startswith(("snapshot", "gap", "enrichment"))}
        columns, values = ", ".join(copy), ", ".join(f"%({column})s" for column in copy)
        connection.exec_driver_sql(
            f"INSERT INTO session_summaries ({columns}) VALUES ({values})",
            copy | {"session_id": name},
        )


def address(n: int) -> str:
    return f"8.8.{n // 250}.{n % 250}"


@contextmanager
def plans(database: SqlDatabase, session_filter: re.Pattern[str]) -> Iterator[list[str]]:
    """Collect the plans of some statements."""
    found: list[str] = []

    def explain(
        connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        if not session_filter.match(statement) or many:
            return
        prefix = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        cursor = connection.connection.cursor()
        cursor.execute(prefix + statement, parameters)
        found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        cursor.close()

    event.listen(database.engine, "before_cursor_execute", explain)
    yield found
    event.remove(database.engine, "before_cursor_execute", explain)


def test_a_batch_of_a_backfill_seeks_its_sessions(container: Container) -> None:
    """Reading the whole table for each batch would make a backfill quadratic."""
    with plans(container.database(), CHANGES) as found:
        report = container.backfill().run(RecordedProgress(), throttle=Throttle(batch_size=BATCH))

    assert report.judged == SESSIONS
    assert len(found) >= SESSIONS // BATCH
    whole = WHOLE[container.database().engine.dialect.name]
    assert [plan for plan in found if any(whole.search(line) for line in plan.splitlines())] == []


@pytest.mark.parametrize("unmigrated_url", ["postgresql"], indirect=True)
def test_a_load_into_a_new_table_compares_no_pairs(unmigrated_url: str) -> None:
    """Without statistics, PostgreSQL expects few rows of a run, and may compare each of them with each of a batch."""
    container = Container(settings=Settings.of(db=unmigrated_url))
    database = container.database()
    database.migrate()
    sessions = [
        SessionAggregate.sighted(f"{n:012x}", address(n), NOON).summary().judged(snapshot()) for n in range(SESSIONS)
    ]
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
    with plans(database, WRITES) as found:
        for first in range(0, SESSIONS, BATCH // 2):  # half of each batch is stored already
            with database.transaction() as stores:
                batch = sessions[first : first + BATCH]
                stores.sessions.find_summaries({session.session_id: () for session in batch})
                stores.sessions.save(batch, run="run", saved_at=NOON)

    assert len(found) >= SESSIONS // BATCH
    assert [plan for plan in found if "session_summaries" in plan and "Join Filter" in plan] == []
    database.close()


@pytest.mark.parametrize("unmigrated_url", ["sqlite"], indirect=True)
def test_unjudged_sessions_are_read_from_their_index(container: Container) -> None:
    """On SQLite, also if by the statistics all sessions are unjudged, as before the first backfill."""
    database = container.database()
    with plans(database, PAGES) as pages, plans(database, ROWS) as rows, plans(database, PLAIN) as plain:
        container.backfill().run(RecordedProgress(), throttle=Throttle(batch_size=BATCH))

    assert min(len(pages), len(rows) + len(plain)) >= SESSIONS // BATCH
    assert [plan for plan in pages if UNJUDGED_ROWS_INDEX not in plan] == []
    assert [plan for plan in rows + plain if "PRIMARY KEY (rowid>? AND rowid<?)" not in plan] == []


@pytest.mark.parametrize("unmigrated_url", ["postgresql"], indirect=True)
def test_sessions_without_a_verdict_are_read_block_by_block(container: Container) -> None:
    """On PostgreSQL: in the order of ids each row would be in a different block, read and written for it alone."""
    with plans(container.database(), WALKS) as found:
        container.backfill().run(RecordedProgress(), throttle=Throttle(batch_size=BATCH // 10))

    assert len(found) >= SESSIONS // BATCH
    assert [plan for plan in found if "Tid Range Scan" not in plan] == []


@pytest.mark.parametrize("unmigrated_url", ["postgresql"], indirect=True)
def test_few_unjudged_sessions_are_read_by_id(container: Container) -> None:
    """No large table is scanned for them."""
    container.backfill().run(RecordedProgress())
    container.database().refresh_statistics()  # as the command does; the server does it whenever it likes
    put_copy(container.database(), "new")
    with plans(container.database(), WALKS) as walks, plans(container.database(), NAMES) as found:
        report = container.backfill().run(RecordedProgress())

    assert (report.judged, walks) == (1, [])
    assert any("ix_session_summaries_unjudged" in plan for plan in found)
    assert [plan for plan in found if "Seq Scan on session_summaries" in plan] == []


@pytest.mark.parametrize("unmigrated_url", ["postgresql"], indirect=True)
def test_rows_that_were_moved_before_they_were_read_do_not_end_the_pass(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row positions are read first, and another loader may update all rows in between."""
    asked = 0
    found = UnjudgedRows.page

    def page(rows: UnjudgedRows, within: KeyRange, *, run: str, limit: int) -> RowPage | None:
        nonlocal asked
        asked += 1
        real = found(rows, within, run=run, limit=limit)
        return real._replace(condition=false()) if real is not None and asked == 1 else real

    monkeypatch.setattr(UnjudgedRows, "page", page)
    with container.database().transaction() as stores:
        first = stores.open_sessions.first(OpenCase.NEVER_JUDGED, run="r", stale_before=NOON, within=KeyRange("", ""))
    asked = 0
    report = container.backfill().run(RecordedProgress(), throttle=Throttle(batch_size=BATCH))

    assert first is not None
    assert first[1] != f"{0:012x}"
    assert report.judged == SESSIONS
