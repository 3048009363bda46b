"""Audit tables: corrections, prunings, seal counts, adoptions and reverted changes."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, SmallInteger, String, Table, Text

from snapshots.adapters.sql.connection.datetimes import OwnTimestamp, UtcDateTime
from snapshots.adapters.sql.schema.tables.columns import metadata, name
from snapshots.adapters.sql.schema.tables.sealed_rows import SNAPSHOT_COLUMNS
from snapshots.adapters.sql.schema.tables.sessions import session_summaries

snapshot_corrections = Table(
    "snapshot_corrections",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("session_id", name(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("run", String(36), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    *(
        # Another loader's type may be the text of a list.
        Column(f"{when}_{column}", Text if column == "snapshot_ip_type" else session_summaries.c[column].type)
        for when in ("old", "new")
        for column in SNAPSHOT_COLUMNS
    ),
    Column("digest", String(32)),  # over reason, run and time; NULL in rows that an operator inserts by SQL
    CheckConstraint("length(reason) > 0", name="correction_has_a_reason"),
    CheckConstraint(
        "old_enrichment_at IS NOT NULL OR old_snapshot_asn IS NOT NULL OR old_snapshot_country IS NOT NULL"
        " OR old_snapshot_ip_type IS NOT NULL",
        name="correction_is_of_a_sealed_session",
    ),
    sqlite_autoincrement=True,
)
Index("ix_snapshot_corrections_session_id", snapshot_corrections.c.session_id, snapshot_corrections.c.id)

snapshot_prunings = Table(
    "snapshot_prunings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("before", OwnTimestamp, nullable=False),
    Column("run", String(36), nullable=False),
    Column("made_at", OwnTimestamp, nullable=False),
    Column("sessions", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("sealed_by_run", Text),  # a JSON object: deleted sealed sessions by run
    sqlite_autoincrement=True,
)

run_seals = Table(
    "run_seals",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("writer", BigInteger, primary_key=True, autoincrement=False),
    Column("sessions", BigInteger, nullable=False),
)
"""Sealed sessions by run and connection: concurrent connections would wait for a common row."""

adoptions = Table(
    "adoptions",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("adopted_at", UtcDateTime, nullable=False),
    Column("version", String(16), nullable=False),
    Column("state_before", Text, nullable=False),
    CheckConstraint("id = 1", name="adopted_once"),
)
"""One row in a database that another loader made: its previous schema, for undoing the adoption."""

snapshot_put_backs = Table(
    "snapshot_put_backs",
    metadata,
    Column("session_id", name(64), primary_key=True),
    Column("times", BigInteger, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)
"""Sealed sessions of an adopted database in which the guard reverted writes of another loader."""
