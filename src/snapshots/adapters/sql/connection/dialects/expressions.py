"""Expressions over texts and JSON."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    String,
    cast,
    collate,
    column,
    func,
    literal_column,
)
from sqlalchemy.dialects import postgresql


def compared_by_bytes(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text that is compared by its bytes, independent of the collation of the database."""
    return collate(text_, "C") if connection.dialect.name == "postgresql" else text_


def digest_of(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return the digest of a text, as `row_decoder.digest` computes it."""
    if connection.dialect.name != "postgresql":
        return func.snapshot_digest(text_, type_=String)
    return func.left(func.encode(func.sha256(func.convert_to(text_, "UTF8")), "hex"), 32, type_=String)


def trait_texts(
    connection: Connection, behaviour: ColumnElement[Any], trait: str
) -> tuple[FromClause, ColumnElement[Any]]:
    """Return a row source with one row per text of a trait in the behavior of sessions, and its text column."""
    if connection.dialect.name == "postgresql":
        pairs = func.json_array_elements(cast(behaviour, postgresql.JSON).op("->")(trait))
        each = pairs.table_valued(column("value", postgresql.JSON), name="pairs").lateral()
        return each, each.c.value.op("->>", return_type=String())(literal_column("1"))
    each = func.json_each(behaviour, f"$.{trait}").table_valued("value", name="pairs")
    return each, func.json_extract(each.c.value, "$[1]", type_=String)
