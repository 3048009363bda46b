"""Tables of addresses, networks, observations and source builds."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text

from snapshots.adapters.sql.connection.datetimes import OwnTimestamp, UtcDateTime
from snapshots.adapters.sql.schema.tables.columns import metadata, name

known_addresses = Table(
    "known_addresses",
    metadata,
    Column("ip_address", name(45), primary_key=True),
    Column("current_asn", BigInteger),
    Column("current_country", String(2)),
    Column("current_ip_type", String(16)),
    Column("current_asn_at", UtcDateTime),
    Column("current_country_at", UtcDateTime),
    Column("current_ip_type_at", UtcDateTime),
    Column("enrichment_updated_at", UtcDateTime),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("session_count", Integer, nullable=False, server_default=text("0")),
    Column("looked_up_until", Integer, nullable=False, server_default=text("0")),
    Column("learned_at", UtcDateTime),
    Column("newest_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("session_count >= 0", name="session_count_is_no_debt"),
)

Index("ix_known_addresses_learned_at", known_addresses.c.learned_at)

known_networks = Table(
    "known_networks",
    metadata,
    Column("asn_number", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_name", Text),
    Column("organization_name_at", UtcDateTime),
    Column("first_seen", UtcDateTime),
    Column("last_seen", UtcDateTime),
    Column("unique_ip_count", Integer, nullable=False, server_default=text("0")),
    Column("total_session_count", Integer, nullable=False, server_default=text("0")),
    *(Column(each, UtcDateTime, nullable=False) for each in ("created_at", "updated_at")),
)

ip_observations = Table(
    "ip_observations",
    metadata,
    Column("ip_address", name(45), ForeignKey("known_addresses.ip_address"), primary_key=True),
    Column("source", name(64), primary_key=True),
    Column("observed_at", OwnTimestamp, primary_key=True),
    Column("confirmed_until", OwnTimestamp, nullable=False),
    Column("learned_at", OwnTimestamp, nullable=False),
    Column("asn", BigInteger),
    Column("country", String(2)),
    Column("ip_types", String(64), nullable=False),
    sqlite_with_rowid=False,
)

fact_sources = Table(
    "fact_sources",
    metadata,
    Column("source", name(64), primary_key=True),
    Column("built_at", OwnTimestamp, primary_key=True),
    Column("number", Integer, nullable=False, server_default=text("0")),
    Column("form", String(32), nullable=False, server_default=""),
    Column("retracted_at", OwnTimestamp),
    Column("licence", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("origin", Text, nullable=False),
    Column("registered_at", OwnTimestamp, nullable=False),
    Column("digest", String(32)),  # over the immutable columns; NULL in rows of older versions
)

inventory_placeholders = Table(
    "inventory_placeholders",
    metadata,
    Column("ip_address", name(45), primary_key=True),
    Column("digest", String(32), nullable=False),
)
"""Rows without facts that we added to another loader's inventory, for its foreign key."""
