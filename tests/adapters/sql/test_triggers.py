"""Triggers refuse to change a sealed session, for every program."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.session_encoder import COLUMNS, SessionRows
from snapshots.adapters.sql.schema import triggers_postgresql, triggers_sqlite
from snapshots.adapters.sql.schema.guard_rules import PROTECTED
from snapshots.adapters.sql.schema.tables import SNAPSHOT_COLUMNS, session_summaries, snapshot_corrections
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.gap import Gap
from tests.strategies import DAY, HOME, NOON, observed, snapshot

SEALED = SessionAggregate.sighted("sealed", "8.8.8.8", NOON).summary().judged(snapshot())
OPEN = SessionAggregate.sighted("open", "1.1.1.1", NOON).summary().judged(Gap.NOTHING_KNOWN)


@pytest.fixture
def database(sql_database: SqlDatabase) -> SqlDatabase:
    with sql_database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in (SEALED, OPEN) if s.sighting], registered_at=NOON)
        stores.sessions.save([SEALED, OPEN], run="run", saved_at=NOON)
        stores.inventory.learn([LearnedFacts([HOME], [observed("a", NOON, asn=1)])], {}, learned_at=NOON)
    return sql_database


@pytest.fixture
def hand(database: SqlDatabase) -> Iterator[Connection]:
    """A plain connection of another program."""
    engine = create_engine(database.engine.url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def refused(hand: Connection, statement: str, why: str = "sealed", **values: object) -> None:
    with pytest.raises(DatabaseError, match=why):
        hand.execute(text(statement), values)
    hand.rollback()


def stored(connection: Connection, name: str = "sealed") -> dict[str, Any]:
    row = connection.execute(select(session_summaries).where(session_summaries.c.session_id == name)).mappings().one()
    connection.rollback()
    return dict(row)


OTHER: dict[str, object] = {
    "session_id": "another",
    "logged_id": "another",
    "source_ip_run": "mine",
    "source_ip_was": "1.1.1.1",
    "source_ip": "1.1.1.1",
    "source_port": 9,
    "source_ip_rank": 2,
    "source_ip_seen_at": NOON - DAY,
    "snapshot_asn": 1,
    "snapshot_country": "QQ",
    "snapshot_ip_type": "TOR",
    "enrichment_at": NOON + DAY,
    "snapshot_method": "inferred",
    "snapshot_source": "me",
    "snapshot_run": "mine",
    "snapshot_seal": "0" * 32,
}


def test_every_protected_column_is_tried() -> None:
    """New columns need a case here."""
    assert set(OTHER) == set(PROTECTED)


@pytest.mark.parametrize("column", PROTECTED)
def test_an_sql_update_of_a_sealed_session_is_refused(hand: Connection, column: str) -> None:
    """For each protected column."""
    before = stored(hand)

    with pytest.raises(DatabaseError, match="sealed"):
        hand.execute(
            session_summaries.update().where(session_summaries.c.session_id == "sealed").values({column: OTHER[column]})
        )
    hand.rollback()

    assert stored(hand) == before


def test_one_sealed_session_refuses_the_whole_statement(hand: Connection) -> None:
    """The open one is not changed either."""
    refused(hand, "UPDATE session_summaries SET snapshot_source = 'x'")
    assert stored(hand, "open")["snapshot_source"] is None


def test_unprotected_columns_can_be_changed(hand: Connection) -> None:
    """Counters grow, open sessions are filled, and an equal value is not a change."""
    hand.execute(text("UPDATE session_summaries SET event_count = event_count + 1, snapshot_asn = snapshot_asn"))
    hand.execute(text("UPDATE session_summaries SET source_port = 5 WHERE session_id = 'open'"))
    hand.commit()

    assert (stored(hand)["event_count"], stored(hand, "open")["source_port"]) == (2, 5)


def test_an_upsert_by_columns_is_refused_where_it_would_change_a_sealed_session(hand: Connection) -> None:
    """The usual COALESCE per column would fill NULLs with facts of another time."""
    columns = ", ".join(column.name for column in session_summaries.columns)
    fill = (
        f"INSERT INTO session_summaries ({columns})"
        f" SELECT {columns} FROM session_summaries WHERE session_id = 'sealed'"
        " ON CONFLICT (session_id) DO UPDATE"
        " SET snapshot_country = COALESCE(session_summaries.snapshot_country, 'FR')"
    )
    refused(hand, fill)
    hand.execute(text(fill.replace("'FR'", "NULL")))
    hand.rollback()


def test_a_delete_or_truncate_of_sealed_sessions_is_refused(hand: Connection) -> None:
    """Open sessions may be deleted."""
    refused(hand, "DELETE FROM session_summaries")
    refused(hand, "DELETE FROM session_summaries WHERE session_id = 'sealed'")
    if hand.dialect.name == "postgresql":
        refused(hand, "TRUNCATE session_summaries CASCADE", "append-only")
    hand.execute(text("DELETE FROM session_summaries WHERE session_id = 'open'"))
    hand.rollback()


def test_replacing_a_row_is_refused(hand: Connection) -> None:
    """INSERT OR REPLACE deletes a row without firing triggers for UPDATE or DELETE."""
    if hand.dialect.name == "postgresql":
        refused(
            hand,
            "MERGE INTO session_summaries s USING (SELECT 1) x ON s.session_id = 'sealed'"
            " WHEN MATCHED THEN UPDATE SET snapshot_asn = 1",
        )
        return
    before = stored(hand)
    offered = SEALED._replace(snapshot=snapshot(asn=1))
    row = dict(zip(COLUMNS, SessionRows("x", NOON, lambda at: at).row(offered), strict=True))
    for recursive in (0, 1):
        hand.exec_driver_sql(f"PRAGMA recursive_triggers = {recursive}")
        with pytest.raises(DatabaseError, match=r"REPLACE is refused|sealed"):
            hand.execute(session_summaries.insert().prefix_with("OR REPLACE"), row)
        hand.rollback()
    refused(hand, "UPDATE OR REPLACE session_summaries SET session_id = 'sealed' WHERE session_id = 'open'")
    hand.execute(session_summaries.insert().prefix_with("OR IGNORE"), row)
    assert stored(hand) == before


def test_our_own_upsert_does_not_change_sealed_columns(database: SqlDatabase, hand: Connection) -> None:
    """The statement itself excludes sealed snapshots, so the trigger never fires."""
    before = stored(hand)

    with database.transaction() as stores:
        stores.sessions.save([SEALED._replace(snapshot=snapshot(asn=1), event_count=7)], run="x", saved_at=NOON)

    assert stored(hand) == before | {"event_count": 7, "updated_at": NOON}


def correction(hand: Connection, **new: object) -> dict[str, object]:
    row = stored(hand)
    return {
        "session_id": "sealed",
        "reason": "it was wrong",
        "run": "r",
        "made_at": NOON,
        **{f"old_{column}": row[column] for column in SNAPSHOT_COLUMNS},
        **{f"new_{column}": new.get(column, row[column]) for column in SNAPSHOT_COLUMNS},
    }


def test_a_correction_makes_its_change_and_stays_readable(hand: Connection) -> None:
    """It allows exactly one change."""
    hand.execute(snapshot_corrections.insert(), correction(hand, snapshot_asn=1))
    hand.commit()

    assert stored(hand)["snapshot_asn"] == 1
    kept = hand.execute(select(snapshot_corrections)).mappings().one()
    assert (kept["old_snapshot_asn"], kept["new_snapshot_asn"], kept["reason"]) == (64500, 1, "it was wrong")
    hand.rollback()
    refused(hand, "UPDATE session_summaries SET snapshot_asn = 64500 WHERE session_id = 'sealed'")


def test_used_corrections_allow_no_further_change(hand: Connection) -> None:
    """After a change and its reversal, neither correction can be used again, in the same transaction or later."""
    there = correction(hand, snapshot_asn=1)
    hand.execute(snapshot_corrections.insert(), there)
    hand.commit()
    hand.execute(snapshot_corrections.insert(), correction(hand, snapshot_asn=64500))
    hand.commit()

    refused(hand, "UPDATE session_summaries SET snapshot_asn = 1 WHERE session_id = 'sealed'")
    hand.execute(snapshot_corrections.insert(), correction(hand, snapshot_asn=2))
    with pytest.raises(DatabaseError, match="sealed"):
        hand.execute(text("UPDATE session_summaries SET snapshot_asn = 64500 WHERE session_id = 'sealed'"))
    hand.rollback()


def test_a_correction_that_does_not_fit_changes_nothing(hand: Connection) -> None:
    """Wrong old values, an unknown or open session, no reason, an incomplete result."""
    fit = correction(hand, snapshot_asn=1)
    for wrong, why in (
        ({"old_snapshot_asn": 5}, "does not match"),
        ({"session_id": "unknown"}, "does not match"),
        ({"session_id": "open"}, "does not match"),
        ({"old_enrichment_at": None}, "does not match"),
        ({"old_enrichment_at": None, "old_snapshot_asn": None}, "correction_is_of_a_sealed_session|does not match"),
        ({"reason": ""}, "correction_has_a_reason"),
        ({"new_enrichment_at": None}, "snapshot_is_whole"),
    ):
        with pytest.raises(DatabaseError, match=why):
            hand.execute(snapshot_corrections.insert(), fit | wrong)
        hand.rollback()

    assert hand.execute(select(snapshot_corrections)).all() == []


def test_the_audit_cannot_be_changed(hand: Connection) -> None:
    """Nor can observations, except that they may be confirmed."""
    hand.execute(snapshot_corrections.insert(), correction(hand, snapshot_asn=1))
    hand.commit()
    for table in ("snapshot_corrections", "ip_observations"):
        refused(hand, f"DELETE FROM {table}", "append-only")
    refused(hand, "UPDATE snapshot_corrections SET reason = 'another'", "append-only")
    refused(hand, "UPDATE ip_observations SET asn = 2", "append-only|may grow")
    refused(hand, "UPDATE ip_observations SET confirmed_until = '2000-01-01 00:00:00.000000'", "append-only|may grow")
    hand.execute(text("UPDATE ip_observations SET confirmed_until = '2100-01-01 00:00:00.000000'"))


def test_a_temporary_table_does_not_bypass_the_triggers(hand: Connection) -> None:
    """On PostgreSQL a temporary table hides the real one, unless the function sets search_path."""
    if hand.dialect.name == "postgresql":
        hand.execute(text("CREATE TEMP TABLE snapshot_corrections AS SELECT * FROM public.snapshot_corrections"))
        hand.execute(text("SET session_replication_role = replica"))
    else:
        refused(hand, "INSERT INTO snapshot_door VALUES (1)", "newest correction only")
    refused(hand, "UPDATE session_summaries SET snapshot_asn = 1 WHERE session_id = 'sealed'")


def test_a_pruning_deletes_and_counts_sessions_that_ended_before_its_date(hand: Connection) -> None:
    """Deletion requires a row in snapshot_prunings; a plain DELETE is refused."""
    prune = (
        "INSERT INTO snapshot_prunings (before, run, made_at, sessions, events) VALUES (:before, 'r', :before, :n, :e)"
    )
    early, late = "2026-03-01 12:00:00.000000", "2026-03-01 12:00:00.000001"
    if hand.dialect.name == "postgresql":
        early, late = early + "+00", late + "+00"
    refused(hand, prune, "begins with", before=late, n=5, e=2)
    refused(hand, prune, "begins with", before=late, n=-1, e=0)
    hand.execute(text(prune), {"before": early, "n": -1, "e": 0})
    hand.commit()
    assert stored(hand)["session_id"] == "sealed"

    hand.execute(text(prune), {"before": late, "n": -1, "e": 2})
    hand.commit()

    assert hand.execute(select(session_summaries.c.session_id)).all() == []
    assert hand.execute(text("SELECT sessions FROM snapshot_prunings ORDER BY id")).scalars().all() == [0, 2]
    hand.rollback()
    refused(hand, "UPDATE snapshot_prunings SET sessions = -1", "append-only")
    refused(hand, "DELETE FROM snapshot_prunings", "append-only")


def test_a_change_of_the_guard_needs_a_new_version_of_the_tables() -> None:
    """Verify compares the triggers with those of this program; only a migration recreates them."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        sqlite = [triggers_sqlite.triggers(connection, is_adopted=is_adopted) for is_adopted in (False, True)]
    postgresql = [
        [*triggers_postgresql.triggers(is_adopted=is_adopted), *triggers_postgresql.functions(is_adopted=is_adopted)]
        for is_adopted in (False, True)
    ]
    made = sha256(repr((triggers_sqlite.TABLES, sqlite, postgresql)).encode()).hexdigest()[:16]

    assert made == "b56ce5382fe25e29", "the guard changed: add a migration, then correct this line"
