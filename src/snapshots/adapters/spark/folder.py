"""
A folder of sessions as Parquet files on any Hadoop file system, with atomic changes.

Sessions are in `sessions/day=YYYY-MM-DD/sensor=NAME`, by the day of their first event in UTC, and rejected lines in
`dead_letters`. A job writes its partitions to a staging folder, then one small manifest file that marks them complete,
and only then copies them to their places. The next job finds a manifest and repeats the copying, or finds none and
removes the staging folder. Nothing is deleted from staging before everything is in place, so the scheme does not depend
on atomic renames of folders.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from snapshots.app.errors import StoreBusy, StoreUnavailable
from snapshots.app.liveness import ProcessLiveness

SESSIONS = "sessions"
DEAD_LETTERS = "dead_letters"
WRITTEN, COMPLETE, AT_WORK = "_written-", "_complete-", "_at-work.json"
"""Names of staging folders, manifests and the lock file; Spark ignores names with an underscore."""


class Part(NamedTuple):
    """A partition, by its folder names: `day=2026-03-01`, `sensor=pot`."""

    day: str
    sensor: str


class ParquetFolder:
    """
    A folder of sessions.

    Args:
        spark: The session.
        root: Its path or URL.
    """

    def __init__(self, spark: Any, root: str) -> None:
        self._spark = spark
        self.root = root.rstrip("/")
        java = spark.sparkContext._jvm  # noqa: SLF001 - the way that PySpark's own documentation shows
        self._java = java.org.apache.hadoop.fs
        self._settings = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - same reason
        self._files = self._java.Path(self.root).getFileSystem(self._settings)

    @contextmanager
    def locked(self, liveness: ProcessLiveness) -> Iterator[None]:
        """
        Lock the folder during the block. First finish or roll back an earlier job that died.

        Raises:
            StoreBusy: Another job holds the lock.
        """
        if self._names("", AT_WORK):
            owner = json.loads(self._read(AT_WORK))
            if not liveness.is_dead(owner["process"]):
                raise StoreBusy(
                    f"another job works on {self.root}; if it died on another machine, delete {AT_WORK} there"
                )
        self._write(AT_WORK, {"process": liveness.name})
        try:
            self._recover()
            yield
        finally:
            self._remove(AT_WORK)

    def _recover(self) -> None:
        for name in self._names("", COMPLETE):
            self._publish(name.removeprefix(COMPLETE))
        for name in (*self._names("", WRITTEN), *self._names("", COMPLETE, end=HALF)):
            self._remove(name)

    def held(self, kind: str) -> Any | None:
        """Return the stored rows of a kind as a DataFrame; None if there are none."""
        is_there = any(not name.startswith(("_", ".")) for name in self._names(kind))
        return self._spark.read.parquet(f"{self.root}/{kind}") if is_there else None

    def replace(self, run: str, rows: Any, touched: Collection[Part]) -> None:
        """
        Replace partitions by rows.

        Args:
            run: The run that writes.
            rows: A DataFrame with the columns `day` and `sensor`.
            touched: Partitions that become empty unless *rows* has rows of them.
        """
        rows.write.partitionBy("day", "sensor").parquet(f"{self.root}/{WRITTEN}{run}")
        self.complete(run, touched)

    def complete(self, run: str, touched: Collection[Part]) -> None:
        """Write the manifest of a job, and copy its partitions to their places."""
        written = self._parts(f"{WRITTEN}{run}")
        manifest = {"written": written, "empty": sorted(set(touched) - set(written))}
        self._write(f"{COMPLETE}{run}", manifest)
        self._publish(run)

    def add(self, kind: str, rows: Any) -> None:
        """Append rows of another kind."""
        rows.write.mode("append").parquet(f"{self.root}/{kind}")

    def _publish(self, run: str) -> None:
        """Copy the partitions of a job to their places. Repeating it gives the same result."""
        manifest = json.loads(self._read(f"{COMPLETE}{run}"))
        for day, sensor in (*manifest["written"], *manifest["empty"]):
            self._remove(f"{SESSIONS}/{day}/{sensor}")
        for day, sensor in manifest["written"]:
            self._copy(f"{WRITTEN}{run}/{day}/{sensor}", f"{SESSIONS}/{day}/{sensor}")
        self._remove(f"{COMPLETE}{run}")
        self._remove(f"{WRITTEN}{run}")

    def _parts(self, below: str) -> Sequence[Part]:
        days = self._names(below, "day=")
        return [Part(day, sensor) for day in days for sensor in self._names(f"{below}/{day}", "sensor=")]

    def _names(self, below: str, beginning: str = "", *, end: str = "") -> Sequence[str]:
        """Return the names in a subfolder; none if it does not exist."""
        path = self._at(below)
        if not self._files.exists(path):
            return ()
        found = [status.getPath().getName() for status in self._files.listStatus(path)]
        return sorted(name for name in found if name.startswith(beginning) and name.endswith(HALF) == (end == HALF))

    def _at(self, below: str) -> Any:
        return self._java.Path(f"{self.root}/{below}" if below else self.root)

    def _remove(self, below: str) -> None:
        self._files.delete(self._at(below), True)  # noqa: FBT003 - Java has no named arguments

    def _copy(self, old: str, new: str) -> None:
        source, target = self._at(old), self._at(new)
        self._files.mkdirs(target.getParent())
        if not self._java.FileUtil.copy(self._files, source, self._files, target, False, self._settings):  # noqa: FBT003 - same reason
            raise StoreUnavailable(f"{self.root}/{old} could not be copied to {new}")

    def _write(self, below: str, value: object) -> None:
        """Write a small file atomically: the rename of a single file is atomic everywhere."""
        stream = self._files.create(self._at(below + HALF))
        stream.write(bytearray(json.dumps(value).encode()))
        stream.close()
        self._remove(below)
        if not self._files.rename(self._at(below + HALF), self._at(below)):
            raise StoreUnavailable(f"{self.root}/{below} could not be written")

    def _read(self, below: str) -> str:
        stream = self._files.open(self._at(below))
        try:
            data = bytes(stream.readAllBytes())
        finally:
            stream.close()
        return data.decode()


HALF = ".half"
"""Suffix of a small file while it is written."""
