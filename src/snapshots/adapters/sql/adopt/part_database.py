"""Read and fill the small database of one Spark partition."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Boolean, LargeBinary, select

from snapshots.adapters.sql.adopt.copying import copy_tables
from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.fingerprints import SqlFingerprints, is_full, packed, unpacked
from snapshots.adapters.sql.rows.row_decoder import summary_in
from snapshots.adapters.sql.rows.session_logins import SqlSessionLogins
from snapshots.adapters.sql.schema.tables import (
    fact_sources,
    ip_observations,
    known_addresses,
    known_networks,
    session_summaries,
)
from snapshots.domain.session.logins import LoginCounts, StoredLogin
from snapshots.domain.session.summary import SessionSummary

FACTS = (known_addresses, known_networks, ip_observations, fact_sources)
"""Tables of facts about addresses."""

PAGE = 5_000

LOGINS = "login_counts"
"""The column of a row with the login attempts of the session, by user name and password."""


def session_columns() -> Mapping[str, type]:
    """Return the columns of a session's row with their Python types."""
    return {column.name: _kind(column.type) for column in session_summaries.columns} | {LOGINS: str}


def summary_of(row: Mapping[str, Any]) -> SessionSummary:
    """Return the session in a row of `rows_in`; its login attempts are new to the database that stores it."""
    return summary_in(row)._replace(new_logins=_logins_in(row[LOGINS]))


def _logins_in(text: str | None) -> LoginCounts:
    return tuple((credentials, attempts, successes) for credentials, attempts, successes in json.loads(text or "[]"))


def _logins_text(found: Sequence[StoredLogin]) -> str:
    """Return login attempts as JSON, in the form of `LoginCounts`."""
    texts = ("" if each.is_others else json.dumps(each[:3]) for each in found)
    return json.dumps([(text, each.attempts, each.successes) for text, each in zip(texts, found, strict=True)])


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
        for page in connection.execute(query, execution_options={"yield_per": PAGE}).mappings().partitions(PAGE):
            logins = SqlSessionLogins(connection).of([row["session_id"] for row in page])
            for row in page:
                held = {**row, LOGINS: _logins_text(logins.get(row["session_id"], ()))}
                if is_full(row["event_fingerprints"]):
                    marks = unpacked(row["event_fingerprints"]).union(SqlFingerprints(connection).of(row["session_id"]))
                    held["event_fingerprints"] = packed(marks)
                yield held


def put_rows(database: SqlDatabase, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert session rows from another database of this program, and their addresses."""
    following = iter(rows)
    while page := [dict(row) for row in islice(following, PAGE)]:
        logins = [_StoredElsewhere(row["session_id"], _logins_in(row.pop(LOGINS))) for row in page]
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
            SqlSessionLogins(connection).add(logins)


class _StoredElsewhere(NamedTuple):
    """A session from another database of this program, which has bounded its login attempts."""

    session_id: str
    new_logins: LoginCounts
    fingerprint_count: int = 0


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
