"""
Pages of never judged sessions in physical order (rowid, ctid).

Each page is updated right after it is read. Session ids are random, so paging by id would touch a different block for
every row, once to read and once to write.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, TextClause, false, literal_column, text

from snapshots.adapters.sql.connection.dialects.planner import prefer_bitmap_scans
from snapshots.adapters.sql.connection.dialects.storage import are_partitioned, has_rowids
from snapshots.adapters.sql.connection.keyset import position_of, row_number_at
from snapshots.adapters.sql.schema.tables import UNJUDGED, UNJUDGED_ROWS_INDEX
from snapshots.app.ports.key_range import WHOLE, KeyRange

ROW_ID: ColumnElement[Any] = literal_column("session_summaries.rowid")
TUPLE_ID: ColumnElement[Any] = literal_column("session_summaries.ctid")

MIN_ROW_ID = "(0,0)"

CTID_PREFIX = "@"
"""Prefix of a position that is a ctid on PostgreSQL, and not a session id."""

DEFAULT_ROWS_PER_BLOCK = 4
"""Assumed rows per block of a PostgreSQL table without statistics."""

MIN_SCANNED_ROWS = 20_000
"""Number of never judged rows from which a scan of the whole table pays. Counting stops here."""

READ_MARGIN = 1.05
"""Factor for the number of blocks of a page, because some blocks hold fewer rows than the average."""

MIN_BLOCKS = 16
"""Minimum number of blocks that are read at once."""

TID_RANGE_SCAN_VERSION = (14,)
"""PostgreSQL version from which TID range scans exist."""


class RowPage(NamedTuple):
    """
    A page of rows, in physical order.

    Attributes:
        condition: WHERE condition of the page.
        place: The column of the positions, rowid or ctid.
        last: Position of the last row; "" if there are no more rows.
        size: Number of rows.
    """

    condition: ColumnElement[bool] | TextClause
    place: ColumnElement[Any]
    last: str
    size: int


def _block(place: str) -> int:
    return int(place.removeprefix(CTID_PREFIX)[1:].partition(",")[0])


class UnjudgedRows:
    """The never judged sessions, in physical order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def is_empty(self) -> bool:
        """Whether there is no such session, by the index; False where a page costs no more than this check."""
        if self._has_index_of_rows:
            return False
        return self._count(up_to=1) == 0

    @cached_property
    def have_physical_order(self) -> bool:
        """Whether rows have a number, or TID range scans and no partitions, in which a ctid would not be unique."""
        if has_rowids(self._connection):
            return True
        return (self._connection.dialect.server_version_info or ()) >= TID_RANGE_SCAN_VERSION and not are_partitioned(
            self._connection
        )

    def page(self, within: KeyRange, *, run: str, limit: int) -> RowPage | None:
        """Return the first page of a range; None if there are so few rows that paging by id is faster."""
        if has_rowids(self._connection):
            position, query = row_number_at(within.after), _END_BY_INDEX if self._has_index_of_rows else _END
            last, size = self._connection.execute(query, {"run": run, "after": position, "limit": limit}).one()
            if not size:
                return RowPage(false(), ROW_ID, "", 0)
            return RowPage(
                _ROWS_BETWEEN.bindparams(run=run, after=position, last=last), ROW_ID, position_of(last), size
            )
        if not self._scans_blocks(within):
            return None
        before = within.after.removeprefix(CTID_PREFIX) or MIN_ROW_ID
        end, size = self._end_after(before, within.until, run, limit)
        if not size:
            return RowPage(false(), TUPLE_ID, "", 0)
        return RowPage(
            _TUPLES_BETWEEN.bindparams(run=run, after=before, last=end), TUPLE_ID, f"{CTID_PREFIX}{end}", size
        )

    def count(self, *, run: str) -> int:
        """Count them, without those that the run quarantined."""
        if not has_rowids(self._connection) and self._count(up_to=1) == 0:
            return 0
        query = _ALL_BY_INDEX if self._has_index_of_rows else _ALL
        return int(self._connection.execute(query, {"run": run}).scalar_one())

    def key_ranges(self, count: int) -> Sequence[KeyRange]:
        """Return ranges of the blocks that the PostgreSQL table has now; one range if pages do not follow blocks."""
        if has_rowids(self._connection) or not self._scans_blocks(WHOLE):
            return [WHOLE]
        ends = sorted({self._blocks * number // count for number in range(1, count + 1)} - {0})
        places = ["", *(f"{CTID_PREFIX}({block},0)" for block in ends)]
        return [KeyRange(after, until) for after, until in pairwise(places)]

    @cached_property
    def _has_index_of_rows(self) -> bool:
        """Whether SQLite has the partial index over them."""
        if not has_rowids(self._connection):
            return False
        query = text("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = :name")
        return self._connection.execute(query, {"name": UNJUDGED_ROWS_INDEX}).first() is not None

    def _scans_blocks(self, within: KeyRange) -> bool:
        """Whether to scan the blocks of the table, which reads far less if many of them hold such rows."""
        if not self.have_physical_order:
            return False
        if within != WHOLE:
            return (within.after or within.until).startswith(CTID_PREFIX)
        enough = min(self._blocks // DEFAULT_ROWS_PER_BLOCK + 1, MIN_SCANNED_ROWS)
        return self._count(up_to=enough) == enough

    def _count(self, *, up_to: int) -> int:
        with prefer_bitmap_scans(self._connection):
            return int(self._connection.execute(_COUNT.bindparams(enough=up_to)).scalar_one())

    @cached_property
    def _blocks(self) -> int:
        size = "pg_relation_size('session_summaries') / current_setting('block_size')::integer"
        return int(self._connection.execute(text(f"SELECT {size}")).scalar_one())

    @cached_property
    def _rows_per_block(self) -> float:
        """Return the average number of rows per block, from the statistics."""
        statistics = "SELECT reltuples / nullif(relpages, 0) FROM pg_class WHERE oid = 'session_summaries'::regclass"
        return max(self._connection.execute(text(statistics)).scalar() or DEFAULT_ROWS_PER_BLOCK, 1.0)

    def _end_after(self, place: str, until: str, run: str, limit: int) -> tuple[str, int]:
        """Return the ctid of the last row of the page after a ctid, and the number of its rows."""
        block, last, size = _block(place), "", 0
        more = max(int(limit * READ_MARGIN / self._rows_per_block) + 1, MIN_BLOCKS)
        end = _block(until) if until else self._blocks + 1
        while size < limit and block < end:
            block = min(block + more, end)
            parameters = {"run": run, "after": place, "before": f"({block},0)", "limit": limit - size}
            found, count = self._connection.execute(_END_AFTER, parameters).one()
            last, size, place = found or last, size + count, f"({block},0)"
            more = min(max(int((limit - size) * more / max(count, 1)) + 1, MIN_BLOCKS), more * 2)
        return last, size


# Without quarantined sessions no session_id is read: the index over rowids does not hold it.
_NOT_QUARANTINED = (
    "(NOT EXISTS (SELECT 1 FROM quarantined_sessions WHERE run = :run)"
    " OR {row}session_id NOT IN (SELECT session_id FROM quarantined_sessions WHERE run = :run))"
)
_IS_OPEN, _IS_OPEN_IN_PAGE = (
    f"{UNJUDGED.format(row=row)} AND {_NOT_QUARANTINED.format(row=row)}" for row in ("", "session_summaries.")
)

# With statistics from before the first backfill, SQLite would scan the whole table for each page.
_BY_INDEX = f"session_summaries INDEXED BY {UNJUDGED_ROWS_INDEX}"
_END, _END_BY_INDEX = (
    text(
        f"SELECT max(rowid), count(*) FROM (SELECT rowid FROM {table}"  # noqa: S608 - built from constants only
        f" WHERE {_IS_OPEN} AND rowid > :after ORDER BY rowid LIMIT :limit)"
    )
    for table in ("session_summaries NOT INDEXED", _BY_INDEX)
)
_ALL, _ALL_BY_INDEX = (
    text(f"SELECT count(*) FROM {table} WHERE {_IS_OPEN}")  # noqa: S608 - built from constants only
    for table in ("session_summaries", _BY_INDEX)
)
_ROWS_BETWEEN = text(f"session_summaries.rowid > :after AND session_summaries.rowid <= :last AND {_IS_OPEN_IN_PAGE}")
_END_AFTER = text(
    "SELECT CAST(max(place) AS text), count(*) FROM ("  # noqa: S608 - built from constants only
    f"SELECT ctid AS place FROM session_summaries WHERE {_IS_OPEN}"
    " AND ctid > CAST(:after AS tid) AND ctid < CAST(:before AS tid) ORDER BY ctid LIMIT :limit"
    ") AS found"
)
_TUPLES_BETWEEN = text(
    "session_summaries.ctid > CAST(:after AS tid) AND session_summaries.ctid <= CAST(:last AS tid)"
    f" AND {_IS_OPEN_IN_PAGE}"
)
_COUNT = text(
    "SELECT count(*) FROM (SELECT session_id FROM session_summaries"  # noqa: S608 - built from constants only
    f" WHERE {UNJUDGED.format(row='')} LIMIT :enough) AS unjudged"
)
