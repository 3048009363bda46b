"""Add covering indexes over snapshots, times and behavior for queries."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = [
    f"ix_session_summaries_by_{end}"
    for end in (
        "asn",
        "asn_alone",
        "country_alone",
        "country_type",
        "first_event_at",
        "hassh",
        "command_signature",
        "ssh_key_fingerprint",
        "download_hash",
    )
]
"""Built concurrently after the migration."""


def upgrade() -> None:
    """Do nothing: missing indexes are built after the migration."""


def downgrade() -> None:
    for index in INDEXES:
        op.drop_index(index, table_name="session_summaries", if_exists=True)
