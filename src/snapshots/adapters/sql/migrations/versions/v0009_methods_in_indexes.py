"""Add the method to the indexes by network and country, for index-only counts of facts as of the attack."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OLD = ("asn", "asn_alone", "country_alone", "country_type")
NEW = ("asn_time", "asn_method", "country_method", "country_type_time")


def upgrade() -> None:
    """Drop the indexes without the method; those with it are built concurrently after the migration."""
    _drop(OLD)


def downgrade() -> None:
    """Drop the indexes with the method."""
    _drop(NEW)


def _drop(names: tuple[str, ...]) -> None:
    for name in names:
        op.drop_index(f"ix_session_summaries_by_{name}", table_name="session_summaries", if_exists=True)
