"""Check whether a PostgreSQL server is overloaded."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from snapshots.adapters.sql.database import SqlDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """
    Limits above which work pauses; None for no limit.

    Attributes:
        replication_lag: Of the slowest replica.
        lock_waits: Number of other sessions that wait for a lock.
        transaction_age: Of the oldest transaction of other sessions in this database.
    """

    replication_lag: timedelta | None = timedelta(seconds=30)
    lock_waits: int | None = 5
    transaction_age: timedelta | None = timedelta(hours=1)


class SqlHealth:
    """
    Reads PostgreSQL's statistics views; SQLite is never overloaded.

    Args:
        database: The database.
        limits: Limits of a healthy server.
    """

    def __init__(self, database: SqlDatabase, limits: HealthLimits) -> None:
        self._database = database
        self._limits = limits

    def trouble(self) -> str:
        """Return the first limit that is exceeded, with its value; "" if none is."""
        if self._database.engine.dialect.name != "postgresql":
            return ""
        with self._database.reading() as connection:
            lag, waits, age = connection.execute(text(_VITALS), {"ours": list(self._database.backends)}).one()
        limits = self._limits
        if limits.replication_lag is not None and lag is not None and lag > limits.replication_lag:
            return f"a replica is {_seconds(lag)} behind, more than {_seconds(limits.replication_lag)}"
        if limits.lock_waits is not None and waits > limits.lock_waits:
            return f"{waits} sessions wait for locks, more than {limits.lock_waits}"
        if limits.transaction_age is not None and age is not None and age > limits.transaction_age:
            return f"a transaction is {_seconds(age)} old, more than {_seconds(limits.transaction_age)}"
        return ""


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():,.0f} s"


_VITALS = """
SELECT (SELECT max(replay_lag) FROM pg_stat_replication),
       (SELECT count(*) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database() AND NOT pid = ANY(:ours)),
       (SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend')"""
