"""The staging table of verdict spans: UNLOGGED on PostgreSQL, in a file next to the database on SQLite."""

from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import cast

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text, delete, inspect, select, text
from sqlalchemy.schema import CreateTable, DropTable

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.timestamps import timestamp_encoder
from snapshots.adapters.sql.connection.sqlite_file import spans_file
from snapshots.adapters.sql.connection.staging import (
    FACT_COLUMN_NAMES,
    PackedRows,
    append_staging,
    fact_columns,
    pack_rows,
)
from snapshots.adapters.sql.rows.session_encoder import SealBuilder
from snapshots.adapters.sql.schema.tables import name
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import VerdictSpan

SCHEMA = "verdict_spans_file"
"""Name under which SQLite attaches the file."""


def _table(schema: str | None, *prefixes: str) -> Table:
    return Table(
        "verdict_spans",
        MetaData(),
        Column("run_key", BigInteger, primary_key=True, autoincrement=False),
        Column("address", name(45), primary_key=True),
        Column("since", UtcDateTime, primary_key=True),
        Column("until", UtcDateTime),
        *fact_columns(),
        Column("sealed_text", Text),
        Column("snapshot_gap", String(20)),
        schema=schema,
        prefixes=list(prefixes),
        sqlite_with_rowid=False,
    )


_TABLES = {"postgresql": _table(None, "UNLOGGED"), "sqlite": _table(SCHEMA)}


def spans_table(connection: Connection) -> Table:
    """Return the table for queries on a database."""
    return _TABLES[connection.dialect.name]


def run_key(run: str) -> int:
    """Return a number that identifies a run in the table; its name would make rows a third larger."""
    return int.from_bytes(blake2b(run.encode(), digest_size=7).digest())


class SqlVerdictSpans:
    """Rows of `verdict_spans`; the table is created when a run begins and dropped with its last rows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = spans_table(connection)

    def begin(self, run: str, *, keep: Collection[str]) -> None:
        """Create the table, and delete rows of other runs."""
        self._attach()
        self._connection.execute(CreateTable(self._table, if_not_exists=True))
        kept = [run_key(each) for each in keep if each != run]
        self._connection.execute(delete(self._table).where(self._table.c.run_key.not_in(kept)))

    def encode(self, run: str, spans: Iterable[VerdictSpan]) -> PackedRows:
        """Encode rows for COPY on PostgreSQL, and as tuples on SQLite."""
        return pack_rows(self._connection, self._rows(run, spans))

    def add(self, encoded: object) -> None:
        """Copy or insert the rows."""
        self._attach()
        append_staging(self._connection, self._table, cast("PackedRows", encoded))

    def has_any(self, run: str) -> bool:
        """Whether a row of the run exists; creates neither the table nor the file."""
        if not self.exists:
            return False
        query = select(self._table.c.address).where(self._table.c.run_key == run_key(run)).limit(1)
        return self._connection.execute(query).first() is not None

    def delete(self, run: str) -> None:
        """Delete the rows of the run, and drop the table if it is empty; SQLite truncates the file."""
        if not self.exists:
            return
        self._connection.execute(delete(self._table).where(self._table.c.run_key == run_key(run)))
        if self._connection.execute(select(self._table.c.address).limit(1)).first() is None:
            self._connection.execute(DropTable(self._table))

    @property
    def exists(self) -> bool:
        """Whether the table exists; afterwards this connection can use it."""
        if self._file is not None and not self._is_attached and not self._file.exists():
            return False
        self._attach()
        return inspect(self._connection).has_table(self._table.name, schema=self._table.schema)

    @property
    def _file(self) -> Path | None:
        """Return the file of a SQLite database; None on PostgreSQL and for a database in memory."""
        return spans_file(self._connection.engine.url)

    @property
    def _is_attached(self) -> bool:
        attached = self._connection.exec_driver_sql("PRAGMA database_list")
        return any(row[1] == SCHEMA for row in attached)

    def _attach(self) -> None:
        if self._table.schema is None or self._is_attached:
            return
        self._connection.execute(text(f"ATTACH :file AS {SCHEMA}"), {"file": str(self._file or ":memory:")})
        self._connection.exec_driver_sql(f"PRAGMA {SCHEMA}.auto_vacuum = FULL")

    def _rows(self, run: str, spans: Iterable[VerdictSpan]) -> Iterator[tuple[object, ...]]:
        key, stored = run_key(run), timestamp_encoder(self._connection)
        seals = SealBuilder("", stored)
        for address, since, until, verdict in spans:
            if address == UNKNOWN_ADDRESS:
                continue
            span = (key, address, stored(since), stored(until))
            if isinstance(verdict, IpSnapshot):
                facts, sealed_text = seals.part(verdict)
                yield (*span, *facts, sealed_text, None)
            else:
                yield (*span, *(None for _ in FACT_COLUMN_NAMES), None, verdict.value)
