"""Heartbeats are measured by the clock of the server."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from sqlalchemy import create_engine, make_url, text

from snapshots.adapters.clock import SystemClock
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.server_clock import ServerClock
from tests.fakes import FixedClock
from tests.strategies import NOON

HOUR, SOON = timedelta(hours=1), timedelta(minutes=5)


class Server:
    """A PostgreSQL whose clock can be set."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self.url = make_url(url).update_query_dict({"options": "-csearch_path=public,pg_catalog"})
        self.set(NOON)

    def set(self, moment: datetime) -> None:
        definition = f"RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '{moment.isoformat()}'::timestamptz $$"
        with self._engine.connect() as connection:
            connection.execute(text(f"CREATE OR REPLACE FUNCTION public.clock_timestamp() {definition}"))

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def server_in_use(postgresql: str) -> Iterator[Server]:
    with closing(Server(postgresql)) as made:
        yield made


def test_each_connection_and_each_write_returns_the_servers_time(server_in_use: Server) -> None:
    """The server's clock is used, also after it was set."""
    with closing(SqlDatabase(server_in_use.url.render_as_string(hide_password=False))) as database:
        clock = ServerClock(database, SystemClock())
        assert NOON <= clock.now() < NOON + SOON
        with database.transaction():
            pass
        for moment in (NOON + 2 * HOUR, NOON - HOUR):
            server_in_use.set(moment)
            with database.transaction():
                assert moment <= clock.now() < moment + SOON
        server_in_use.set(NOON + 3 * HOUR)
        with database.engine.connect() as connection, database.transaction(connection):
            assert NOON + 3 * HOUR <= clock.now() < NOON + 3 * HOUR + SOON


def test_the_time_advances_between_transactions(server_in_use: Server) -> None:
    """By the monotonic clock, without a query."""
    with closing(SqlDatabase(server_in_use.url.render_as_string(hide_password=False))) as database:
        clock = ServerClock(database, SystemClock())
        first = clock.now()
        server_in_use.set(NOON - HOUR)
        assert first < clock.now() < first + SOON


def test_without_a_server_the_clock_of_this_machine_counts() -> None:
    """For SQLite, and for a server that was never reached; the next transaction reports the error."""
    for url in ("sqlite://", "sqlite:////tmp/there/is/none.db", "postgresql://x@/x?host=/nowhere"):
        with closing(SqlDatabase(url)) as database:
            assert ServerClock(database, FixedClock()).now() == NOON
