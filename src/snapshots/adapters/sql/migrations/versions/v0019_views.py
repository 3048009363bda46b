"""Add the views for analysts, which `schema.views` creates after every migration."""

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table."""


def downgrade() -> None:
    """Change no table: the views are dropped before every migration."""
