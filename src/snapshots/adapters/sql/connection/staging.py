"""
Temporary tables through which many rows reach a table in one statement.

A key by which a statement seeks rows of a table is a plain String: PostgreSQL compares it then by the collation of
the table, of ours ("C") or of another loader's, and uses its index; for a key in "C" it would read all of theirs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
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
"""Many rows in the form in which a driver takes them fastest."""


def staging_table_for(table: Table, columns: Sequence[str] = ()) -> Table:
    """Return the definition of a temporary table with some columns of a table, or all; without keys and constraints."""
    return Table(
        f"stage_{table.name}",
        staging_metadata,
        *(Column(name, table.c[name].type) for name in columns or table.columns.keys()),
        prefixes=["TEMPORARY"],
    )


def fact_columns() -> list[Column[Any]]:
    """Return the columns in which facts and where they are from reach a row, for another stage."""
    return [
        Column("snapshot_asn", BigInteger),
        Column("snapshot_country", String(2)),
        Column("snapshot_ip_type", String(16)),
        Column("enrichment_at", UtcDateTime),
        Column("snapshot_method", String(16)),
        Column("snapshot_source", Text),
    ]


FACT_COLUMN_NAMES = tuple(column.name for column in fact_columns())
"""Their names."""


def pack_rows(connection: Connection, rows: Iterable[tuple[object, ...]]) -> PackedRows:
    """
    Return rows as `fill` takes them; it asks the database nothing.

    Args:
        connection: To the database, or another one to it.
        rows: A value for each column of the table, as the driver takes it.
    """
    if connection.dialect.driver != "psycopg":
        return list(rows)
    # https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2, "Text Format"
    copied = _COPIED
    lines = ["\t".join([copied[type(value)](value) for value in row]) for row in rows]
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def _escaped(value: str) -> str:
    return value if value.isprintable() and "\\" not in value else value.translate(_ESCAPES)


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
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
    """Put rows that `pack` made into a temporary table of ours, in the place of what it held."""
    connection.execute(CreateTable(stage, if_not_exists=True))
    truncate(connection, stage)
    append_staging(connection, stage, *packed)


def append_staging(connection: Connection, stage: Table, *packed: PackedRows) -> None:
    """Put rows that `pack` made into a temporary table that is there, beside what it holds."""
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
    with driver.cursor() as cursor, cursor.copy(copying) as copy:  # type: ignore[union-attr]  # `pack` makes bytes for psycopg alone
        for text in texts:
            copy.write(text)


def staged_rows(stage: Table, count: int) -> FromClause:
    """
    Return a temporary table's rows so that a statement goes through them, and not through the table that they change.

    No planner has statistics of them. The LIMIT tells SQLite how many there may be, which else takes them for a
    million, and keeps PostgreSQL from seeking the few by each row of the many.
    """
    return select(stage).limit(literal_column(f"{10 ** len(str(count))}")).subquery(stage.name)


def driver_rows(
    connection: Connection, stage: Table, rows: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[object, ...]]:
    """Yield rows as `pack` takes them: in the order of the columns, NULL for a missing one, moments as the driver's."""
    names = stage.columns.keys()
    moments = [at for at, column in enumerate(stage.columns) if isinstance(column.type, UtcDateTime)]
    stored = timestamp_encoder(connection)
    for row in rows:
        values = list(map(row.get, names))
        for at in moments:
            moment = values[at]
            values[at] = stored(moment) if moment is not None else None
        yield tuple(values)
