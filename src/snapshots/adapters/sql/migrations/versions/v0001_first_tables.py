"""Create the first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def name(length: int) -> sa.String:
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "asn_inventory",
        sa.Column("asn_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_name", sa.Text(), nullable=True),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("asn_number"),
    )
    op.create_table(
        "bookmarks",
        sa.Column("head", sa.String(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("put_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("head", "position", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dead_letters",
        sa.Column("identity", sa.String(length=32), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("kept_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_table(
        "fact_sources",
        sa.Column("source", name(64), nullable=False),
        sa.Column("built_at", moment(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("registered_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("source", "built_at"),
    )
    op.create_table(
        "ip_inventory",
        sa.Column("ip_address", name(45), nullable=False),
        sa.Column("current_asn", sa.BigInteger(), nullable=True),
        sa.Column("current_country", sa.String(length=2), nullable=True),
        sa.Column("current_ip_type", sa.String(length=16), nullable=True),
        sa.Column("enrichment_updated_at", moment(), nullable=True),
        sa.Column("first_seen", moment(), nullable=False),
        sa.Column("last_seen", moment(), nullable=False),
        sa.Column("session_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.CheckConstraint("session_count >= 0", name="session_count_is_no_debt"),
        sa.PrimaryKeyConstraint("ip_address"),
    )
    op.create_table(
        "runs",
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("began_at", moment(), nullable=False),
        sa.Column("heard_at", moment(), nullable=False),
        sa.Column("ended_at", moment(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run"),
    )
    op.create_table(
        "snapshot_corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("session_id", name(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("old_source_ip", name(45), nullable=True),
        sa.Column("old_source_port", sa.Integer(), nullable=True),
        sa.Column("old_source_ip_rank", sa.SmallInteger(), nullable=True),
        sa.Column("old_source_ip_seen_at", moment(), nullable=True),
        sa.Column("old_snapshot_asn", sa.BigInteger(), nullable=True),
        sa.Column("old_snapshot_country", sa.String(length=2), nullable=True),
        sa.Column("old_snapshot_ip_type", sa.String(length=16), nullable=True),
        sa.Column("old_enrichment_at", moment(), nullable=True),
        sa.Column("old_snapshot_method", sa.String(length=16), nullable=True),
        sa.Column("old_snapshot_source", sa.String(length=255), nullable=True),
        sa.Column("old_snapshot_run", sa.String(length=36), nullable=True),
        sa.Column("old_snapshot_seal", sa.String(length=32), nullable=True),
        sa.Column("new_source_ip", name(45), nullable=True),
        sa.Column("new_source_port", sa.Integer(), nullable=True),
        sa.Column("new_source_ip_rank", sa.SmallInteger(), nullable=True),
        sa.Column("new_source_ip_seen_at", moment(), nullable=True),
        sa.Column("new_snapshot_asn", sa.BigInteger(), nullable=True),
        sa.Column("new_snapshot_country", sa.String(length=2), nullable=True),
        sa.Column("new_snapshot_ip_type", sa.String(length=16), nullable=True),
        sa.Column("new_enrichment_at", moment(), nullable=True),
        sa.Column("new_snapshot_method", sa.String(length=16), nullable=True),
        sa.Column("new_snapshot_source", sa.String(length=255), nullable=True),
        sa.Column("new_snapshot_run", sa.String(length=36), nullable=True),
        sa.Column("new_snapshot_seal", sa.String(length=32), nullable=True),
        sa.CheckConstraint("length(reason) > 0", name="correction_has_a_reason"),
        sa.CheckConstraint("old_enrichment_at IS NOT NULL", name="correction_is_of_a_sealed_session"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_snapshot_corrections_session_id", "snapshot_corrections", ["session_id", "id"], unique=False)
    op.create_table(
        "snapshot_prunings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("before", moment(), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ip_observations",
        sa.Column("ip_address", name(45), nullable=False),
        sa.Column("source", name(64), nullable=False),
        sa.Column("observed_at", moment(), nullable=False),
        sa.Column("confirmed_until", moment(), nullable=False),
        sa.Column("learned_at", moment(), nullable=False),
        sa.Column("asn", sa.BigInteger(), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("ip_types", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["ip_address"], ["ip_inventory.ip_address"]),
        sa.PrimaryKeyConstraint("ip_address", "source", "observed_at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_summaries",
        sa.Column("session_id", name(64), nullable=False),
        sa.Column("logged_id", name(64), nullable=True),
        sa.Column("source_ip", name(45), nullable=True),
        sa.Column("source_port", sa.Integer(), nullable=True),
        sa.Column("source_ip_rank", sa.SmallInteger(), nullable=True),
        sa.Column("source_ip_seen_at", moment(), nullable=True),
        sa.Column("first_event_at", moment(), nullable=False),
        sa.Column("last_event_at", moment(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("command_count", sa.BigInteger(), nullable=False),
        sa.Column("file_downloads", sa.BigInteger(), nullable=False),
        sa.Column("login_attempts", sa.BigInteger(), nullable=False),
        sa.Column("forward_count", sa.BigInteger(), nullable=False),
        sa.Column("matcher", sa.String(length=255), nullable=True),
        sa.Column("sensor_id", sa.String(length=255), nullable=True),
        sa.Column("snapshot_asn", sa.BigInteger(), nullable=True),
        sa.Column("snapshot_country", sa.String(length=2), nullable=True),
        sa.Column("snapshot_ip_type", sa.String(length=16), nullable=True),
        sa.Column("enrichment_at", moment(), nullable=True),
        sa.Column("snapshot_method", sa.String(length=16), nullable=True),
        sa.Column("snapshot_source", sa.String(length=255), nullable=True),
        sa.Column("snapshot_run", sa.String(length=36), nullable=True),
        sa.Column("snapshot_seal", sa.String(length=32), nullable=True),
        sa.Column("snapshot_gap", sa.String(length=20), nullable=True),
        sa.Column("gap_checked_at", moment(), nullable=True),
        sa.Column("gap_run", sa.String(length=36), nullable=True),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.Column("event_fingerprints", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "(enrichment_at IS NULL AND snapshot_asn IS NULL AND snapshot_country IS NULL"
            " AND snapshot_ip_type IS NULL AND snapshot_method IS NULL)"
            " OR (enrichment_at IS NOT NULL AND snapshot_method IS NOT NULL AND source_ip IS NOT NULL AND"
            " (snapshot_asn IS NOT NULL OR snapshot_country IS NOT NULL OR snapshot_ip_type IS NOT NULL))",
            name="snapshot_is_whole",
        ),
        sa.CheckConstraint("enrichment_at IS NULL OR snapshot_gap IS NULL", name="sealed_or_gap"),
        sa.ForeignKeyConstraint(["source_ip"], ["ip_inventory.ip_address"]),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_index(
        "ix_session_summaries_gap",
        "session_summaries",
        ["snapshot_gap", "session_id"],
        unique=False,
        sqlite_where=sa.text("snapshot_gap IS NOT NULL"),
        postgresql_where=sa.text("snapshot_gap IS NOT NULL"),
    )
    op.create_index(
        "ix_session_summaries_logged_id",
        "session_summaries",
        ["logged_id"],
        unique=False,
        sqlite_where=sa.text("logged_id IS NOT NULL"),
        postgresql_where=sa.text("logged_id IS NOT NULL"),
    )
    op.create_index("ix_session_summaries_source_ip", "session_summaries", ["source_ip"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_session_summaries_source_ip", table_name="session_summaries")
    op.drop_index(
        "ix_session_summaries_logged_id",
        table_name="session_summaries",
        sqlite_where=sa.text("logged_id IS NOT NULL"),
        postgresql_where=sa.text("logged_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_session_summaries_gap",
        table_name="session_summaries",
        sqlite_where=sa.text("snapshot_gap IS NOT NULL"),
        postgresql_where=sa.text("snapshot_gap IS NOT NULL"),
    )
    op.drop_table("session_summaries")
    op.drop_table("ip_observations")
    op.drop_table("snapshot_prunings")
    op.drop_index("ix_snapshot_corrections_session_id", table_name="snapshot_corrections")
    op.drop_table("snapshot_corrections")
    op.drop_table("runs")
    op.drop_table("ip_inventory")
    op.drop_table("fact_sources")
    op.drop_table("dead_letters")
    op.drop_table("bookmarks")
    op.drop_table("asn_inventory")
