"""Add data for resuming and undoing runs, and quarantined sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "ip_inventory": ["ix_ip_inventory_learned_at"],
    "session_summaries": [
        "ix_session_summaries_open",
        "ix_session_summaries_unjudged",
        "ix_session_summaries_unjudged_rows",
    ],
}
"""Built concurrently after the migration; dropped before their columns."""


HAS_A_GAP = sa.text("snapshot_gap IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_session_summaries_gap", table_name="session_summaries", if_exists=True)
    op.add_column("session_summaries", sa.Column("source_ip_run", sa.String(length=36), nullable=True))
    op.add_column("session_summaries", sa.Column("source_ip_was", _name(45), nullable=True))
    for column in ("settings", "position"):
        op.add_column("runs", sa.Column(column, sa.Text(), nullable=True))
    op.create_table(
        "set_asides",
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column(
            "session_id",
            _name(64),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run", "session_id"),
    )


def downgrade() -> None:
    for table, indexes in INDEXES.items():
        for index in indexes:
            op.drop_index(index, table_name=table, if_exists=True)
    op.create_index(
        "ix_session_summaries_gap",
        "session_summaries",
        ["snapshot_gap", "session_id"],
        sqlite_where=HAS_A_GAP,
        postgresql_where=HAS_A_GAP,
    )
    op.drop_table("set_asides")
    for column in ("position", "settings"):
        op.drop_column("runs", column)
    op.drop_column("session_summaries", "source_ip_was")
    op.drop_column("session_summaries", "source_ip_run")


def _name(length: int) -> "sa.types.TypeEngine[str]":
    return sa.String(length=length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
