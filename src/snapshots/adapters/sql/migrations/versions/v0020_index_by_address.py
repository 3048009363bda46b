"""Add the index by address with the facts of sessions, which is built concurrently after the migration."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table."""


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_session_summaries_by_address_facts", table_name="session_summaries", if_exists=True)
