"""The metadata of all tables, and their text type for keys."""

from sqlalchemy import MetaData, String
from sqlalchemy.dialects import postgresql


def name(length: int) -> String:
    """Return a text type that sorts by bytes on both databases."""
    return String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


metadata = MetaData()
