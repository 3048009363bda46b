"""Number source builds by registration, and store the last build in which each address was looked up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("fact_sources") as batch:
        batch.add_column(sa.Column("number", sa.Integer(), nullable=False, server_default=sa.text("0")))
        batch.add_column(sa.Column("form", sa.String(length=32), nullable=False, server_default=""))
        batch.add_column(sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE fact_sources SET number = (SELECT count(*) FROM fact_sources other"
        " WHERE other.registered_at < fact_sources.registered_at"
        " OR (other.registered_at = fact_sources.registered_at AND other.source <= fact_sources.source))"
    )
    for column in ("learned_at", "newest_at"):
        op.add_column("ip_inventory", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE ip_inventory SET newest_at = enrichment_updated_at")
    op.add_column(
        "ip_inventory", sa.Column("looked_up_until", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )

    _type_as(sa.Text(), was=sa.String(length=16))


def _type_as(kind: "sa.types.TypeEngine[str]", *, was: "sa.types.TypeEngine[str]") -> None:
    """Widen the type in corrections to the text of another loader."""
    with op.batch_alter_table("snapshot_corrections", table_kwargs={"sqlite_autoincrement": True}) as batch:
        for column in ("old_snapshot_ip_type", "new_snapshot_ip_type"):
            batch.alter_column(column, type_=kind, existing_type=was)


def downgrade() -> None:
    _type_as(sa.String(length=16), was=sa.Text())
    op.drop_column("ip_inventory", "newest_at")
    op.drop_column("ip_inventory", "learned_at")
    op.drop_column("ip_inventory", "looked_up_until")
    op.execute("DELETE FROM fact_sources WHERE retracted_at IS NOT NULL")
    with op.batch_alter_table("fact_sources") as batch:
        for column in ("retracted_at", "form", "number"):
            batch.drop_column(column)
