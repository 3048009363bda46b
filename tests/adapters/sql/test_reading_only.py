"""Connections of a process that only reads."""

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import QueryTimedOut, StoreUnusable

FOREVER = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
}


def url_of(database: SqlDatabase) -> str:
    url: URL = database.engine.url
    return url.render_as_string(hide_password=False)


def test_changes_are_refused(sql_database: SqlDatabase) -> None:
    """By the database itself, whatever the statement."""
    sql_database.migrate()
    reader = SqlDatabase(url_of(sql_database), reading_only=ReadingOnly(60))
    try:
        with reader.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM session_summaries")).scalar_one() == 0
        with pytest.raises(StoreUnusable, match=r"read.?only"), reader.reading() as connection:
            connection.execute(text("DELETE FROM session_summaries"))
    finally:
        reader.close()


def test_a_long_query_is_ended(sql_database: SqlDatabase) -> None:
    """The connection can be used again."""
    sql_database.migrate()
    reader = SqlDatabase(url_of(sql_database), reading_only=ReadingOnly(0.05))
    try:
        with pytest.raises(QueryTimedOut, match="took too long"), reader.reading() as connection:
            connection.execute(text(FOREVER[connection.dialect.name])).fetchall()
        with reader.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
    finally:
        reader.close()
