"""Tables of login attempts by session and credentials."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from snapshots.adapters.sql.schema.tables.columns import metadata, name
from snapshots.adapters.sql.schema.tables.sessions import session_summaries

session_logins = Table(
    "session_logins",
    metadata,
    Column("session_id", name(64), ForeignKey(session_summaries.c.session_id, ondelete="CASCADE"), primary_key=True),
    Column("credentials_number", BigInteger, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False),
    Column("successes", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Login attempts of a session by credentials; the number `logins.OTHERS` is not in `credentials`."""

credentials = Table(
    "credentials",
    metadata,
    Column("credentials_number", BigInteger, primary_key=True, autoincrement=False),
    Column("username", String(255)),
    Column("password_hash", String(64)),
    sqlite_with_rowid=False,
)
"""User names and password hashes of login attempts, each pair once."""

passwords = Table(
    "passwords",
    metadata,
    Column("password_hash", name(64), primary_key=True),
    Column("password", String(255), nullable=False),
    sqlite_with_rowid=False,
)
"""Texts of passwords that were loaded with --keep-passwords."""
