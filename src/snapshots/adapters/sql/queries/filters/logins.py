"""Queries about the login attempts of sessions."""

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, FromClause, Select, distinct, func, not_, select

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.schema.tables import credentials, passwords, session_logins, session_summaries
from snapshots.app.queries.common_passwords import common_passwords
from snapshots.app.queries.session_queries import Dimension
from snapshots.domain.session.logins import OTHERS

SESSIONS, LOGINS = session_summaries.c, session_logins.c

TRIED: Mapping[Dimension, ColumnElement[str]] = {
    Dimension.USER: credentials.c.username,
    Dimension.PASSWORD: credentials.c.password_hash,
}
"""What a login attempt tried; a session has a value for each of its attempts."""

ATTEMPTS = func.sum(LOGINS.attempts)


def with_logins(rows: FromClause) -> FromClause:
    """Return sessions, each as often as it tried different credentials; attempts counted as OTHERS have none."""
    tried = credentials.c.credentials_number == LOGINS.credentials_number
    return rows.join(session_logins, LOGINS.session_id == SESSIONS.session_id).join(credentials, tried)


def has_tried(key: Dimension, values: Collection[str | int]) -> ColumnElement[bool]:
    """Return the condition that an attempt of a session tried one of some values."""
    return SESSIONS.session_id.in_(_sessions_that_tried(TRIED[key].in_(values)))


def has_tried_none(key: Dimension) -> ColumnElement[bool]:
    """Return the condition that no attempt of a session has a value."""
    return SESSIONS.session_id.not_in(_sessions_that_tried(TRIED[key].is_not(None)))


def _sessions_that_tried(which: ColumnElement[bool]) -> Select[str]:
    numbers = select(credentials.c.credentials_number).where(which)
    return select(LOGINS.session_id).where(LOGINS.credentials_number.in_(numbers))


def attempts_without_credentials(
    conditions: Collection[ColumnElement[bool]], rows: FromClause, *, with_password: bool
) -> Select[int]:
    """Return the query that counts the attempts whose credentials, or the password among them, are not stored."""
    numbers = select(credentials.c.credentials_number).where(credentials.c.password_hash.is_not(None))
    is_stored = LOGINS.credentials_number.in_(numbers) if with_password else LOGINS.credentials_number != OTHERS
    stored = select(func.sum(LOGINS.attempts)).where(LOGINS.session_id == SESSIONS.session_id, is_stored)
    stored_attempts = stored.scalar_subquery()
    lacking = SESSIONS.login_attempts - func.coalesce(stored_attempts, 0)
    return select(func.coalesce(func.sum(lacking), 0)).select_from(rows).where(*conditions, lacking > 0)


def hidden_passwords() -> Select[int]:
    """Return the query that counts the tried passwords whose text is not stored."""
    tried = credentials.c.password_hash
    with_text = tried.in_(select(passwords.c.password_hash))
    return select(func.count(distinct(tried))).where(tried.is_not(None), not_(with_text))


def password_texts(connection: Connection, hashes: Collection[str]) -> Mapping[str, str]:
    """Return the texts of passwords by their hashes: those that are stored, and very common ones."""
    found = {each: common_passwords()[each] for each in hashes if each in common_passwords()}
    query = select(passwords).where(passwords.c.password_hash.in_(select_texts(connection, hashes)))
    return found | {row.password_hash: row.password for row in connection.execute(query)}
