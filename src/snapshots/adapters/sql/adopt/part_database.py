"""Read and fill the small database of one Spark partition."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Boolean, LargeBinary, select

from snapshots.adapters.sql.adopt.copying import copy_tables
from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.fingerprints import SqlFingerprints, is_full, packed, unpacked
from snapshots.adapters.sql.schema.tables import (
    fact_sources,
    ip_observations,
    known_addresses,
    known_networks,
    session_summaries,
)

FACTS = (known_addresses, known_networks, ip_observations, fact_sources)
"""Tables of facts about addresses."""

PAGE = 5_000


def session_columns() -> Mapping[str, type]:
    """Return the columns of a session's row with their Python types."""
    return {column.name: _kind(column.type) for column in session_summaries.columns}


def _kind(of: Any) -> type:
    if isinstance(of, UtcDateTime):
        return datetime
    if isinstance(of, LargeBinary):
        return bytes
    return bool if isinstance(of, Boolean) else of.python_type


def rows_in(database: SqlDatabase) -> Iterator[Mapping[str, Any]]:
    """Yield the row of every session by id, each with all fingerprints."""
    with database.reading() as connection:
        query = select(session_summaries).order_by(session_summaries.c.session_id)
        for row in connection.execute(query, execution_options={"yield_per": PAGE}).mappings():
            held = dict(row)
            if is_full(row["event_fingerprints"]):
                marks = unpacked(row["event_fingerprints"]).union(SqlFingerprints(connection).of(row["session_id"]))
                held["event_fingerprints"] = packed(marks)
            yield held


def put_rows(database: SqlDatabase, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert session rows from another database of this program, and their addresses."""
    following = iter(rows)
    while page := [dict(row) for row in islice(following, PAGE)]:
        with database.transaction() as stores:
            connection = stores.connection
            addresses = {
                row["source_ip"]: {
                    "ip_address": row["source_ip"],
                    "first_seen": row["first_event_at"],
                    "last_seen": row["last_event_at"],
                    "created_at": row["created_at"],
                    "updated_at": row["updated_at"],
                }
                for row in page
                if row["source_ip"] is not None
            }
            if addresses:
                known = insert(connection, known_addresses).on_conflict_do_nothing()
                connection.execute(known, list(addresses.values()))
            connection.execute(session_summaries.insert(), page)


def create_part_database(target: SqlDatabase, facts: SqlDatabase | None) -> None:
    """
    Create the tables of a database without sessions, and copy facts about addresses from another one.

    Indexes that only queries need are omitted.

    Raises:
        StoreUnavailable: A database failed, or the other one was created by another program.
    """
    target.migrate()
    target.drop_query_indexes()
    if facts is not None:
        copy_tables(facts, target, FACTS)
