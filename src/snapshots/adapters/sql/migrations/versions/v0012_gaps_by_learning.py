"""Store the newest learned_at instead of a clock time with each gap."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Judge all open sessions again: a load with a clock ahead of time hid facts that were learned after it.
    op.execute("UPDATE session_summaries SET gap_checked_at = NULL WHERE snapshot_gap IS NOT NULL")


def downgrade() -> None:
    op.execute("UPDATE session_summaries SET gap_checked_at = updated_at WHERE snapshot_gap IS NOT NULL")
