"""Add the views for analysts: v_sessions, v_logins, v_commands and v_downloads."""

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table: `schema.views` creates the views after every migration."""


def downgrade() -> None:
    """Change no table: the views are dropped before every migration."""
