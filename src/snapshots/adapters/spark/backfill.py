"""Compute missing snapshots of a folder on Spark."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from snapshots.adapters.spark.engine import send
from snapshots.adapters.spark.folder import SESSIONS, ParquetFolder
from snapshots.adapters.spark.frames import by_session, cached_on_disk, replace_sessions, stored, with_partition_columns
from snapshots.adapters.spark.store_partitions import SessionRows, as_spark
from snapshots.app.liveness import ProcessLiveness
from snapshots.app.load.cluster import RowsOfPart


class SparkBackfill:
    """
    Backfills a folder.

    Args:
        spark: The session.
        files: Files that the workers need, such as tables of facts.
    """

    def __init__(self, spark: Any, files: Sequence[str]) -> None:
        self._spark = spark
        self._sent = send(spark, files)

    def in_folder(
        self, run: str, at: str, rows_of: RowsOfPart, columns: Mapping[str, type], liveness: ProcessLiveness
    ) -> Mapping[str, int]:
        """Evaluate the open sessions of a folder, and return the counts by name."""
        folder = ParquetFolder(self._spark, at)
        with folder.locked(liveness):
            return self._in_taken(folder, run, rows_of, columns)

    def _in_taken(
        self, folder: ParquetFolder, run: str, rows_of: RowsOfPart, columns: Mapping[str, type]
    ) -> Mapping[str, int]:
        from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

        held = folder.held(SESSIONS)
        counts: Counter[str] = Counter(judged=0)
        if held is None:
            return counts
        left = held.where(sql.col("enrichment_at").isNull())
        waiting = by_session(stored(left, columns), 2 * int(self._spark.sparkContext.defaultParallelism))
        made = waiting.mapInArrow(SessionRows(rows_of, columns, run, self._sent), as_spark(columns))
        with cached_on_disk(with_partition_columns(made)) as rows:
            for row in rows.groupBy("snapshot_method", "snapshot_gap").count().collect():
                name = f"open:{row.snapshot_gap}" if row.snapshot_method is None else f"sealed:{row.snapshot_method}"
                counts[name] += row["count"]
                counts["judged"] += row["count"]
            was = left.select("session_id", sql.col("snapshot_gap").alias("was"))
            changed = rows.join(was, "session_id").where("enrichment_at IS NOT NULL OR NOT (snapshot_gap <=> was)")
            with cached_on_disk(changed.drop("was")) as news:
                if news.count():
                    replace_sessions(folder, run, news, held)
        return counts
