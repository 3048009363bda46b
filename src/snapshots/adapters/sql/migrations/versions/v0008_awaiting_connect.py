"""Add the gap awaiting_connect."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Before, such a session had the gap `never_looked_up` and an address from another event than its connect.
    op.execute(
        "UPDATE session_summaries SET snapshot_gap = 'awaiting_connect'"
        " WHERE snapshot_gap = 'never_looked_up' AND source_ip_rank > 0"
    )


def downgrade() -> None:
    op.execute("UPDATE session_summaries SET snapshot_gap = 'never_looked_up' WHERE snapshot_gap = 'awaiting_connect'")
