"""The same work on many machines: what the driver of a fleet does itself, and what it gives to workers."""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import new_run
from snapshots.adapters.cowrie.lines.salvage import LinesOfParts
from snapshots.adapters.process import CurrentProcess
from snapshots.adapters.spark.backfill import SparkBackfill
from snapshots.adapters.spark.engine import spark_session
from snapshots.adapters.spark.load import SparkLoad
from snapshots.adapters.sql.adopt.part_database import make_beginning, session_columns
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.backfill.batch_runner import NoProgress
from snapshots.app.errors import SettingRefused
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.cluster import FleetInput
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.logs import DeadLetter
from snapshots.composition.spark_worker import judge_span, judged_rows, rows_of_part, store_part
from snapshots.composition.wiring import Container

RANGES_PER_WORKER = 4
"""How many spans each worker gets, so that a slow one keeps nobody waiting for long."""


class SparkFleet:
    """
    A cluster of Spark.

    Args:
        settings: How sessions are judged.
        master: The cluster.
        spark: Settings of Spark, by their names.
    """

    def __init__(self, settings: Settings, master: str, spark: Mapping[str, str]) -> None:
        self._settings = settings
        self._master = master
        self._spark = spark

    def load(self, source: FleetInput, to: str, *, facts_db: str | None) -> LoadReport:
        """Load logs into a database or a folder."""
        files = [str(path) for path in self._settings.mmdb]
        if _is_database(to, facts_db):
            settings = self._settings.model_copy(update={"db": to})
            with spark_session(self._master, self._spark) as spark:
                return _load_into_database(SparkLoad(spark, source, LinesOfParts(source.options), files), settings)
        if source.options.keeps_lines:
            raise SettingRefused("--store-events needs a database as --to, not a folder")
        with _beginning(facts_db) as beginning, spark_session(self._master, self._spark) as spark:
            job = SparkLoad(spark, source, LinesOfParts(source.options), [*files, beginning])
            return job.into_folder(
                new_run(), to, partial(rows_of_part, (self._settings, beginning)), session_columns(), CurrentProcess()
            )

    def backfill(self, at: str, *, facts_db: str | None) -> Mapping[str, int]:
        """Give stored sessions the snapshots that they lack."""
        files = [str(path) for path in self._settings.mmdb]
        if _is_database(at, facts_db):
            settings = self._settings.model_copy(update={"db": at})
            with spark_session(self._master, self._spark) as spark:
                return _backfill_database(SparkBackfill(spark, files), settings)
        with _beginning(facts_db) as beginning, spark_session(self._master, self._spark) as spark:
            job = SparkBackfill(spark, [*files, beginning])
            judged = partial(judged_rows, (self._settings, beginning))
            return job.in_folder(new_run(), at, judged, session_columns(), CurrentProcess())


def _is_database(to: str, facts_db: str | None) -> bool:
    """
    Whether sessions are in a database.

    Raises:
        SettingRefused: It is none that many workers can use, or has facts of its own.
    """
    scheme = to.partition("://")[0].partition("+")[0] if "://" in to else ""
    if scheme == "sqlite":
        raise SettingRefused("many workers cannot write into one SQLite file: give a PostgreSQL URL or a folder")
    is_database = scheme in {"postgresql", "postgres"}
    if is_database and facts_db is not None:
        raise SettingRefused("--facts-db needs a folder, not a database: a database holds its own facts")
    return is_database


def _backfill_database(job: SparkBackfill, settings: Settings) -> Mapping[str, int]:
    container = Container(settings=settings)
    database, backfill = container.database(), container.backfill()

    def beside(run: str) -> Iterable[Mapping[str, int]]:
        with database.view() as stores:
            spans = stores.open_sessions.key_ranges(RANGES_PER_WORKER * job.workers)
        return job.in_database(run, spans, partial(judge_span, settings))

    try:
        report = backfill.run(NoProgress(), beside=beside)
    finally:
        database.close()
    sealed = {f"sealed:{method.value}": count for method, count in report.sealed.items()}
    return {
        "judged": report.judged,
        **sealed,
        **{f"open:{gap.value}": count for gap, count in report.left_open.items()},
        "quarantined": len(report.quarantined),
    }


def _load_into_database(job: SparkLoad, settings: Settings) -> LoadReport:
    container = Container(settings=settings)
    database, clock = container.database(), container.clock()

    def keep(run: str, letters: Collection[DeadLetter]) -> int:
        with database.transaction() as stores:
            return stores.dead_letters.store_letters(letters, run=run, stored_at=clock.now())

    try:
        with database.transaction():
            pass  # makes the tables of a new database, and refuses those of another version
        store = partial(store_part, settings)
        return container.loader().load_by(lambda run: job.into_database(run, store, keep), NoLoadObserver())
    finally:
        database.close()


@contextmanager
def _beginning(url: str | None) -> Iterator[str]:
    """Make the file that every part begins with: tables, and what a database knows of addresses, if one is named."""
    with tempfile.TemporaryDirectory(prefix="snapshots-fleet-") as folder:
        path = Path(folder) / "beginning.db"
        target = SqlDatabase(f"sqlite:///{path}")
        source = SqlDatabase(url) if url is not None else None
        try:
            make_beginning(target, source)
        finally:
            target.close()
            if source is not None:
                source.close()
        yield str(path)
