"""
Partition the sessions table by a hash of the session id, on PostgreSQL.

For tables larger than the server's memory. Every key contains the session id, so that keys are local to a partition
and lookups read one partition.
"""

from sqlalchemy import Connection, text

from snapshots.adapters.sql.connection.dialects.storage import are_partitioned
from snapshots.adapters.sql.schema import indexes, triggers, views
from snapshots.app.errors import SettingRefused

_KEYS = text(
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE contype IN ('p', 'f') AND (conrelid = to_regclass('session_summaries')"
    " OR confrelid = to_regclass('session_summaries')) ORDER BY contype DESC, conname"
)
"""The primary key of the table, then the foreign keys of it and to it."""


def partition(connection: Connection, count: int) -> None:
    """
    Replace the empty sessions table by a partitioned one, in the caller's transaction.

    Args:
        connection: To a database with tables of this version.
        count: Number of partitions, 2 to 1024.

    Raises:
        SettingRefused: The database is not PostgreSQL, or its table holds sessions or is already partitioned.
    """
    if connection.dialect.name != "postgresql":
        raise SettingRefused("--partitions needs a PostgreSQL database")
    if are_partitioned(connection):
        raise SettingRefused("the sessions are already in partitions")
    if connection.execute(text("SELECT 1 FROM session_summaries LIMIT 1")).first() is not None:
        raise SettingRefused("the database already holds sessions: --partitions needs a new one")
    keys = sorted(connection.execute(_KEYS).all(), key=lambda key: not key[2].startswith("PRIMARY"))
    triggers.remove(connection)
    views.remove(connection)
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
    views.install(connection)
    indexes.build_now(connection)
