"""DataFrames of sessions: cached on disk, grouped by session, and partitioned by day and sensor."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from snapshots.adapters.spark.folder import ParquetFolder, Part
from snapshots.adapters.spark.map_lines import Kind
from snapshots.adapters.spark.serialization import packed

LONGEST_FOLDER_NAME = 200
"""Characters of a honeypot's name that are used in the name of its folder."""


@contextmanager
def cached_on_disk(frame: Any) -> Iterator[Any]:
    """Cache a DataFrame on the disks of the workers while it is used more than once."""
    from pyspark import StorageLevel  # noqa: PLC0415 - an extra

    cached = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield cached
    finally:
        cached.unpersist()


def with_partition_columns(rows: Any) -> Any:
    """Add the partition columns `day` and `sensor`."""
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    sensor = sql.regexp_replace(sql.coalesce("matcher", sql.lit("-")), "[^A-Za-z0-9._-]", "_")
    # Spark hides names that start with another character, or reads them as NULL.
    named = sql.when(sensor.rlike("^[A-Za-z0-9-]"), sensor).otherwise(sql.concat(sql.lit("-"), sensor))
    day = sql.date_format("first_event_at", "yyyy-MM-dd")
    return rows.withColumn("day", day).withColumn("sensor", sql.substring(named, 1, LONGEST_FOLDER_NAME))


def stored(sessions: Any, columns: Mapping[str, type]) -> Any:
    """Return stored sessions in the schema of sessions that were read."""
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    there = [name for name in columns if name in sessions.columns]  # an earlier version wrote fewer columns
    rows = sessions.select(sql.coalesce("logged_id", "session_id").alias("key"), *there)
    return rows.mapInArrow(partial(_packed_rows, tuple(columns)), "kind tinyint, key string, payload binary")


def by_session(sessions: Any, parts: int) -> Any:
    """Repartition by session; within a partition, stored rows come first."""
    return sessions.repartition(parts, "key").sortWithinPartitions("kind", "key")


def _packed_rows(columns: Sequence[str], batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    for batch in batches:
        rows = batch.to_pylist()
        payloads = [packed({name: row.get(name) for name in columns}) for row in rows]
        arrays = [
            pa.array([int(Kind.HELD)] * len(rows), pa.int8()),
            pa.array([row["key"] for row in rows], pa.string()),
            pa.array(payloads, pa.binary()),
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=["kind", "key", "payload"])


def replace_sessions(folder: ParquetFolder, run: str, rows: Any, held: Any | None) -> None:
    """Write rows, and rewrite the other stored rows of their partitions."""
    parts = "day", "sensor"
    if held is None:
        folder.replace(run, _in_parts(rows), ())
        return
    ids = rows.select("session_id")
    old = held.join(ids, "session_id", "left_semi").select(*parts).distinct()
    touched = old.unionByName(rows.select(*parts).distinct()).distinct()
    staying = held.join(touched, list(parts), "left_semi").join(ids, "session_id", "left_anti")
    named = [Part(f"day={row.day}", f"sensor={row.sensor}") for row in touched.collect()]
    folder.replace(run, _in_parts(rows.unionByName(staying, allowMissingColumns=True)), named)


def _in_parts(rows: Any) -> Any:
    """Repartition so that one worker writes each partition, into few files."""
    return rows.repartition("day", "sensor")
