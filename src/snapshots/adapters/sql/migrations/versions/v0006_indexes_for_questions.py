"""Indexes over snapshots, times and behaviour, by which questions are answered without reading the table."""

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
"""Built after the migration, beside writers."""


def upgrade() -> None:
    """Leave it to what builds the indexes that are missing."""


def downgrade() -> None:
    for index in INDEXES:
        op.drop_index(index, table_name="session_summaries", if_exists=True)
