"""Two loaders and a writer of snapshots run concurrently, SNAPSHOTS_RACES times."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import create_engine, select, text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.gap import Gap
from tests.strategies import NOON, snapshot

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("SNAPSHOTS_RACES", "4"))
SESSIONS = 60
EVENTS = 4


def load(url: str, round_: int, part: int) -> None:
    """Merge one part of every session's events, as a load does, in an order of its own."""
    database = SqlDatabase(url)
    names = [f"{round_}-{n:02}" for n in range(SESSIONS)]
    for name in names if part % 2 else names[::-1]:
        event = SessionEvent(part, NOON + timedelta(seconds=part), EventKind.COMMAND, IpAddress("8.8.8.8"))
        offered = SessionAggregate.of(name, [event]).summary()
        offered = offered.judged(snapshot(asn=part + 1) if part % 2 else Gap.NOTHING_KNOWN)
        with database.transaction() as stores:
            stores.inventory.register_addresses([s for s in [offered.sighting] if s], registered_at=NOON)
            held = {s.session_id: s for s in stores.sessions.find_summaries({name: ()}).get(name, ())}
            kept = held[name].merge(offered) if name in held else offered
            stores.sessions.save([kept], run=f"load-{part}", saved_at=NOON)
    database.close()


def fill(url: str, round_: int) -> None:
    """Seal what is open with a statement of its own, as another program would, page by page."""
    engine = create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    page = "SELECT session_id FROM session_summaries WHERE session_id LIKE :like AND enrichment_at IS NULL"
    page += " ORDER BY session_id LIMIT 20" + (" FOR UPDATE" if engine.dialect.name == "postgresql" else "")
    for _ in range(20):
        with engine.begin() as connection:
            names = connection.execute(text(page), {"like": f"{round_}-%"}).scalars().all()
            for name in names:
                connection.execute(
                    text(
                        "UPDATE session_summaries SET snapshot_asn = 9, snapshot_method = 'asof',"
                        " snapshot_source = 'x', snapshot_gap = NULL, enrichment_at = '2026-03-01 12:00:00.000000'"
                        " WHERE session_id = :name AND enrichment_at IS NULL AND source_ip IS NOT NULL"
                    ),
                    {"name": name},
                )
    engine.dispose()


def test_no_deadlock_no_lost_event_and_no_torn_snapshot(sql_url: str) -> None:
    """Transactions wait for each other; the first seal stays."""
    database = SqlDatabase(sql_url)
    database.migrate()
    for round_ in range(ROUNDS):
        jobs = [partial(load, sql_url, round_, part) for part in range(EVENTS)]
        jobs.append(partial(fill, sql_url, round_))
        with ThreadPoolExecutor(len(jobs)) as pool:
            for done in [pool.submit(job) for job in jobs]:
                done.result()

    with database.reading() as connection:
        rows = connection.execute(select(session_summaries)).mappings().all()
    assert len(rows) == ROUNDS * SESSIONS
    assert {row["event_count"] for row in rows} == {EVENTS}
    runs = {1: None, 9: None, 2: "load-1", 4: "load-3"}
    assert all((row["enrichment_at"] is None) == (row["snapshot_asn"] is None) for row in rows)
    assert all(row["snapshot_run"] == runs[row["snapshot_asn"]] for row in rows if row["snapshot_asn"])
    database.close()
