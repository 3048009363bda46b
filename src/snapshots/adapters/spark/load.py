"""Load logs on Spark into a folder of sessions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from snapshots.adapters.spark.engine import send
from snapshots.adapters.spark.folder import DEAD_LETTERS, SESSIONS, ParquetFolder
from snapshots.adapters.spark.frames import by_session, cached_on_disk, replace_sessions, stored, with_partition_columns
from snapshots.adapters.spark.inputs import logs_at
from snapshots.adapters.spark.map_lines import AS_SPARK, Kind, MapLines
from snapshots.adapters.spark.offsets import Offsets
from snapshots.adapters.spark.serialization import unpacked
from snapshots.adapters.spark.store_partitions import SessionRows, as_spark
from snapshots.app.errors import NothingToRead
from snapshots.app.liveness import ProcessLiveness
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.cluster import FleetInput, LineParser, RowsOfPart

PART_BYTES = 64 * 1024 * 1024
"""Bytes of logs per partition of sessions."""

LOGS = "*.json*"
"""Default pattern for the names of logs in folders."""


class SparkLoad:
    """
    Loads logs on Spark.

    Args:
        spark: The session.
        source: The input.
        lines: Decodes lines.
        files: Files that the workers need, such as tables of facts.
    """

    def __init__(self, spark: Any, source: FleetInput, lines: LineParser, files: Sequence[str]) -> None:
        self._spark = spark
        self._source = source
        self._lines = lines
        self._sent = send(spark, files)

    def into_folder(
        self, run: str, to: str, rows_of: RowsOfPart, columns: Mapping[str, type], liveness: ProcessLiveness
    ) -> LoadReport:
        """Load the logs into a folder, and return the counts."""
        folder = ParquetFolder(self._spark, to)
        with folder.locked(liveness), self._folded() as (folded, starts):
            read = folded.where(folded.kind == int(Kind.READ)).select("kind", "key", "payload")
            held = folder.held(SESSIONS)
            known = self._known(held, read, columns) if held is not None else None
            both = read if known is None else read.unionByName(known)
            made = self._by_session(both, starts).mapInArrow(
                SessionRows(rows_of, columns, run, self._sent), as_spark(columns)
            )
            with cached_on_disk(with_partition_columns(made)) as rows:
                report = self._report(run, starts, rows, held)
                replace_sessions(folder, run, rows, held)
            dead_letters = self._add_dead_letters(folder, run, folded, starts)
        return report + LoadReport(run=run, dead_letters=dead_letters)

    @contextmanager
    def _folded(self) -> Iterator[tuple[Any, Mapping[str, Offsets]]]:
        """Yield the decoded lines, cached on disk, and the offsets of the file parts."""
        text = logs_at(self._spark, self._source.paths, self._source.only or LOGS)
        with cached_on_disk(text.mapInArrow(MapLines(self._lines), AS_SPARK)) as folded:
            parts = folded.where(folded.kind == int(Kind.PART)).select("path", "block", "start", "payload").collect()
            found: defaultdict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
            for row in parts:
                found[row.path].append((row.block, row.start, *unpacked(bytes(row.payload))))
            if not found:
                raise NothingToRead(f"there is nothing to read at {', '.join(self._source.paths)}")
            yield folded, {path: Offsets(blocks) for path, blocks in found.items()}

    def _by_session(self, sessions: Any, starts: Mapping[str, Offsets]) -> Any:
        size = sum(each.size for each in starts.values())
        parts = max(2 * self._spark.sparkContext.defaultParallelism, size // PART_BYTES + 1)
        return by_session(sessions, int(parts))

    @staticmethod
    def _known(held: Any, read: Any, columns: Mapping[str, type]) -> Any:
        """Return the stored sessions of ids that were read."""
        from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

        own = held.withColumn("key", sql.coalesce("logged_id", "session_id"))
        return stored(own.join(read.select("key").distinct(), "key", "left_semi"), columns)

    def _add_dead_letters(self, folder: ParquetFolder, run: str, folded: Any, starts: Mapping[str, Offsets]) -> int:
        """Store new dead letters, and return their number."""
        found = folded.where(folded.kind == int(Kind.DEAD_LETTER)).select("path", "block", "start", "payload")
        rows = found.rdd.map(partial(_dead_letter_row, starts, run)).toDF(
            "identity string, source string, position long, reason string, payload binary, run string"
        )
        rows = rows.dropDuplicates(["identity"])
        held = folder.held(DEAD_LETTERS)
        if held is not None:
            rows = rows.join(held.select("identity"), "identity", "left_anti")
        with cached_on_disk(rows) as new:
            count = int(new.count())
            if count:
                folder.add(DEAD_LETTERS, new.coalesce(1))
        return count

    def _report(self, run: str, starts: Mapping[str, Offsets], rows: Any, held: Any | None) -> LoadReport:
        """Count the differences between the rows and the stored ones."""
        from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

        total = sql.coalesce(sql.sum("event_count"), sql.lit(0))
        is_sealed = sql.col("enrichment_at").isNotNull()
        asked = [sql.count("*"), total, sql.count_if(is_sealed), sql.count_if(sql.col("logged_id").isNotNull())]
        after = rows.select(*asked).first()
        before = (0, 0, 0, 0)
        changed = 0
        if held is not None:
            old = held.join(rows.select("session_id"), "session_id", "left_semi")
            before = old.select(*asked).first()
            counts = rows.select("session_id", sql.col("event_count").alias("now"))
            changed = old.join(counts, "session_id").where("now <> event_count").count()
        report = LoadReport(
            run=run,
            sources=len(starts),
            events=after[1] - before[1],
            sessions_added=after[0] - before[0],
            sessions_changed=changed,
            sealed=after[2] - before[2],
            left_open=after[0] - after[2],
            reused_ids=after[3] - before[3],
        )
        return _read(report, starts)


def _read(report: LoadReport, starts: Mapping[str, Offsets]) -> LoadReport:
    """Return the report with the numbers of lines and of repeated events."""
    events = sum(each.events for each in starts.values())
    dead_letters = sum(each.dead_letters for each in starts.values())
    return replace(report, lines=events + dead_letters, repeated=events - report.events)


def _dead_letter_row(starts: Mapping[str, Offsets], run: str, row: Any) -> tuple[object, ...]:
    dead_letter = starts[row.path].dead_letter(row.path, row.block, row.start, bytes(row.payload))
    return (
        dead_letter.identity,
        dead_letter.source,
        dead_letter.offset,
        dead_letter.reason.value,
        bytearray(dead_letter.payload),
        run,
    )
