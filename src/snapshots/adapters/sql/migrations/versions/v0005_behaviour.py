"""Add columns of session behavior."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS: dict[str, "sa.types.TypeEngine[Any]"] = {
    "protocol": sa.String(length=16),
    "client_version": sa.String(length=255),
    "hassh": sa.String(length=32),
    "username": sa.String(length=255),
    "password_hash": sa.String(length=64),
    "login_succeeded": sa.Boolean(),
    "command_signature": sa.String(length=32),
    "ssh_key_fingerprint": sa.String(length=64),
    "download_hash": sa.String(length=64),
    "duration_ms": sa.BigInteger(),
    "behaviour": sa.Text(),
}


def upgrade() -> None:
    # An adopted table may have some of these columns, empty.
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("session_summaries")}
    for name, kind in COLUMNS.items():
        if name not in there:
            op.add_column("session_summaries", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("session_summaries", name)
