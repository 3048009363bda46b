"""Add seal counts by run, and digests of audit rows, to verify sealed sessions against them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_seals",
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("writer", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("sessions", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run", "writer"),
    )
    op.add_column("snapshot_prunings", sa.Column("sealed_by_run", sa.Text))
    op.add_column("snapshot_corrections", sa.Column("digest", sa.String(length=32)))
    op.add_column("fact_sources", sa.Column("digest", sa.String(length=32)))
    # Initialize the counts from the present rows: earlier runs and prunings did not count.
    op.execute(f"""
        INSERT INTO run_seals (run, writer, sessions)
        SELECT run, 0, sum(sessions) FROM (
            SELECT snapshot_run AS run, count(*) AS sessions FROM session_summaries
             WHERE {_holds_a_fact("snapshot_")} GROUP BY snapshot_run
            UNION ALL
            SELECT new_snapshot_run, -count(*) FROM snapshot_corrections
             WHERE {_holds_a_fact("new_snapshot_")} GROUP BY new_snapshot_run
            UNION ALL
            SELECT old_snapshot_run, count(*) FROM snapshot_corrections
             WHERE {_holds_a_fact("old_snapshot_")} GROUP BY old_snapshot_run
        ) AS changes WHERE run IS NOT NULL GROUP BY run""")  # noqa: S608 - columns of ours


def downgrade() -> None:
    op.drop_table("run_seals")
    op.drop_column("fact_sources", "digest")
    op.drop_column("snapshot_corrections", "digest")
    op.drop_column("snapshot_prunings", "sealed_by_run")


def _holds_a_fact(prefix: str) -> str:
    return f"(coalesce({prefix}asn, 0) <> 0 OR {prefix}country IS NOT NULL OR {prefix}ip_type IS NOT NULL)"
