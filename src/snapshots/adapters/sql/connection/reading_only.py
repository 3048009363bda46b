"""Connections that refuse changes, and queries that take too long."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

CHECK_EVERY = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time: about a millisecond."""


@dataclass(frozen=True, slots=True)
class ReadingOnly:
    """
    How a database is read by a process that must not change it.

    Attributes:
        query_seconds: Time after which a query is ended, greater than 0.
    """

    query_seconds: float

    def apply(self, engine: Engine) -> None:
        """Make the connections of an engine refuse changes and end long queries."""
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _refuse_changes)
            event.listen(engine, "before_cursor_execute", self._limit_query)
        else:
            event.listen(engine, "connect", self._limit_session)

    def _limit_session(self, connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
            cursor.execute(f"SET statement_timeout = {max(1, round(self.query_seconds * 1000))}")
        connection.commit()

    def _limit_query(self, connection: Connection, *_: Any) -> None:
        """Limit the time of the statement that begins, and of fetching its rows."""
        end = monotonic() + self.query_seconds
        driver: Any = connection.connection.dbapi_connection
        driver.set_progress_handler(lambda: monotonic() > end, CHECK_EVERY)


def _refuse_changes(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")
