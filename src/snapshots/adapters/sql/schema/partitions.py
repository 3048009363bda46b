"""
Sessions in partitions, by a hash of their names, on PostgreSQL: for tables that outgrow one server's memory.

Every key of the table holds the session's name, so each partition keeps its own, and no statement has to look into all.
"""

from sqlalchemy import Connection, text

from snapshots.adapters.sql.connection.dialects.storage import are_partitioned
from snapshots.adapters.sql.schema import indexes, triggers
from snapshots.app.errors import SettingRefused

_KEYS = text(
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE contype IN ('p', 'f') AND (conrelid = to_regclass('session_summaries')"
    " OR confrelid = to_regclass('session_summaries')) ORDER BY contype DESC, conname"
)
"""The primary key and the foreign keys of the table and to it, the primary one first."""


def partition(connection: Connection, count: int) -> None:
    """
    Lay the table of sessions, while it is empty, into partitions, within the caller's transaction.

    Args:
        connection: To a database with tables of this version.
        count: How many partitions, 2 to 1024.

    Raises:
        SettingRefused: The database is no PostgreSQL, or its table holds sessions or has partitions already.
    """
    if connection.dialect.name != "postgresql":
        raise SettingRefused("--partitions needs a PostgreSQL database")
    if are_partitioned(connection):
        raise SettingRefused("the sessions are already in partitions")
    if connection.execute(text("SELECT 1 FROM session_summaries LIMIT 1")).first() is not None:
        raise SettingRefused("the database already holds sessions: --partitions needs a new one")
    keys = sorted(connection.execute(_KEYS).all(), key=lambda key: not key[2].startswith("PRIMARY"))
    triggers.remove(connection)
    made = "CREATE TABLE session_summaries (LIKE all_sessions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
    for statement in (
        "ALTER TABLE session_summaries RENAME TO all_sessions",
        f"{made} PARTITION BY HASH (session_id)",
        "DROP TABLE all_sessions CASCADE",
        *(
            f"CREATE TABLE session_summaries_{number} PARTITION OF session_summaries"
            f" FOR VALUES WITH (MODULUS {count}, REMAINDER {number})"
            for number in range(count)
        ),
        *(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for table, name, definition in keys),
        "CREATE INDEX ix_session_summaries_ended ON session_summaries USING brin (last_event_at)",
    ):
        connection.exec_driver_sql(statement)
    triggers.install(connection)
    indexes.build_now(connection)
