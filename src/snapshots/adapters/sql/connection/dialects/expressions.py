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
    """Return a text that is compared by its bytes, whatever the collation of the database."""
    return collate(text_, "C") if connection.dialect.name == "postgresql" else text_


def digest_of(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return what `rows.digest` returns of a text."""
    if connection.dialect.name != "postgresql":
        return func.snapshot_digest(text_, type_=String)
    return func.left(func.encode(func.sha256(func.convert_to(text_, "UTF8")), "hex"), 32, type_=String)


def trait_texts(
    connection: Connection, behaviour: ColumnElement[Any], trait: str
) -> tuple[FromClause, ColumnElement[Any]]:
    """Return what sessions said of a trait, one row for each, and its text."""
    if connection.dialect.name == "postgresql":
        pairs = func.json_array_elements(cast(behaviour, postgresql.JSON).op("->")(trait))
        each = pairs.table_valued(column("value", postgresql.JSON), name="said").lateral()
        return each, each.c.value.op("->>", return_type=String())(literal_column("1"))
    each = func.json_each(behaviour, f"$.{trait}").table_valued("value", name="said")
    return each, func.json_extract(each.c.value, "$[1]", type_=String)
