"""Add tables for login attempts by credentials, and a count of uploads."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from snapshots.domain.session.logins import credentials_number

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

PAGE = 5_000

BEHAVIOR_PAGE = 200
"""Sessions whose behavior is in memory at a time: a text may be long."""

NAME = sa.String(length=64).with_variant(postgresql.VARCHAR(64, collation="C"), "postgresql")
"""The type of keys."""

SESSIONS = sa.table(
    "session_summaries",
    sa.column("session_id", sa.String),
    sa.column("login_attempts", sa.BigInteger),
    sa.column("login_succeeded", sa.Boolean),
    sa.column("username", sa.String),
    sa.column("password_hash", sa.String),
    sa.column("behaviour", sa.Text),
).c


def upgrade() -> None:
    """
    Create the tables, and count the first login attempt of each session, which its columns hold.

    Whether it succeeded is known if it was the only one.
    """
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("session_summaries")}
    if "file_uploads" not in there:  # an adopted table may have it
        op.add_column("session_summaries", sa.Column("file_uploads", sa.BigInteger))
    logins = op.create_table(
        "session_logins",
        sa.Column("session_id", NAME, primary_key=True),
        sa.Column("credentials_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("successes", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session_summaries.session_id"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    credentials = op.create_table(
        "credentials",
        sa.Column("credentials_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("username", sa.String(255)),
        sa.Column("password_hash", sa.String(64)),
        sqlite_with_rowid=False,
    )
    passwords = op.create_table(
        "passwords",
        sa.Column("password_hash", NAME, primary_key=True),
        sa.Column("password", sa.String(255), nullable=False),
        sqlite_with_rowid=False,
    )
    known = op.create_table(
        "stage_first_logins",
        sa.Column("username_key", sa.Text, primary_key=True),
        sa.Column("hash_key", sa.Text, primary_key=True),
        sa.Column("credentials_number", sa.BigInteger, nullable=False),
        prefixes=["TEMPORARY"],
    )
    _insert_credentials(credentials, known)
    _insert_first_attempts(logins, known)
    op.drop_table(known.name)
    _insert_passwords(passwords)


def downgrade() -> None:
    """Drop the tables; the columns of a session still hold its first login attempt."""
    for table in ("session_logins", "credentials", "passwords"):
        op.drop_table(table)
    op.drop_column("session_summaries", "file_uploads")


def _is_counted() -> sa.ColumnElement[bool]:
    """Return the condition that a login was tried, and that its events are among the counted ones."""
    return sa.and_(SESSIONS.login_succeeded.is_not(None), SESSIONS.login_attempts > 0)


def _insert_credentials(credentials: sa.Table, known: sa.Table) -> None:
    connection = op.get_bind()
    pairs = connection.execute(sa.select(SESSIONS.username, SESSIONS.password_hash).where(_is_counted()).distinct())
    for page in _pages(pairs.all()):
        rows = [
            {
                "credentials_number": credentials_number(username, password_hash),
                "username": username,
                "password_hash": password_hash,
                "username_key": "" if username is None else f"={username}",
                "hash_key": password_hash or "",
            }
            for username, password_hash in page
        ]
        connection.execute(credentials.insert(), [{c.name: row[c.name] for c in credentials.columns} for row in rows])
        connection.execute(known.insert(), [{c.name: row[c.name] for c in known.columns} for row in rows])


def _insert_first_attempts(logins: sa.Table, known: sa.Table) -> None:
    is_known_success = sa.and_(SESSIONS.login_attempts == 1, SESSIONS.login_succeeded)
    first = (
        sa.select(
            SESSIONS.session_id, known.c.credentials_number, sa.literal(1), sa.case((is_known_success, 1), else_=0)
        )
        .where(_is_counted())
        .where(known.c.username_key == sa.func.coalesce(sa.literal("=") + SESSIONS.username, ""))
        .where(known.c.hash_key == sa.func.coalesce(SESSIONS.password_hash, ""))
        .order_by(SESSIONS.session_id)
    )
    op.get_bind().execute(logins.insert().from_select(logins.columns.keys(), first))


def _insert_passwords(passwords: sa.Table) -> None:
    """Copy the texts of passwords that --keep-passwords stored in the behavior of sessions."""
    has_text = SESSIONS.behaviour.like('%"credentials"%') & SESSIONS.behaviour.not_like('%, null]"%')
    sessions = (
        sa.select(SESSIONS.password_hash, sa.func.min(SESSIONS.session_id))
        .where(_is_counted(), SESSIONS.password_hash.is_not(None), has_text)
        .group_by(SESSIONS.password_hash)
    )
    kept = op.create_table(
        "stage_kept_passwords",
        sa.Column("password_hash", sa.Text, primary_key=True),
        sa.Column("session_id", sa.Text, nullable=False),
        prefixes=["TEMPORARY"],
    )
    connection = op.get_bind()
    connection.execute(kept.insert().from_select(kept.columns.keys(), sessions))
    query = (
        sa.select(kept.c.password_hash, SESSIONS.behaviour)
        .where(SESSIONS.session_id == kept.c.session_id)
        .order_by(kept.c.password_hash)
        .limit(BEHAVIOR_PAGE)
    )
    after = ""
    while page := connection.execute(query.where(kept.c.password_hash > after)).all():
        after = page[-1].password_hash
        texts = {password_hash: _password_in(behaviour) for password_hash, behaviour in page}
        rows = [{"password_hash": key, "password": text} for key, text in texts.items() if text is not None]
        if rows:
            connection.execute(passwords.insert(), rows)
    op.drop_table(kept.name)


def _password_in(behaviour: str) -> str | None:
    """Return the text of the first password; None for behavior that is damaged or holds none."""
    try:
        text = json.loads(json.loads(behaviour)["credentials"][0][1])[2]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return text if isinstance(text, str) else None


def _pages(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    following = iter(rows)
    while page := list(islice(following, PAGE)):
        yield page
