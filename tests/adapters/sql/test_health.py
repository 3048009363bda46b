"""Whether a server can bear more work."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.health import HealthLimits, SqlHealth

NEVER_MIND = HealthLimits(replication_lag=None, lock_waits=None, transaction_age=None)


def test_a_server_without_work_is_well(sql_database: SqlDatabase) -> None:
    """And a file always is."""
    sql_database.migrate()

    assert SqlHealth(sql_database, HealthLimits()).trouble() == ""


def test_an_old_transaction_is_told(postgresql: str) -> None:
    """It keeps the server from cleaning up what a backfill leaves."""
    database = SqlDatabase(postgresql)
    database.migrate()
    limits = HealthLimits(transaction_age=timedelta(0))
    with database.engine.connect() as other:
        other.execute(text("SELECT 1"))

        trouble = SqlHealth(database, limits).trouble()
        never_mind = SqlHealth(database, NEVER_MIND).trouble()

    database.close()
    assert trouble.startswith("a transaction is 0 s old, more than 0 s")
    assert never_mind == ""


@pytest.mark.parametrize(
    ("vitals", "told"),
    [
        ("'31 seconds'::interval, 0, NULL::interval", "a replica is 31 s behind, more than 30 s"),
        ("'30 seconds'::interval, 5, NULL::interval", ""),
        ("NULL::interval, 6, NULL::interval", "6 sessions wait for locks, more than 5"),
    ],
)
def test_replicas_and_locks_are_told(postgresql: str, monkeypatch: pytest.MonkeyPatch, vitals: str, told: str) -> None:
    """What the views would say is said here in their place."""
    database = SqlDatabase(postgresql)
    database.migrate()
    monkeypatch.setattr("snapshots.adapters.sql.health._VITALS", f"SELECT {vitals}")

    assert SqlHealth(database, HealthLimits()).trouble() == told
    database.close()
