"""Add a table for the fingerprints of long sessions, so that a new event does not rewrite all of them."""

from array import array
from sys import byteorder

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAME = sa.String(length=64).with_variant(postgresql.VARCHAR(64, collation="C"), "postgresql")
LARGEST_BEFORE = 1_048_576
"""Fingerprints per session in earlier versions: the smallest."""

FINGERPRINTS = sa.table(
    "session_fingerprints", sa.column("session_id", sa.String), sa.column("fingerprint", sa.BigInteger)
)
SESSIONS = sa.table(
    "session_summaries", sa.column("session_id", sa.String), sa.column("event_fingerprints", sa.LargeBinary)
)


def upgrade() -> None:
    """Create the table; fingerprints of long sessions move into it when their rows are next written."""
    op.create_table(
        "session_fingerprints",
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("fingerprint", sa.BigInteger, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "fingerprint"),
        sa.ForeignKeyConstraint(["session_id"], ["session_summaries.session_id"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Put the fingerprints back into the rows of their sessions."""
    connection = op.get_bind()
    for name in connection.execute(sa.select(FINGERPRINTS.c.session_id).distinct()).scalars().all():
        own = SESSIONS.c.session_id == name
        numbers = array("Q", connection.execute(sa.select(SESSIONS.c.event_fingerprints).where(own)).scalar_one())
        if byteorder == "little":
            numbers.byteswap()
        more = sa.select(FINGERPRINTS.c.fingerprint).where(FINGERPRINTS.c.session_id == name)
        numbers.extend(mark % 2**64 for mark in connection.execute(more).scalars())
        numbers = array("Q", sorted(set(numbers))[:LARGEST_BEFORE])
        if byteorder == "little":
            numbers.byteswap()
        connection.execute(sa.update(SESSIONS).where(own).values(event_fingerprints=numbers.tobytes()))
    op.drop_table("session_fingerprints")
