"""The staging table of verdict spans: UNLOGGED on PostgreSQL, in a file next to the database on SQLite."""

from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, delete, inspect, select, text
from sqlalchemy.schema import CreateTable, DropTable

from snapshots.adapters.sql.connection.dialects.timestamps import timestamp_encoder
from snapshots.adapters.sql.connection.sqlite_file import SPANS_FILES, spans_file
from snapshots.adapters.sql.connection.staging import (
    FACT_COLUMN_NAMES,
    PackedRows,
    append_staging,
    pack_rows,
)
from snapshots.adapters.sql.rows.session_encoder import SealBuilder
from snapshots.adapters.sql.schema.spans_table import SPANS_SCHEMA, spans_table
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import MIN_TIME, VerdictSpan

MARKER = "-"
"""Address of the marker row of a run. Its span is empty, so it is applied to no session."""


def run_key(run: str) -> int:
    """Return a number that identifies a run in the table; its name would make rows a third larger."""
    return int.from_bytes(blake2b(run.encode(), digest_size=7).digest())


class SqlVerdictSpans:
    """
    Rows of `verdict_spans`.

    On PostgreSQL a migration creates the table. On SQLite it exists while a run is staged: each run has a marker row,
    so that an empty table belongs to no run.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = spans_table(connection)

    def begin(self, run: str, *, keep: Collection[str]) -> None:
        """Delete rows of other runs, and insert the marker."""
        self._attach()
        if self._file_schema is not None:
            self._connection.execute(CreateTable(self._table, if_not_exists=True))
        kept = [run_key(each) for each in keep if each != run]
        self._connection.execute(delete(self._table).where(self._table.c.run_key.not_in(kept)))
        marker = {"run_key": run_key(run), "address": MARKER, "since": MIN_TIME, "until": MIN_TIME}
        self._connection.execute(self._table.insert(), [marker])

    def encode(self, run: str, spans: Iterable[VerdictSpan]) -> PackedRows:
        """Encode rows for COPY on PostgreSQL, and as tuples on SQLite."""
        return pack_rows(self._connection, self._rows(run, spans))

    def add(self, encoded: object) -> None:
        """Copy or insert the rows; without the table, their sessions are evaluated one by one."""
        packed = cast("PackedRows", encoded)
        if isinstance(packed, bytes):
            append_staging(self._connection, self._table, packed)
        elif packed and self.exists:
            # SQLite commits its two files one after the other: after a power cut the rows may be there already.
            statement = self._table.insert().prefix_with("OR REPLACE")
            self._connection.exec_driver_sql(str(statement.compile(dialect=self._connection.dialect)), packed)

    def has_any(self, run: str) -> bool:
        """Whether the run has a row other than its marker; creates neither the table nor the file."""
        if not self.exists:
            return False
        row = self._table.c
        query = select(row.address).where(row.run_key == run_key(run), row.address != MARKER).limit(1)
        return self._connection.execute(query).first() is not None

    def delete(self, run: str) -> None:
        """Delete the rows of the run; SQLite drops an empty table, which truncates the file."""
        if not self.exists:
            return
        self._connection.execute(delete(self._table).where(self._table.c.run_key == run_key(run)))
        is_empty = self._connection.execute(select(self._table.c.address).limit(1)).first() is None
        if is_empty and self._file_schema is not None:
            self._connection.execute(DropTable(self._table))

    @property
    def exists(self) -> bool:
        """Whether the table exists; afterwards this connection can use it."""
        if self._file_schema is None:
            return True
        if self._file is not None and not self._is_attached and not self._file.exists():
            return False
        self._attach()
        return inspect(self._connection).has_table(self._table.name, schema=self._table.schema)

    @property
    def _file_schema(self) -> str | None:
        """Return the name under which SQLite attaches the file; None on PostgreSQL."""
        return self._table.schema

    @property
    def _file(self) -> Path | None:
        """Return the file; None for a database in memory."""
        return spans_file(self._connection.engine.url)

    @property
    def _is_attached(self) -> bool:
        attached = self._connection.exec_driver_sql("PRAGMA database_list")
        return any(row[1] == SPANS_SCHEMA for row in attached)

    def _attach(self) -> None:
        if self._file_schema is None or self._is_attached:
            return
        if self._file is not None:
            SPANS_FILES.add(self._file)
        self._connection.execute(text(f"ATTACH :file AS {SPANS_SCHEMA}"), {"file": str(self._file or ":memory:")})
        self._connection.exec_driver_sql(f"PRAGMA {SPANS_SCHEMA}.auto_vacuum = FULL")

    def _rows(self, run: str, spans: Iterable[VerdictSpan]) -> Iterator[tuple[object, ...]]:
        key, stored = run_key(run), timestamp_encoder(self._connection)
        seals = SealBuilder("", stored)
        for address, since, until, verdict in spans:
            if address == UNKNOWN_ADDRESS:
                continue
            span = (address, stored(since), key, stored(until))
            if isinstance(verdict, IpSnapshot):
                facts, sealed_text = seals.part(verdict)
                yield (*span, *facts, sealed_text, None)
            else:
                yield (*span, *(None for _ in FACT_COLUMN_NAMES), None, verdict.value)
