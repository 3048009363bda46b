"""Add tables for adopted databases, and allow their incomplete rows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CORRECTED = "correction_is_of_a_sealed_session"
KEEP_IDS = {"sqlite_autoincrement": True}


def moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "adoptions",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("adopted_at", moment(), nullable=False),
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("state_before", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="adopted_once"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "snapshot_put_backs",
        sa.Column(
            "session_id",
            sa.String(length=64).with_variant(postgresql.VARCHAR(64, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("last_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.add_column("session_summaries", sa.Column("counted_until", moment(), nullable=True))
    op.add_column("asn_inventory", sa.Column("first_seen", moment(), nullable=True))
    op.add_column("asn_inventory", sa.Column("last_seen", moment(), nullable=True))
    for column in ("unique_ip_count", "total_session_count"):
        op.add_column("asn_inventory", sa.Column(column, sa.Integer(), nullable=False, server_default=sa.text("0")))
    with op.batch_alter_table("snapshot_corrections", table_kwargs=KEEP_IDS) as batch:
        batch.drop_constraint(CORRECTED, type_="check")
        batch.create_check_constraint(
            CORRECTED,
            "old_enrichment_at IS NOT NULL OR old_snapshot_asn IS NOT NULL OR old_snapshot_country IS NOT NULL"
            " OR old_snapshot_ip_type IS NOT NULL",
        )


def downgrade() -> None:
    op.execute("DELETE FROM snapshot_corrections WHERE old_enrichment_at IS NULL")
    with op.batch_alter_table("snapshot_corrections", table_kwargs=KEEP_IDS) as batch:
        batch.drop_constraint(CORRECTED, type_="check")
        batch.create_check_constraint(CORRECTED, "old_enrichment_at IS NOT NULL")
    for column in ("total_session_count", "unique_ip_count", "last_seen", "first_seen"):
        op.drop_column("asn_inventory", column)
    op.drop_column("session_summaries", "counted_until")
    op.drop_table("snapshot_put_backs")
    op.drop_table("adoptions")
