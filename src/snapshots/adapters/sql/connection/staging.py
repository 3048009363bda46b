"""
Temporary staging tables, from which one statement inserts or updates many rows.

Key columns are plain Strings, without a collation: PostgreSQL then compares by the collation of the target table
("C" in our tables, any in another loader's) and uses its index. With "C" it would scan another loader's table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    FromClause,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    select,
)
from sqlalchemy.schema import CreateTable

from snapshots.adapters.sql.connection.datetimes import UtcDateTime, timestamp_rfc3339
from snapshots.adapters.sql.connection.dialects.statements import truncate
from snapshots.adapters.sql.connection.dialects.timestamps import timestamp_encoder

staging_metadata = MetaData()

PackedRows = bytes | Sequence[tuple[object, ...]]
"""Rows in the form that the driver reads fastest: COPY text for psycopg, else tuples."""


def staging_table_for(table: Table, columns: Sequence[str] = ()) -> Table:
    """Return a staging table with some or all columns of a table, without keys and constraints."""
    return Table(
        f"stage_{table.name}",
        staging_metadata,
        *(Column(name, table.c[name].type) for name in columns or table.columns.keys()),
        prefixes=["TEMPORARY"],
    )


def fact_columns() -> list[Column[Any]]:
    """Return columns for the facts of a snapshot and their provenance, for another staging table."""
    return [
        Column("snapshot_asn", BigInteger),
        Column("snapshot_country", String(2)),
        Column("snapshot_ip_type", String(16)),
        Column("enrichment_at", UtcDateTime),
        Column("snapshot_method", String(16)),
        Column("snapshot_source", Text),
    ]


FACT_COLUMN_NAMES = tuple(column.name for column in fact_columns())
"""Names of `fact_columns`."""


def pack_rows(connection: Connection, rows: Iterable[tuple[object, ...]]) -> PackedRows:
    """
    Convert rows for `fill_staging`; sends no query.

    Args:
        connection: Any connection to the database.
        rows: A driver value for each column of the table.
    """
    if connection.dialect.driver != "psycopg":
        return list(rows)
    # https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2, "Text Format"
    copied = _COPIED
    lines = ["\t".join([copied[type(value)](value) for value in row]) for row in rows]
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def _escaped(value: str) -> str:
    text = value.replace("\\", r"\\")
    # Not str.translate, which looks up each character.
    return text if text.isprintable() else text.replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


_COPIED: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: r"\N",
    str: _escaped,
    int: str,
    bool: str,
    float: repr,
    datetime: timestamp_rfc3339,
    bytes: lambda value: rf"\\x{value.hex()}",
}


def fill_staging(connection: Connection, stage: Table, *packed: PackedRows) -> None:
    """Replace the rows of a staging table; create it if it is missing."""
    connection.execute(CreateTable(stage, if_not_exists=True))
    truncate(connection, stage)
    append_staging(connection, stage, *packed)


def append_staging(connection: Connection, stage: Table, *packed: PackedRows) -> None:
    """Append rows to an existing staging table."""
    _copy(connection, stage, [rows for rows in packed if rows and isinstance(rows, bytes)])
    for rows in packed:
        if not rows or isinstance(rows, bytes):
            continue
        if connection.dialect.paramstyle == "qmark":
            statement = str(stage.insert().compile(dialect=connection.dialect))
            connection.exec_driver_sql(statement, rows)
        else:
            names = stage.columns.keys()
            connection.execute(stage.insert(), [dict(zip(names, row, strict=True)) for row in rows])


def _copy(connection: Connection, stage: Table, texts: Sequence[bytes]) -> None:
    if not texts:
        return
    columns = ", ".join(column.name for column in stage.columns)
    copying = f"COPY {stage.name} ({columns}) FROM STDIN (ENCODING 'UTF8')"
    driver = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(copying) as copy:  # type: ignore[union-attr]  # only psycopg gets bytes
        for text in texts:
            copy.write(text)


def staged_rows(stage: Table, count: int) -> FromClause:
    """
    Return the rows of a staging table as the driving side of a join with the table that they change.

    Planners have no statistics for staging tables. The LIMIT gives SQLite an estimate, which otherwise assumes a
    million rows, and keeps PostgreSQL from scanning the large table and looking up each of its rows here.
    """
    return select(stage).limit(literal_column(f"{10 ** len(str(count))}")).subquery(stage.name)


def driver_rows(
    connection: Connection, stage: Table, rows: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[object, ...]]:
    """Yield rows for `pack_rows`: values in the order of the columns, None for missing ones, timestamps encoded."""
    names = stage.columns.keys()
    moments = [at for at, column in enumerate(stage.columns) if isinstance(column.type, UtcDateTime)]
    stored = lru_cache(timestamp_encoder(connection))  # most rows have the dates of few builds
    for row in rows:
        values = list(map(row.get, names))
        for at in moments:
            moment = values[at]
            values[at] = stored(moment) if moment is not None else None
        yield tuple(values)
