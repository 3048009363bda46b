"""Reports read sessions in the order of an index that has all they need."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, text, true

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.inspection.record_checks import miscounted_logins
from snapshots.adapters.sql.queries.inspection.sample import draw
from snapshots.adapters.sql.queries.inventory_reports import SqlInventoryReports
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.adapters.sql.schema.tables import UNJUDGED, session_summaries
from snapshots.app.queries.session_queries import Dimension, SessionFilter
from snapshots.composition.wiring import Container
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.freshness import FreshnessPolicy
from tests.fakes import FixedClock
from tests.strategies import HOME, NOON

BY_ADDRESS = "SCAN session_summaries USING COVERING INDEX ix_session_summaries_by_address_facts"


@pytest.fixture
def database(tmp_path: Path) -> SqlDatabase:
    """A SQLite database with one session."""
    database = SqlDatabase(f"sqlite:///{tmp_path}/sessions.db")
    database.migrate()
    session = SessionAggregate.sighted("s1", HOME.text, NOON).summary()
    with database.transaction() as stores:
        stores.inventory.register_addresses([s for s in [session.sighting] if s], registered_at=NOON)
        stores.sessions.save([session], run="run", saved_at=NOON)
    return database


def plans(database: SqlDatabase, ask: Callable[[], object]) -> list[list[str]]:
    """Return the query plan of each statement that reads sessions."""
    asked: list[tuple[str, Any]] = []

    def record(_c: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM session_summaries" in statement:
            asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", record)
    ask()
    event.remove(database.engine, "before_cursor_execute", record)
    with database.reading() as connection:
        return [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in asked
        ]


def test_coverage_groups_sessions_without_reading_their_rows_or_sorting(database: SqlDatabase) -> None:
    """Only the lags are read from the rows, which are nearly in their order."""
    reports = SqlReports(database, AsOfReader(), clock=FixedClock())

    groups, lags = plans(database, reports.coverage)

    assert groups == [BY_ADDRESS]
    assert lags[:2] == ["MATERIALIZE lags", "SCAN session_summaries"]


@pytest.mark.parametrize(
    ("session_filter", "scan"),
    [
        (SessionFilter(), "SCAN session_summaries"),
        (SessionFilter(since=NOON), "SEARCH session_summaries USING INDEX ix_session_summaries_by_first_event_at"),
    ],
)
def test_lags_are_read_in_stored_order_or_by_the_index_of_a_filter(
    database: SqlDatabase, session_filter: SessionFilter, scan: str
) -> None:
    """A report about the last days does not read all sessions."""
    reports = SqlReports(database, AsOfReader(), clock=FixedClock())

    found = plans(database, lambda: reports.report(top=1, session_filter=session_filter))

    [lags] = [plan for plan in found if "MATERIALIZE lags" in plan]
    assert lags[1].partition(" (")[0] == scan


def test_drift_groups_sessions_without_reading_their_rows_or_sorting(database: SqlDatabase) -> None:
    """The facts of an address are looked up."""
    inventory = SqlInventoryReports(database, FreshnessPolicy())

    [(sessions, addresses)] = plans(database, lambda: inventory.drift(now=NOON, top=9))

    assert sessions == BY_ADDRESS
    assert addresses.startswith("SEARCH known_addresses USING INDEX")


def test_groups_by_facts_count_their_addresses_without_reading_rows(database: SqlDatabase) -> None:
    """Sessions are grouped by address first, in the order of the index."""
    session_queries = SqlSessionQueries(database, FixedClock())

    [plan] = plans(
        database, lambda: session_queries.groups(SessionFilter(), [Dimension.ASN], top=9, with_addresses=True)
    )

    assert BY_ADDRESS in plan
    assert "USE TEMP B-TREE FOR count(DISTINCT)" not in plan


@pytest.mark.usefixtures("database")
def test_the_report_page_groups_all_sessions_by_address_only_twice(tmp_path: Path) -> None:
    """For the report and for drift; the countries, networks and types of the page are added up from the report."""
    container = Container(settings=Settings.of(db=f"sqlite:///{tmp_path}/sessions.db"))

    found = plans(container.database(), lambda: container.overview().overview(top=9))

    container.database().close()
    assert sum(BY_ADDRESS in plan for plan in found) == 2


def test_login_attempts_are_counted_without_reading_rows_of_sessions(database: SqlDatabase) -> None:
    """Their session is looked up by its key, and its row is read only for its time."""
    session_queries = SqlSessionQueries(database, FixedClock())

    [plan] = plans(database, lambda: session_queries.groups(SessionFilter(), [Dimension.USER], top=9, with_times=False))

    assert any("session_summaries USING COVERING INDEX sqlite_autoindex_session_summaries_1" in step for step in plan)


def test_only_addresses_in_several_networks_are_searched_for_moves(database: SqlDatabase) -> None:
    """They are found in the index, before any attacks are sorted."""
    session_queries = SqlSessionQueries(database, FixedClock())

    [plan] = plans(database, lambda: session_queries.address_moves(SessionFilter()))

    assert any("session_summaries USING COVERING INDEX ix_session_summaries_by_address_facts" in step for step in plan)


def test_sessions_are_chosen_in_one_scan_before_their_logins_are_counted(database: SqlDatabase) -> None:
    """Otherwise every session is looked up in the order of the keys, also those outside the sample."""

    def count() -> None:
        with database.reading() as connection:
            assert [*miscounted_logins(connection, true())] == []

    [plan] = plans(database, count)

    assert plan[:2] == ["MATERIALIZE chosen", "SCAN session_summaries"]


def test_a_sample_is_drawn_from_an_index_and_only_its_rows_are_read(database: SqlDatabase) -> None:
    """Open sessions, which are checked besides a sample, are found by indexes, too."""

    def read() -> None:
        with database.reading() as connection:
            sample = draw(connection, session_summaries.c.snapshot_method.is_not(None), 0.5)
            is_open = (session_summaries.c.snapshot_gap.is_not(None), text(UNJUDGED.format(row="session_summaries.")))
            connection.execute(select(session_summaries.c.matcher).where(sample.holds(*is_open))).all()

    drawn, rows = plans(database, read)

    assert drawn == ["SCAN session_summaries USING COVERING INDEX ix_session_summaries_by_asn_time"]
    assert rows[0] == "SEARCH session_summaries USING INTEGER PRIMARY KEY (rowid=?)"
    assert "SCAN session_summaries" not in rows
