"""Statements over many rows that differ between SQLite and PostgreSQL."""

import json
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, column, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
from sqlalchemy.sql.elements import BindParameter

from snapshots.adapters.sql.connection.datetimes import timestamp_text


def insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return an INSERT of this connection's dialect, with ON CONFLICT."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def select_texts(connection: Connection, texts: Collection[str]) -> Select[tuple[str]]:
    """
    Return a query for *texts* with a single parameter: both drivers limit the number of parameters.

    On SQLite, they may also be whole numbers.
    """
    if connection.dialect.name == "postgresql":
        rows = func.unnest(BindParameter(None, list(texts), type_=postgresql.ARRAY(postgresql.TEXT)))
        return select(rows.column_valued("value"))
    rows = func.json_each(BindParameter(None, json.dumps(list(texts))))
    return select(rows.table_valued(column("value")).c.value)


def truncate(connection: Connection, temporary: Table) -> None:
    """Remove the rows of a temporary table; autovacuum does not clean temporary tables after a DELETE."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"TRUNCATE {temporary.name}")
    else:
        connection.execute(delete(temporary))


def count_returned_rows(
    connection: Connection, writing: ReturningInsert[Any] | ReturningUpdate[Any]
) -> Counter[tuple[Any, ...]]:
    """Execute a statement with RETURNING, and count the rows by their values; PostgreSQL sends only the counts."""
    if connection.dialect.name != "postgresql":
        return Counter(tuple(row) for row in connection.execute(writing))
    done = writing.cte("done")
    counts = connection.execute(select(func.count(), *done.c).group_by(*done.c))
    return Counter({tuple(values): count for count, *values in counts})


def select_address_ranges(
    connection: Connection, spans: Collection[tuple[str, datetime, datetime]]
) -> Select[tuple[str, datetime, datetime]]:
    """Return a query for addresses, each with a first and a last time, with one parameter per column."""
    if connection.dialect.name == "postgresql":
        moments = postgresql.ARRAY(postgresql.TIMESTAMP(timezone=True))
        arrays: list[BindParameter[Any]] = [
            BindParameter(None, [span[0] for span in spans], type_=postgresql.ARRAY(postgresql.TEXT)),
            BindParameter(None, [span[1] for span in spans], type_=moments),
            BindParameter(None, [span[2] for span in spans], type_=moments),
        ]
        rows = func.unnest(*arrays).table_valued("address", "first", "last", name="spans").render_derived()
        return select(rows.c.address, rows.c.first, rows.c.last)
    texts = [[ip, *(timestamp_text(at) for at in (first, last))] for ip, first, last in spans]
    each = func.json_each(BindParameter(None, json.dumps(texts))).table_valued("value", name="spans")
    parts = (func.json_extract(each.c.value, f"$[{n}]") for n in range(3))
    return select(*(part.label(name) for part, name in zip(parts, ("address", "first", "last"), strict=True)))
