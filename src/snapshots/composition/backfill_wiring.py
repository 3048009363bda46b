"""Build what fills in and undoes snapshots of stored sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.process import usable_cores

if TYPE_CHECKING:
    from snapshots.adapters.sql.database import SqlDatabase
    from snapshots.adapters.sql.health import HealthLimits, SqlHealth
    from snapshots.app.backfill.batch_runner import BatchRunner
    from snapshots.app.backfill.improve import ImproveSnapshots
    from snapshots.app.backfill.run import BackfillSnapshots
    from snapshots.app.backfill.span_computer import SpanComputers
    from snapshots.app.backfill.stages import Workers
    from snapshots.app.backfill.undo import UndoRun
    from snapshots.composition.wiring import Container


def _limits(settings: Settings) -> HealthLimits:
    from snapshots.adapters.sql.health import HealthLimits

    return HealthLimits(
        replication_lag=settings.max_replication_lag,
        lock_waits=settings.lock_waits,
        transaction_age=settings.max_transaction,
    )


def health(container: Container) -> SqlHealth:
    from snapshots.adapters.sql.health import SqlHealth

    return SqlHealth(container.database(), _limits(container.settings()))


def batch_runner(container: Container) -> BatchRunner:
    from snapshots.app.backfill.batch_runner import BatchRunner

    return BatchRunner(container.database(), container.health(), runtime=container.runtime())


def span_computers(container: Container) -> SpanComputers:
    from snapshots.adapters.telemetry.logs import warn
    from snapshots.app.backfill.span_computer import SpanComputer
    from snapshots.composition.span_processes import SpanProcesses

    database, reader, policy = container.database(), container.reader(), container.policy()
    return SpanProcesses((container.settings().db, reader, policy), SpanComputer(database, reader, policy), warn)


def _most_workers(database: SqlDatabase) -> Workers:
    """Return how many workers can use a database: SQLite has one writer, and in memory one connection."""
    from snapshots.app.backfill.stages import MOST_JOBS, Workers

    if database.engine.dialect.name == "postgresql":
        return Workers(computing=MOST_JOBS, writing=MOST_JOBS)
    return Workers(computing=1 if database.has_one_connection else MOST_JOBS, writing=1)


def backfill(container: Container) -> BackfillSnapshots:
    from snapshots.app.backfill.run import BackfillSnapshots

    return BackfillSnapshots(
        container.database(),
        container.service(),
        container.verdict_applier(),
        container.batch_runner(),
        container.span_computers(),
        runtime=container.runtime(),
        cores=usable_cores(),
        most=_most_workers(container.database()),
    )


def improve(container: Container) -> ImproveSnapshots:
    from snapshots.app.backfill.improve import ImproveSnapshots

    return ImproveSnapshots(
        container.database(),
        container.service(),
        container.policy(),
        container.batch_runner(),
        runtime=container.runtime(),
    )


def undo(container: Container) -> UndoRun:
    from snapshots.app.backfill.undo import UndoRun

    return UndoRun(container.database(), container.batch_runner(), runtime=container.runtime())
