"""Add a table for stored event lines."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = sa.String(length=64).with_variant(postgresql.VARCHAR(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "event_lines",
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("part", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "part"),
        sa.ForeignKeyConstraint(["session_id"], ["session_summaries.session_id"], ondelete="CASCADE"),
    )


def downgrade() -> None:
    op.drop_table("event_lines")
