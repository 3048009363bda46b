"""Tables of runs, quarantined sessions, bookmarks and dead letters."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text

from snapshots.adapters.sql.connection.datetimes import OwnTimestamp, UtcDateTime
from snapshots.adapters.sql.schema.tables.columns import metadata, name

runs = Table(
    "runs",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("began_at", OwnTimestamp, nullable=False),
    Column("heartbeat_at", OwnTimestamp, nullable=False),
    Column("ended_at", OwnTimestamp),
    Column("counts", Text),
    Column("settings", Text),
    Column("checkpoint", Text),
)

quarantined_sessions = Table(
    "quarantined_sessions",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("session_id", name(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("quarantined_at", UtcDateTime, nullable=False),
)
"""Sessions that a run skipped because the database refused to write them."""

bookmarks = Table(
    "bookmarks",
    metadata,
    Column("head", String(32), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(32), primary_key=True),
    Column("source", Text, nullable=False),
    Column("run", String(36), nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("identity", String(32), primary_key=True),
    Column("source", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("run", String(36), nullable=False),
    Column("stored_at", OwnTimestamp, nullable=False),
)
