"""Sessions that wait for their connect have a reason of their own."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Before, such a session was known by this: `never_looked_up`, and an address that its connect did not name.
    op.execute(
        "UPDATE session_summaries SET snapshot_gap = 'awaiting_connect'"
        " WHERE snapshot_gap = 'never_looked_up' AND source_ip_rank > 0"
    )


def downgrade() -> None:
    op.execute("UPDATE session_summaries SET snapshot_gap = 'never_looked_up' WHERE snapshot_gap = 'awaiting_connect'")
