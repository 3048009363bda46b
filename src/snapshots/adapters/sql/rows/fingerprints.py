"""Store fingerprints of counted events: the smallest in the session's row, the others in a table."""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from sys import byteorder

from sqlalchemy import Connection, func, select, true

from snapshots.adapters.sql.connection.dialects.planner import prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import insert, select_texts
from snapshots.adapters.sql.connection.staging import fill_staging, pack_rows, staged_rows, staging_table_for
from snapshots.adapters.sql.schema.tables import session_fingerprints
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary

LARGEST_IN_ROW = 128
"""Fingerprints in a row. Most sessions have fewer events, and each new event rewrites the row."""

PAGE = 50_000
"""Fingerprints per lookup query."""

STAGING = staging_table_for(session_fingerprints)

_SIGN = 1 << 63
"""Offset between unsigned and signed 64-bit numbers: databases have only signed ones."""


class SqlFingerprints:
    """
    Rows of `session_fingerprints`.

    A session's row holds its smallest fingerprints, the table all others. The row therefore does not depend on the
    order of events, and events are added without reading the stored ones.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = session_fingerprints.c

    def among(
        self, sessions: Mapping[str, str], events: Mapping[str, Collection[int]]
    ) -> Mapping[str, Collection[int]]:
        """
        Return the given events that are in the table, by session.

        Args:
            sessions: Names of long sessions, each with its id in the log.
            events: Fingerprints of events, by the id in the log.
        """
        pairs = ((name, _signed(mark)) for name, logged_id in sessions.items() for mark in events.get(logged_id, ()))
        found: defaultdict[str, set[int]] = defaultdict(set)
        while page := sorted(islice(pairs, PAGE)):
            fill_staging(self._connection, STAGING, pack_rows(self._connection, page))
            wanted = staged_rows(STAGING, len(page)).c
            query = select(self._table.session_id, self._table.fingerprint).where(
                self._table.session_id == wanted.session_id, self._table.fingerprint == wanted.fingerprint
            )
            with prefer_index_scans(self._connection):
                for name, mark in self._connection.execute(query):
                    found[name].add(_unsigned(mark))
        return found

    def count(self, names: Collection[str]) -> Mapping[str, int]:
        """Count fingerprints in the table by session; sessions without any are absent."""
        own = self._table.session_id
        query = select(own, func.count()).where(own.in_(select_texts(self._connection, names))).group_by(own)
        return {row.session_id: row[1] for row in self._connection.execute(query)}

    def of(self, session_id: str) -> Iterator[int]:
        """Yield the fingerprints of a session that are in the table."""
        query = select(self._table.fingerprint).where(self._table.session_id == session_id)
        return map(_unsigned, self._connection.execute(query).scalars())

    def add(self, sessions: Collection[SessionSummary | NewSession]) -> None:
        """Insert the fingerprints that do not fit into the rows of their sessions; existing ones are kept."""
        rows = sorted(
            (session.session_id, _signed(mark))
            for session in sessions
            if session.event_count > LARGEST_IN_ROW and len(session.fingerprints) > LARGEST_IN_ROW
            for mark in sorted(session.fingerprints)[LARGEST_IN_ROW:]
        )
        if rows:
            fill_staging(self._connection, STAGING, pack_rows(self._connection, rows))
            statement = insert(self._connection, session_fingerprints)
            columns = session_fingerprints.columns.keys()
            self._connection.execute(
                statement.from_select(columns, select(STAGING).where(true())).on_conflict_do_nothing()
            )


def packed(fingerprints: Collection[int]) -> bytes:
    """Return fingerprints as 8 bytes each, ascending, the most significant byte first."""
    numbers = array("Q", sorted(fingerprints))
    if byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()


def packed_in_row(fingerprints: Collection[int]) -> bytes:
    """Return the packed fingerprints for a row, at most `LARGEST_IN_ROW`."""
    return packed(fingerprints)[: 8 * LARGEST_IN_ROW]


def unpacked(data: bytes) -> frozenset[int]:
    """Return packed fingerprints as a set."""
    numbers = array("Q", data)
    if byteorder == "little":
        numbers.byteswap()
    return frozenset(numbers)


def is_full(data: bytes | None) -> bool:
    """Whether a row is full, so that the table may hold more fingerprints of its session."""
    return data is not None and len(data) >= 8 * LARGEST_IN_ROW


def _signed(mark: int) -> int:
    return mark - 2 * _SIGN if mark >= _SIGN else mark


def _unsigned(mark: int) -> int:
    return mark + 2 * _SIGN if mark < 0 else mark
