"""
The sessions that nobody judged, page by page in the order in which their rows lie.

A page of them is rewritten as soon as it was read. In the order of their names, which is none in which they were
written, that is another block of the table for each of them, twice.
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
from snapshots.app.ports.open_sessions import KeyRange

ROW_ID: ColumnElement[Any] = literal_column("session_summaries.rowid")
TUPLE_ID: ColumnElement[Any] = literal_column("session_summaries.ctid")

MIN_ROW_ID = "(0,0)"

AT = "@"
"""Before the place of a row in PostgreSQL's table, which is another kind than its name."""

ROWS_A_BLOCK = 4
"""How many rows are expected in a block of PostgreSQL's table of which it has no statistics yet."""

MANY = 20_000
"""So many rows are worth a walk through the whole table, and longer counting would be too."""

SLACK = 1.05
"""By how much more is read at once, because some blocks hold fewer rows than most."""

SMALLEST_WALK = 16
"""Blocks of a table that is too small for any of this to matter."""

CAN_SEEK_BLOCKS = (14,)
"""PostgreSQL's version from which on a part of a table can be read by where its rows lie."""


class RowPage(NamedTuple):
    """
    A page of rows, by where they lie.

    Attributes:
        condition: The condition for them.
        place: The column of their places.
        last: The place of the last of them; "" if there are none.
        size: How many there are.
    """

    condition: ColumnElement[bool] | TextClause
    place: ColumnElement[Any]
    last: str
    size: int


def _block(place: str) -> int:
    return int(place.removeprefix(AT)[1:].partition(",")[0])


class UnjudgedRows:
    """Where the rows lie of sessions that nobody judged."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._until: str = ""

    def limit_to(self, span: KeyRange) -> None:
        """Let there be no rows behind a span."""
        self._until = span.until

    @property
    def is_none(self) -> bool:
        """Whether there are none, as the index over them tells."""
        if self._has_index_of_rows:
            return False  # a page is read as fast
        return self._count(up_to=1) == 0

    def page(self, after: str, *, run: str, limit: int) -> RowPage | None:
        """Return some rows behind a place; None if there are so few that their names are a better order."""
        if has_rowids(self._connection):
            behind, query = row_number_at(after), _END_BY_INDEX if self._has_index_of_rows else _END
            last, size = self._connection.execute(query, {"run": run, "behind": behind, "limit": limit}).one()
            if not size:
                return RowPage(false(), ROW_ID, "", 0)
            return RowPage(_ROWS_BETWEEN.bindparams(run=run, behind=behind, last=last), ROW_ID, position_of(last), size)
        if not self._walks(after):
            return None
        before = after.removeprefix(AT) or MIN_ROW_ID
        end, size = self._end_behind(before, run, limit)
        if not size:
            return RowPage(false(), TUPLE_ID, "", 0)
        return RowPage(_TUPLES_BETWEEN.bindparams(run=run, behind=before, last=end), TUPLE_ID, f"{AT}{end}", size)

    def count(self, *, run: str) -> int:
        """Count them, but for those that the run quarantined."""
        if not has_rowids(self._connection) and self._count(up_to=1) == 0:
            return 0
        query = _ALL_BY_INDEX if self._has_index_of_rows else _ALL
        return int(self._connection.execute(query, {"run": run}).scalar_one())

    def key_ranges(self, count: int, *, after: str = "") -> Sequence[KeyRange]:
        """Return spans of PostgreSQL's table, by its blocks; one where the rows come in another order."""
        if has_rowids(self._connection) or not self._walks(after):
            return [KeyRange(after, "")]
        first = _block(after) + 1 if after else 0
        ends = sorted({first + (self._blocks - first) * number // count for number in range(1, count)} - {first})
        places = [after, *(f"{AT}({block},0)" for block in ends), ""]
        return [KeyRange(after, until) for after, until in pairwise(places)]

    @cached_property
    def _has_index_of_rows(self) -> bool:
        """Whether there is SQLite's index over them."""
        if not has_rowids(self._connection):
            return False
        query = text("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = :name")
        return self._connection.execute(query, {"name": UNJUDGED_ROWS_INDEX}).first() is not None

    def _walks(self, after: str) -> bool:
        """Whether to go through the blocks of the table: where many hold such rows, that is far less to read."""
        if (self._connection.dialect.server_version_info or ()) < CAN_SEEK_BLOCKS or self._has_partitions:
            return False
        if after or self._until:
            return (after or self._until).startswith(AT)
        enough = min(self._blocks // ROWS_A_BLOCK + 1, MANY)
        return self._count(up_to=enough) == enough

    @cached_property
    def _has_partitions(self) -> bool:
        """Whether rows lie in several tables, so that a place is one in each of them."""
        return are_partitioned(self._connection)

    def _count(self, *, up_to: int) -> int:
        with prefer_bitmap_scans(self._connection):
            return int(self._connection.execute(_COUNT.bindparams(enough=up_to)).scalar_one())

    @cached_property
    def _blocks(self) -> int:
        size = "pg_relation_size('session_summaries') / current_setting('block_size')::integer"
        return int(self._connection.execute(text(f"SELECT {size}")).scalar_one())

    @cached_property
    def _rows_a_block(self) -> float:
        """How many rows lie in a block, as the statistics tell."""
        told = "SELECT reltuples / nullif(relpages, 0) FROM pg_class WHERE oid = 'session_summaries'::regclass"
        return max(self._connection.execute(text(told)).scalar() or ROWS_A_BLOCK, 1.0)

    def _end_behind(self, place: str, run: str, limit: int) -> tuple[str, int]:
        """Return where the last of some rows behind a place lies, and how many they are."""
        block, last, size = _block(place), "", 0
        more = max(int(limit * SLACK / self._rows_a_block) + 1, SMALLEST_WALK)
        end = _block(self._until) if self._until else self._blocks + 1
        while size < limit and block < end:
            block = min(block + more, end)
            asked = {"run": run, "behind": place, "before": f"({block},0)", "limit": limit - size}
            found, count = self._connection.execute(_END_BEHIND, asked).one()
            last, size, place = found or last, size + count, f"({block},0)"
            more = min(max(int((limit - size) * more / max(count, 1)) + 1, SMALLEST_WALK), more * 2)
        return last, size


# Where nothing was quarantined no name is asked for: an index over rows has none.
_NOT_SET_ASIDE = (
    "(NOT EXISTS (SELECT 1 FROM quarantined_sessions WHERE run = :run)"
    " OR {row}session_id NOT IN (SELECT session_id FROM quarantined_sessions WHERE run = :run))"
)
_IS_OPEN, _IS_OPEN_IN_PAGE = (
    f"{UNJUDGED.format(row=row)} AND {_NOT_SET_ASIDE.format(row=row)}" for row in ("", "session_summaries.")
)

# Whoever asked SQLite for statistics before the first backfill would have it go through the whole table each time.
_BY_INDEX = f"session_summaries INDEXED BY {UNJUDGED_ROWS_INDEX}"
_END, _END_BY_INDEX = (
    text(
        f"SELECT max(rowid), count(*) FROM (SELECT rowid FROM {table}"  # noqa: S608 - put together of our constants alone
        f" WHERE {_IS_OPEN} AND rowid > :behind ORDER BY rowid LIMIT :limit)"
    )
    for table in ("session_summaries NOT INDEXED", _BY_INDEX)
)
_ALL, _ALL_BY_INDEX = (
    text(f"SELECT count(*) FROM {table} WHERE {_IS_OPEN}")  # noqa: S608 - put together of our constants alone
    for table in ("session_summaries", _BY_INDEX)
)
_ROWS_BETWEEN = text(f"session_summaries.rowid > :behind AND session_summaries.rowid <= :last AND {_IS_OPEN_IN_PAGE}")
_END_BEHIND = text(
    "SELECT CAST(max(place) AS text), count(*) FROM ("  # noqa: S608 - put together of our constants alone
    f"SELECT ctid AS place FROM session_summaries WHERE {_IS_OPEN}"
    " AND ctid > CAST(:behind AS tid) AND ctid < CAST(:before AS tid) ORDER BY ctid LIMIT :limit"
    ") AS found"
)
_TUPLES_BETWEEN = text(
    "session_summaries.ctid > CAST(:behind AS tid) AND session_summaries.ctid <= CAST(:last AS tid)"
    f" AND {_IS_OPEN_IN_PAGE}"
)
_COUNT = text(
    "SELECT count(*) FROM (SELECT session_id FROM session_summaries"  # noqa: S608 - put together of our constants alone
    f" WHERE {UNJUDGED.format(row='')} LIMIT :enough) AS unjudged"
)
