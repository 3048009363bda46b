"""Gaps are judged by what was learned last, and no longer by a clock."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What clocks left open is judged once more: a load under a clock ahead hid what was learned after it.
    op.execute("UPDATE session_summaries SET gap_checked_at = NULL WHERE snapshot_gap IS NOT NULL")


def downgrade() -> None:
    op.execute("UPDATE session_summaries SET gap_checked_at = updated_at WHERE snapshot_gap IS NOT NULL")
