"""Detecting an overloaded server."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.health import HealthLimits, SqlHealth

NEVER_MIND = HealthLimits(replication_lag=None, lock_waits=None, transaction_age=None)


def test_an_idle_server_is_healthy(sql_database: SqlDatabase) -> None:
    """A SQLite file always is."""
    sql_database.migrate()

    assert SqlHealth(sql_database, HealthLimits()).trouble() == ""


def test_an_old_transaction_is_reported(postgresql: str) -> None:
    """It prevents that vacuum removes the dead rows of a backfill."""
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
    ("vitals", "trouble"),
    [
        ("'31 seconds'::interval, 0, NULL::interval", "a replica is 31 s behind, more than 30 s"),
        ("'30 seconds'::interval, 5, NULL::interval", ""),
        ("NULL::interval, 6, NULL::interval", "6 sessions wait for locks, more than 5"),
    ],
)
def test_replication_lag_and_lock_waits_are_reported(
    postgresql: str, monkeypatch: pytest.MonkeyPatch, vitals: str, trouble: str
) -> None:
    """Constants replace the statistics views."""
    database = SqlDatabase(postgresql)
    database.migrate()
    monkeypatch.setattr("snapshots.adapters.sql.health._VITALS", f"SELECT {vitals}")

    assert SqlHealth(database, HealthLimits()).trouble() == trouble
    database.close()
