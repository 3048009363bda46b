"""Run loads and backfills of Parquet folders on a Spark cluster, from the driver process."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import new_run
from snapshots.adapters.cowrie.lines.salvage import CowrieLineParser
from snapshots.adapters.process import CurrentProcess
from snapshots.adapters.spark.backfill import SparkBackfill
from snapshots.adapters.spark.engine import spark_session
from snapshots.adapters.spark.load import SparkLoad
from snapshots.adapters.sql.adopt.part_database import create_part_database, session_columns
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import SettingRefused
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.cluster import FleetInput
from snapshots.composition.spark_worker import judged_rows, rows_of_part

DATABASE_SCHEMES = frozenset({"postgres", "postgresql", "sqlite"})


class SparkFleet:
    """
    A Spark cluster.

    Args:
        settings: How verdicts are computed.
        master: The address of the cluster.
        spark: Settings of Spark, by name.
    """

    def __init__(self, settings: Settings, master: str, spark: Mapping[str, str]) -> None:
        self._settings = settings
        self._master = master
        self._spark = spark

    def load(self, source: FleetInput, to: str, *, facts_db: str | None) -> LoadReport:
        """Load logs into a folder."""
        _require_folder(to)
        files = [str(path) for path in (*self._settings.mmdb, *self._settings.network_types)]
        with _template_database(facts_db) as template, spark_session(self._master, self._spark) as spark:
            job = SparkLoad(spark, source, CowrieLineParser(source.options), [*files, template])
            rows_of = partial(rows_of_part, (self._settings, template))
            return job.into_folder(new_run(), to, rows_of, session_columns(), CurrentProcess())

    def backfill(self, at: str, *, facts_db: str | None) -> Mapping[str, int]:
        """Compute the missing snapshots of a folder."""
        _require_folder(at)
        files = [str(path) for path in (*self._settings.mmdb, *self._settings.network_types)]
        with _template_database(facts_db) as template, spark_session(self._master, self._spark) as spark:
            job = SparkBackfill(spark, [*files, template])
            rows_of = partial(judged_rows, (self._settings, template))
            return job.in_folder(new_run(), at, rows_of, session_columns(), CurrentProcess())


def _require_folder(path: str) -> None:
    """
    Refuse the URL of a database.

    Raises:
        SettingRefused: *path* is one.
    """
    scheme = path.partition("://")[0].partition("+")[0] if "://" in path else ""
    if scheme in DATABASE_SCHEMES:
        raise SettingRefused(
            f"fleet works on a folder of Parquet files, not on a {scheme} database: give a folder, then import it"
            " with `snapshots fleet import FOLDER --db URL`, or use `snapshots load` and `snapshots backfill`"
        )


@contextmanager
def _template_database(facts_url: str | None) -> Iterator[str]:
    """Create the SQLite file that every partition starts from, with the facts of a database if one is given."""
    with tempfile.TemporaryDirectory(prefix="snapshots-fleet-") as folder:
        path = Path(folder) / "beginning.db"
        target = SqlDatabase(f"sqlite:///{path}")
        source = SqlDatabase(facts_url) if facts_url is not None else None
        try:
            create_part_database(target, source)
        finally:
            target.close()
            if source is not None:
                source.close()
        yield str(path)
