"""Detect values whose type does not match their column, which SQLite allows."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    false,
    func,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.types import NullType

from snapshots.adapters.sql.connection.datetimes import UtcDateTime, WrongType
from snapshots.adapters.sql.schema import versions
from snapshots.adapters.sql.schema.tables import FACTS, metadata, session_summaries

KINDS = {int: "a number", str: "text", bytes: "a blob", float: "a decimal number"}
EXPECTED = ((Boolean, "integer"), (Integer, "integer"), (UtcDateTime, "text"), (LargeBinary, "blob"), (String, "text"))
WORDS = {"integer": "a number", "text": "text", "blob": "a blob"}
OF_OTHERS = (session_summaries,)
"""Tables that another loader may have created: only their fact columns are checked."""

LONGEST_VALUE = 60

YEAR_ZERO = 1721059.5
"""The first Julian day whose date begins with a digit; a time before it is not one of `datetime`."""


def enforce_types(engine: Engine) -> None:
    """Make an SQLite engine raise `WrongType` for values whose type does not match their column."""
    engine.dialect.colspecs = {
        **engine.dialect.colspecs,
        Integer: _StrictInteger,
        String: _StrictString,
        LargeBinary: _StrictBinary,
    }


def _checked(kind: type) -> Callable[[Any], Any]:
    def process(value: Any) -> Any:
        if value is None or type(value) is kind:
            return value
        raise WrongType(f"{KINDS.get(type(value), 'a value')} instead of {KINDS[kind]}")

    return process


class _StrictInteger(Integer):
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - SQLAlchemy's
        return _checked(int)


class _StrictString(String):
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - SQLAlchemy's
        return _checked(str)


class _StrictBinary(LargeBinary):
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - SQLAlchemy's
        return _checked(bytes)


def is_wrong(connection: Connection, table: Table) -> ColumnElement[bool]:
    """Return the condition that a row holds a value whose type does not match its column; SQLite only."""
    if connection.dialect.name != "sqlite":
        return false()
    return or_(false(), *(_is_wrong_in(column) for column in _columns(table, versions.is_adopted(connection))))


def wrong_values(
    connection: Connection, *, limit: int, sample: Mapping[Table, ColumnElement[bool]] = MappingProxyType({})
) -> Iterator[tuple[str, str]]:
    """
    Yield place and description of wrongly typed values in the first rows of each table.

    Args:
        connection: To the database; no value of a database other than SQLite has a wrong type.
        limit: Maximum number of rows of each table.
        sample: Conditions on the rows of some tables; only these rows are checked.
    """
    if connection.dialect.name != "sqlite":
        return
    is_adopted = versions.is_adopted(connection)
    for table in metadata.sorted_tables:
        keys, columns = list(table.primary_key.columns), _columns(table, is_adopted)
        raw: list[ColumnElement[Any]] = [type_coerce(column, NullType).label(f"k{n}") for n, column in enumerate(keys)]
        raw += [type_coerce(column, NullType).label(f"v{n}") for n, column in enumerate(columns)]
        raw += [_is_wrong_in(column).label(f"w{n}") for n, column in enumerate(columns)]
        query = (
            select(*raw).select_from(table).where(sample.get(table, true()), is_wrong(connection, table)).limit(limit)
        )
        for row in connection.execute(query).mappings():
            key = " ".join(_shown(row[f"k{n}"]) for n in range(len(keys)))
            for n, column in enumerate(columns):
                if row[f"w{n}"]:
                    value, belongs = row[f"v{n}"], WORDS[_expected(column)]
                    belongs = "a time" if isinstance(column.type, UtcDateTime) else belongs
                    kind = KINDS.get(type(value), "a value")
                    yield (
                        f"{table.name} {key}: {column.name}",
                        f"{kind} ({_shown(value)[:LONGEST_VALUE]}) instead of {belongs}",
                    )


def _columns(table: Table, is_adopted: bool) -> list[Column[Any]]:  # noqa: FBT001 - private
    return [column for column in table.columns if not (is_adopted and table in OF_OTHERS and column.name not in FACTS)]


def _is_wrong_in(column: Column[Any]) -> ColumnElement[bool]:
    """Return the condition for one column; the cheap comparisons come first, because they decide nearly every value."""
    raw = type_coerce(column, NullType)
    is_wrong_kind = func.typeof(raw, type_=String) != _expected(column)
    if isinstance(column.type, UtcDateTime):
        is_time = func.coalesce(func.julianday(raw) >= YEAR_ZERO, false())  # faster than date(), which makes a text
        is_wrong_kind = or_(is_wrong_kind, not_(is_time) & func.date(func.substr(raw, 1, 19)).is_(None))
    return and_(raw.is_not(None), is_wrong_kind)


def _expected(column: Column[Any]) -> str:
    return next(kind for type_, kind in EXPECTED if isinstance(column.type, type_))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
