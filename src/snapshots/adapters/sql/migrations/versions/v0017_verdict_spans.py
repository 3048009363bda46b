"""Create the staging table of backfills on PostgreSQL; on SQLite it is in a file of its own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; a crash of the server may empty it, which costs only time."""
    if op.get_bind().dialect.name != "postgresql":
        return
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "verdict_spans",
        sa.Column("address", postgresql.VARCHAR(45, collation="C"), primary_key=True),
        sa.Column("since", moment, primary_key=True),
        sa.Column("run_key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("until", moment),
        sa.Column("snapshot_asn", sa.BigInteger),
        sa.Column("snapshot_country", sa.String(2)),
        sa.Column("snapshot_ip_type", sa.String(16)),
        sa.Column("enrichment_at", moment),
        sa.Column("snapshot_method", sa.String(16)),
        sa.Column("snapshot_source", sa.Text),
        sa.Column("sealed_text", sa.Text),
        sa.Column("snapshot_gap", sa.String(20)),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    """Drop the table."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("verdict_spans")
