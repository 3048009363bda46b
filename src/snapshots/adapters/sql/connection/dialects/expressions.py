"""Expressions over texts, random numbers and JSON."""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Integer,
    String,
    and_,
    cast,
    collate,
    column,
    func,
    literal_column,
    or_,
    text,
    type_coerce,
)
from sqlalchemy.dialects import postgresql

from snapshots.domain.snapshot.fact_methods import DAY_LENGTH


def compared_by_bytes(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text that is compared by its bytes, independent of the collation of the database."""
    return collate(text_, "C") if connection.dialect.name == "postgresql" else text_


def compared_as_stored(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text that is compared by the collation of the database, so that another loader's index can be used."""
    return collate(text_, "default") if connection.dialect.name == "postgresql" else text_


def sorts_by_bytes(connection: Connection, column: Column[str]) -> bool:
    """Whether the collation of a column orders texts by their bytes, as our own columns do."""
    if connection.dialect.name != "postgresql":
        return True
    names = {"table": str(column.table), "column": column.name}
    return connection.execute(text(_COLLATION), names).scalar_one() in {"C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic"}


_COLLATION = """
SELECT CASE c.collname WHEN 'default' THEN d.datcollate ELSE c.collname END
  FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation, pg_database d
 WHERE d.datname = current_database() AND a.attrelid = to_regclass(:table) AND a.attname = :column"""


RANDOM_BITS = (1 << 30) - 1


def is_true_at_random(connection: Connection, share: float) -> ColumnElement[bool]:
    """Return a condition that is true for a share of all rows, chosen at random whenever it is executed."""
    if connection.dialect.name == "postgresql":
        return func.random(type_=Float) < share
    return func.random(type_=Integer).bitwise_and(RANDOM_BITS) < round(share * (RANDOM_BITS + 1))


def begins_with_byte(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a text begins with two lower-case hexadecimal digits."""
    if connection.dialect.name == "postgresql":
        return text_.regexp_match("^[0-9a-f]{2}")
    return text_.op("GLOB", return_type=Boolean())("[0-9a-f][0-9a-f]*")


def contains_text(connection: Connection, text_: ColumnElement[str], part: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a text contains another one; LIKE would interpret the other as a pattern."""
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    return find(text_, part, type_=Integer) > 0


def digest_of(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return the digest of a text, as `row_decoder.digest` computes it."""
    if connection.dialect.name != "postgresql":
        return func.snapshot_digest(text_, type_=String)
    return func.left(func.encode(func.sha256(func.convert_to(text_, "UTF8")), "hex"), 32, type_=String)


def is_later_build(
    connection: Connection, labels: ColumnElement[str], place: ColumnElement[int], seen_at: ColumnElement[Any]
) -> ColumnElement[bool]:
    """
    Return the condition that a build is from after a timestamp, as `fact_methods.is_after`.

    Args:
        connection: Determines the dialect.
        labels: Labels of builds, separated by spaces.
        place: The place of the label among them, from 1.
        seen_at: The timestamp.
    """
    if connection.dialect.name != "postgresql":
        return func.snapshot_is_later(labels, place, type_coerce(seen_at, String), type_=Boolean)
    label = func.split_part(labels, literal_column("' '"), place, type_=String)
    stamp = collate(func.split_part(label, literal_column("'@'"), literal_column("2"), type_=String), "C")
    text = func.to_char(
        func.timezone(literal_column("'UTC'"), seen_at), literal_column("""'YYYY-MM-DD"T"HH24:MI:SS'"""), type_=String
    )
    same_length = collate(func.left(text, func.length(stamp), type_=String), "C")
    return or_(stamp > same_length, and_(func.length(stamp) <= DAY_LENGTH, stamp == same_length))


def trait_texts(
    connection: Connection, behaviour: ColumnElement[Any], trait: str
) -> tuple[FromClause, ColumnElement[Any]]:
    """Return a row source with one row per text of a trait in the behavior of sessions, and its text column."""
    if connection.dialect.name == "postgresql":
        pairs = func.json_array_elements(cast(behaviour, postgresql.JSON).op("->")(trait))
        each = pairs.table_valued(column("value", postgresql.JSON), name=f"{trait}_pairs").lateral()
        return each, each.c.value.op("->>", return_type=String())(literal_column("1"))
    each = func.json_each(behaviour, f"$.{trait}").table_valued("value", name=f"{trait}_pairs")
    return each, func.json_extract(each.c.value, "$[1]", type_=String)
