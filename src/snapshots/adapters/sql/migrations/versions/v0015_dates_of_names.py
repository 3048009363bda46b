"""Add the date of the table that stated a network's name, so that the newest name wins."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Names that are stored already have no date; the next name with a date replaces them."""
    op.add_column("known_networks", sa.Column("organization_name_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("known_networks", "organization_name_at")
