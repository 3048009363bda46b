"""
A folder of sessions as Parquet files, on any file system that Hadoop knows, changed whole or not at all.

Sessions lie in `sessions/day=YYYY-MM-DD/sensor=NAME`, by the day of their first event in UTC, and lines that could
not be loaded in `dead_letters`. A job writes what its parts will hold beside them, and then one small file that says
it is complete, and which parts it has; only then are they copied to their places. Whoever finds such a file does the
copying from its beginning, and whoever finds a job without one removes what it wrote: nothing is taken away from
where it was written before everything is in its place, so neither depends on renamings that are whole.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from snapshots.app.errors import StoreBusy, StoreUnavailable
from snapshots.app.liveness import ProcessLiveness

SESSIONS = "sessions"
LETTERS = "dead_letters"
WRITTEN, COMPLETE, AT_WORK = "_written-", "_complete-", "_at-work.json"
"""How files and folders are called that Spark does not take for data."""


class Part(NamedTuple):
    """A part of the folder, by its names there: `day=2026-03-01`, `sensor=pot`."""

    day: str
    sensor: str


class ParquetFolder:
    """
    Such a folder.

    Args:
        spark: The session.
        root: Where it is.
    """

    def __init__(self, spark: Any, root: str) -> None:
        self._spark = spark
        self.root = root.rstrip("/")
        java = spark.sparkContext._jvm  # noqa: SLF001 - the way that PySpark's own documentation shows
        self._java = java.org.apache.hadoop.fs
        self._settings = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - likewise
        self._files = self._java.Path(self.root).getFileSystem(self._settings)

    @contextmanager
    def taken(self, liveness: ProcessLiveness) -> Iterator[None]:
        """
        Keep other jobs away during the block; first finish what an earlier one completed, or remove what it did not.

        Raises:
            StoreBusy: Another job works there, as far as it is known.
        """
        if self._names("", AT_WORK):
            told = json.loads(self._read(AT_WORK))
            if not liveness.is_dead(told["process"]):
                raise StoreBusy(f"another job works on {self.root}; if it died elsewhere, delete {AT_WORK} there")
        self._write(AT_WORK, {"process": liveness.name})
        try:
            self._recover()
            yield
        finally:
            self._remove(AT_WORK)

    def _recover(self) -> None:
        for name in self._names("", COMPLETE):
            self._put_in_place(name.removeprefix(COMPLETE))
        for name in (*self._names("", WRITTEN), *self._names("", COMPLETE, end=HALF)):
            self._remove(name)

    def held(self, kind: str) -> Any | None:
        """Return what lies there as a DataFrame; None if nothing does."""
        is_there = any(not name.startswith(("_", ".")) for name in self._names(kind))
        return self._spark.read.parquet(f"{self.root}/{kind}") if is_there else None

    def replace(self, run: str, rows: Any, touched: Collection[Part]) -> None:
        """
        Let the parts of which there are rows hold these and nothing else.

        Args:
            run: The run that writes.
            rows: A DataFrame with the columns `day` and `sensor`.
            touched: Parts that hold nothing any more, unless there are rows of them.
        """
        rows.write.partitionBy("day", "sensor").parquet(f"{self.root}/{WRITTEN}{run}")
        self.complete(run, touched)

    def complete(self, run: str, touched: Collection[Part]) -> None:
        """Say that what a job wrote is all of it, and put it in its place."""
        written = self._parts(f"{WRITTEN}{run}")
        told = {"written": written, "empty": sorted(set(touched) - set(written))}
        self._write(f"{COMPLETE}{run}", told)
        self._put_in_place(run)

    def add(self, kind: str, rows: Any) -> None:
        """Add rows of another kind."""
        rows.write.mode("append").parquet(f"{self.root}/{kind}")

    def _put_in_place(self, run: str) -> None:
        """Copy what a job wrote to its place; done again from the beginning, it comes to the same."""
        told = json.loads(self._read(f"{COMPLETE}{run}"))
        for day, sensor in (*told["written"], *told["empty"]):
            self._remove(f"{SESSIONS}/{day}/{sensor}")
        for day, sensor in told["written"]:
            self._copy(f"{WRITTEN}{run}/{day}/{sensor}", f"{SESSIONS}/{day}/{sensor}")
        self._remove(f"{COMPLETE}{run}")
        self._remove(f"{WRITTEN}{run}")

    def _parts(self, below: str) -> Sequence[Part]:
        days = self._names(below, "day=")
        return [Part(day, sensor) for day in days for sensor in self._names(f"{below}/{day}", "sensor=")]

    def _names(self, below: str, beginning: str = "", *, end: str = "") -> Sequence[str]:
        """Return the names of what lies in a folder below the root; none if it is not there."""
        path = self._at(below)
        if not self._files.exists(path):
            return ()
        found = [status.getPath().getName() for status in self._files.listStatus(path)]
        return sorted(name for name in found if name.startswith(beginning) and name.endswith(HALF) == (end == HALF))

    def _at(self, below: str) -> Any:
        return self._java.Path(f"{self.root}/{below}" if below else self.root)

    def _remove(self, below: str) -> None:
        self._files.delete(self._at(below), True)  # noqa: FBT003 - Java knows no names of arguments

    def _copy(self, old: str, new: str) -> None:
        source, target = self._at(old), self._at(new)
        self._files.mkdirs(target.getParent())
        if not self._java.FileUtil.copy(self._files, source, self._files, target, False, self._settings):  # noqa: FBT003 - likewise
            raise StoreUnavailable(f"{self.root}/{old} could not be copied to {new}")

    def _write(self, below: str, value: object) -> None:
        """Write a small file, which is there whole or not at all: a single one is renamed at once everywhere."""
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
"""How the name of a small file ends while it is written."""
