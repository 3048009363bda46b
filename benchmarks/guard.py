"""
Measure the cost of the guard.

    .venv/bin/python benchmarks/guard.py [--rows 50000] [--pairs 9] [--db URL]

Each pair stores the same sessions in the same way once with the guard's triggers and once without, one after the
other, in an order that alternates from pair to pair: new sessions, and an upsert over stored ones, half of them
sealed. It prints the median of the ratios with and without, and their spread; where the spread is
larger than the effect, a note is printed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import triggers
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BATCH = 10_000


def main() -> None:
    arguments = argparse.ArgumentParser(description="What the guard costs.")
    arguments.add_argument("--rows", type=int, default=50_000)
    arguments.add_argument("--pairs", type=int, default=9)
    arguments.add_argument("--db", help="an empty PostgreSQL database; without it a SQLite file")
    chosen = arguments.parse_args()
    sessions = made(chosen.rows)
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
        database = SqlDatabase(chosen.db or f"sqlite:///{Path(folder)}/guard.db")
        database.migrate()
        ratios: dict[str, list[float]] = {"insert new sessions": [], "upsert, half of them sealed": []}
        for pair in range(chosen.pairs):
            seconds = {}
            for guarded in (True, False) if pair % 2 else (False, True):
                seconds[guarded] = measured(database, sessions, guarded=guarded)
            for step, name in enumerate(ratios):
                ratios[name].append(seconds[True][step] / seconds[False][step])
        database.close()
    show(chosen.rows, ratios)


def made(rows: int) -> list[SessionSummary]:
    """Return sessions, every second of them sealed."""
    snapshot = IpSnapshot(
        asn=64500, country="DE", ip_type=None, enrichment_at=NOON, method=Method.ASOF, source="a@2026-03-01"
    )
    found = []
    for number in range(rows):
        seen_at = NOON + timedelta(seconds=number)
        summary = SessionAggregate.sighted(f"{number:012x}", f"11.0.{number % 200}.1", seen_at).summary()
        found.append(summary.judged(Gap.NOTHING_KNOWN if number % 2 else snapshot))
    return found


def measured(database: SqlDatabase, sessions: Sequence[SessionSummary], *, guarded: bool) -> tuple[float, float]:
    """Return the seconds of storing all sessions in an empty table, and of storing them again."""
    with database.engine.begin() as connection:
        triggers.remove(connection)
        connection.execute(text("DELETE FROM session_summaries"))
        if guarded:
            triggers.install(connection)
    first = stored(database, sessions)
    return first, stored(database, [replace(session, event_count=2) for session in sessions])


def stored(database: SqlDatabase, sessions: Sequence[SessionSummary]) -> float:
    began = time.perf_counter()
    for start in range(0, len(sessions), BATCH):
        batch = sessions[start : start + BATCH]
        with database.transaction() as stores:
            stores.inventory.register_addresses([s.sighting for s in batch if s.sighting], registered_at=NOON)
            stores.sessions.save(batch, run="run", saved_at=NOON)
    return time.perf_counter() - began


def show(rows: int, ratios: dict[str, list[float]]) -> None:
    print(f"{rows:,} sessions, seconds with the guard by seconds without, {len(next(iter(ratios.values())))} pairs")
    print(f"{'':32}{'median':>8}{'spread':>16}")
    for name, found in ratios.items():
        median, low, high = statistics.median(found), min(found), max(found)
        remark = "  the spread is larger than the effect" if high - low > abs(median - 1) else ""
        print(f"{name:32}{median:8.3f}{f'{low:.2f}..{high:.2f}':>16}{remark}")


if __name__ == "__main__":
    main()
