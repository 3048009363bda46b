"""The same work on many machines: what the driver of a fleet does itself, and what it gives to workers."""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import new_run
from snapshots.adapters.cowrie.pieces import LinesOfParts
from snapshots.adapters.spark.backfill import SparkBackfill
from snapshots.adapters.spark.engine import spark_session
from snapshots.adapters.spark.load import SparkLoad
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.scratch import copy_facts, session_columns
from snapshots.app.batch import LoadReport
from snapshots.app.errors import SettingRefused
from snapshots.app.fleet import FleetInput
from snapshots.app.line_ports import DeadLetter
from snapshots.app.progress import Unobserved
from snapshots.app.steering import Unwatched
from snapshots.container import Container
from snapshots.workers import judge_span, judged_rows, rows_of_part, store_part

SPANS_A_WORKER = 4
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
            raise SettingRefused("--store-events is for databases")
        with _facts(facts_db) as facts, spark_session(self._master, self._spark) as spark:
            job = SparkLoad(spark, source, LinesOfParts(source.options), [*files, *([facts] if facts else [])])
            return job.into_folder(new_run(), to, partial(rows_of_part, (self._settings, facts)), session_columns())

    def backfill(self, at: str, *, facts_db: str | None) -> Mapping[str, int]:
        """Give stored sessions the snapshots that they lack."""
        files = [str(path) for path in self._settings.mmdb]
        if _is_database(at, facts_db):
            settings = self._settings.model_copy(update={"db": at})
            with spark_session(self._master, self._spark) as spark:
                return _backfill_database(SparkBackfill(spark, files), settings)
        with _facts(facts_db) as facts, spark_session(self._master, self._spark) as spark:
            job = SparkBackfill(spark, [*files, *([facts] if facts else [])])
            judged = partial(judged_rows, (self._settings, facts))
            return job.in_folder(new_run(), at, judged, session_columns())


def _is_database(to: str, facts_db: str | None) -> bool:
    """
    Whether sessions are in a database.

    Raises:
        SettingRefused: It is none that many workers can use, or has facts of its own.
    """
    if to.startswith("sqlite"):
        raise SettingRefused("many workers cannot write into one SQLite file: name a PostgreSQL one or a folder")
    if to.startswith("postgresql") and facts_db is not None:
        raise SettingRefused("--facts-db is for folders: a database holds its own facts")
    return to.startswith("postgresql")


def _backfill_database(job: SparkBackfill, settings: Settings) -> Mapping[str, int]:
    container = Container(settings=settings)
    database, backfill = container.database(), container.backfill()

    def beside(run: str) -> Iterable[Mapping[str, int]]:
        with database.view() as stores:
            spans = stores.open_sessions.spans(SPANS_A_WORKER * job.workers)
        return job.in_database(run, spans, partial(judge_span, settings))

    try:
        report = backfill.run(Unwatched(), beside=beside)
    finally:
        database.close()
    sealed = {f"sealed:{method.value}": count for method, count in report.sealed.items()}
    return {
        "judged": report.judged,
        **sealed,
        **{f"open:{gap.value}": count for gap, count in report.left_open.items()},
        "set aside": len(report.set_aside),
    }


def _load_into_database(job: SparkLoad, settings: Settings) -> LoadReport:
    container = Container(settings=settings)
    database, clock = container.database(), container.clock()

    def keep(run: str, letters: Collection[DeadLetter]) -> int:
        with database.transaction() as stores:
            return stores.dead_letters.keep(letters, run=run, kept_at=clock.now())

    try:
        database.migrate()
        store = partial(store_part, settings)
        return container.loader().load_by(lambda run: job.into_database(run, store, keep), Unobserved())
    finally:
        database.close()


@contextmanager
def _facts(url: str | None) -> Iterator[str | None]:
    """Make a file of what a database knows of addresses."""
    if url is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="snapshots-facts-") as folder:
        path = Path(folder) / "facts.db"
        source, target = SqlDatabase(url), SqlDatabase(f"sqlite:///{path}")
        try:
            copy_facts(source, target)
        finally:
            source.close()
            target.close()
        yield str(path)
