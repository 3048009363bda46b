"""DataFrames of sessions: kept, brought together, and laid into folders."""

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
def kept_on_disk(frame: Any) -> Iterator[Any]:
    """Keep a DataFrame on the workers' disks while it is used more than once."""
    from pyspark import StorageLevel  # noqa: PLC0415 - an extra

    kept = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield kept
    finally:
        kept.unpersist()


def with_parts(rows: Any) -> Any:
    """Add the columns by which rows are laid into folders."""
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    sensor = sql.regexp_replace(sql.coalesce("matcher", sql.lit("-")), "[^A-Za-z0-9._-]", "_")
    # Names that begin so are hidden, or mean that there is none.
    named = sql.when(sensor.rlike("^[A-Za-z0-9-]"), sensor).otherwise(sql.concat(sql.lit("-"), sensor))
    day = sql.date_format("first_event_at", "yyyy-MM-dd")
    return rows.withColumn("day", day).withColumn("sensor", sql.substring(named, 1, LONGEST_FOLDER_NAME))


def stored(sessions: Any, columns: Mapping[str, type]) -> Any:
    """Return stored sessions in the form in which what was read goes to the workers."""
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    rows = sessions.select(sql.coalesce("logged_id", "session_id").alias("key"), *columns)
    return rows.mapInArrow(partial(_packed_rows, tuple(columns)), "kind tinyint, key string, payload binary")


def by_session(sessions: Any, parts: int) -> Any:
    """Bring together what belongs to one session, and in a part what was stored before first."""
    return sessions.repartition(parts, "key").sortWithinPartitions("kind", "key")


def _packed_rows(columns: Sequence[str], batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    for batch in batches:
        rows = batch.to_pylist()
        payloads = [packed({name: row[name] for name in columns}) for row in rows]
        arrays = [
            pa.array([int(Kind.HELD)] * len(rows), pa.int8()),
            pa.array([row["key"] for row in rows], pa.string()),
            pa.array(payloads, pa.binary()),
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=["kind", "key", "payload"])


def replace_sessions(folder: ParquetFolder, run: str, rows: Any, held: Any | None) -> None:
    """Write rows, with the stored ones that lie in the same parts and are none of them."""
    parts = "day", "sensor"
    if held is None:
        folder.replace(run, _in_parts(rows), ())
        return
    ids = rows.select("session_id")
    old = held.join(ids, "session_id", "left_semi").select(*parts).distinct()
    touched = old.unionByName(rows.select(*parts).distinct()).distinct()
    staying = held.join(touched, list(parts), "left_semi").join(ids, "session_id", "left_anti")
    named = [Part(f"day={row.day}", f"sensor={row.sensor}") for row in touched.collect()]
    folder.replace(run, _in_parts(rows.unionByName(staying)), named)


def _in_parts(rows: Any) -> Any:
    """Let each part be written by one worker, into few files."""
    return rows.repartition("day", "sensor")
