"""Tables of sessions, with their indexes, stored events and fingerprints."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.schema.tables.columns import metadata, name
from snapshots.adapters.sql.schema.tables.sealed_rows import UNJUDGED

session_summaries = Table(
    "session_summaries",
    metadata,
    Column("session_id", name(64), primary_key=True),
    Column("logged_id", name(64)),
    Column("source_ip", name(45), ForeignKey("known_addresses.ip_address")),
    Column("source_port", Integer),
    Column("source_ip_rank", SmallInteger),
    Column("source_ip_seen_at", UtcDateTime),
    Column("source_ip_run", String(36)),
    Column("source_ip_was", name(45)),
    Column("first_event_at", UtcDateTime, nullable=False),
    Column("last_event_at", UtcDateTime, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("command_count", BigInteger, nullable=False),
    Column("file_downloads", BigInteger, nullable=False),
    Column("login_attempts", BigInteger, nullable=False),
    Column("file_uploads", BigInteger),
    Column("forward_count", BigInteger, nullable=False, server_default=text("0")),
    Column("matcher", String(255)),
    Column("sensor_id", String(255)),
    Column("snapshot_asn", BigInteger),
    Column("snapshot_country", String(2)),
    Column("snapshot_ip_type", String(16)),
    Column("enrichment_at", UtcDateTime),
    Column("snapshot_method", String(16)),
    Column("snapshot_source", String(255)),
    Column("snapshot_run", String(36)),
    Column("snapshot_seal", String(32)),
    Column("snapshot_gap", String(20)),
    Column("gap_checked_at", UtcDateTime),
    Column("gap_run", String(36)),
    Column("counted_until", UtcDateTime),
    Column("protocol", String(16)),
    Column("client_version", String(255)),
    Column("hassh", String(32)),
    Column("username", String(255)),
    Column("password_hash", String(64)),
    Column("login_succeeded", Boolean),
    Column("command_signature", String(32)),
    Column("ssh_key_fingerprint", String(64)),
    Column("download_hash", String(64)),
    Column("duration_ms", BigInteger),
    Column("behaviour", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("event_fingerprints", LargeBinary, nullable=False),
    CheckConstraint(
        "(enrichment_at IS NULL AND snapshot_asn IS NULL AND snapshot_country IS NULL"
        " AND snapshot_ip_type IS NULL AND snapshot_method IS NULL)"
        " OR (enrichment_at IS NOT NULL AND snapshot_method IS NOT NULL AND source_ip IS NOT NULL AND"
        " (snapshot_asn IS NOT NULL OR snapshot_country IS NOT NULL OR snapshot_ip_type IS NOT NULL))",
        name="snapshot_is_whole",
    ),
    CheckConstraint("enrichment_at IS NULL OR snapshot_gap IS NULL", name="sealed_or_gap"),
)
Index("ix_session_summaries_source_ip", session_summaries.c.source_ip)
Index(
    "ix_session_summaries_logged_id",
    session_summaries.c.logged_id,
    sqlite_where=session_summaries.c.logged_id.is_not(None),
    postgresql_where=session_summaries.c.logged_id.is_not(None),
)
Index(
    "ix_session_summaries_open",
    session_summaries.c.session_id,
    session_summaries.c.snapshot_gap,
    sqlite_where=session_summaries.c.snapshot_gap.is_not(None),
    postgresql_where=session_summaries.c.snapshot_gap.is_not(None),
)

QUERY_INDEXES = {
    "asn_time": ("snapshot_asn", "first_event_at", "snapshot_method"),
    "country_type_time": ("snapshot_country", "snapshot_ip_type", "first_event_at", "snapshot_method"),
    "first_event_at": ("first_event_at", "session_id"),
    "hassh": ("hassh", "first_event_at"),
    "command_signature": ("command_signature", "first_event_at"),
    "ssh_key_fingerprint": ("ssh_key_fingerprint", "first_event_at"),
    "download_hash": ("download_hash", "first_event_at"),
    "address_facts": (
        "source_ip",
        "snapshot_asn",
        "snapshot_country",
        "snapshot_ip_type",
        "snapshot_method",
        "snapshot_source",
        "snapshot_gap",
        "enrichment_at",
        "source_ip_seen_at",
        "first_event_at",
    ),
}
"""
Indexes that only queries need, by name suffix; indexes on behavior omit rows without a value.

`address_facts` has all that reports read of a session, in the order in which they group: no wide row is read, and
nothing is sorted.
"""

COUNTING_INDEXES = {
    "asn_method": ("snapshot_asn", "snapshot_method"),
    "country_method": ("snapshot_country", "snapshot_method"),
}
"""Narrow indexes for counts on PostgreSQL, which stores equal entries once (deduplication)."""

for _end, _columns in (QUERY_INDEXES | COUNTING_INDEXES).items():
    _which = session_summaries.c[_columns[0]].is_not(None) if _end == _columns[0] != "first_event_at" else None
    Index(
        f"ix_session_summaries_by_{_end}",
        *(session_summaries.c[column] for column in _columns),
        info={"for_queries": True} | ({"only_on": "postgresql"} if _end in COUNTING_INDEXES else {}),
        sqlite_where=_which,
        postgresql_where=_which,
    ).ddl_if(dialect="postgresql" if _end in COUNTING_INDEXES else None)

Index(
    "ix_session_summaries_unjudged",
    session_summaries.c.session_id,
    info={"only_on": "postgresql"},
    postgresql_where=text(UNJUDGED.format(row="")),
).ddl_if(dialect="postgresql")
UNJUDGED_ROWS_INDEX = "ix_session_summaries_unjudged_rows"

Index(
    UNJUDGED_ROWS_INDEX,
    session_summaries.c.snapshot_gap,  # NULL in every entry, so that entries are in row order, as a backfill reads them
    info={"only_on": "sqlite"},
    sqlite_where=text(UNJUDGED.format(row="")),
).ddl_if(dialect="sqlite")


event_lines = Table(
    "event_lines",
    metadata,
    Column("session_id", name(64), ForeignKey(session_summaries.c.session_id, ondelete="CASCADE"), primary_key=True),
    Column("part", BigInteger, primary_key=True, autoincrement=False),
    Column("run", String(36), nullable=False),
    Column("lines", Integer, nullable=False),
    Column("packed", LargeBinary, nullable=False),
)
"""Stored log lines of sessions: one row per session and batch."""

session_fingerprints = Table(
    "session_fingerprints",
    metadata,
    Column("session_id", name(64), ForeignKey(session_summaries.c.session_id, ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Fingerprints of long sessions that do not fit into `session_summaries.event_fingerprints`."""
