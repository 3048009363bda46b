"""
A folder of sessions as Parquet files, on any file system that Hadoop knows, changed whole or not at all.

Sessions lie in `sessions/day=YYYY-MM-DD/sensor=NAME`, by the day of their first event in UTC, and lines that could
not be loaded in `dead_letters`. A job writes what its parts will hold beside them, and says by one renaming that it
is complete; only then are the parts put in their places. Whoever finds a complete one finishes it, and whoever finds
an incomplete one removes it. One job at a time works on a folder.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

SESSIONS = "sessions"
LETTERS = "dead_letters"
BEGUN, READY = "_begun-", "_ready-"
"""How folders are called that Spark does not take for data."""

EMPTY = "_empty.json"


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
        self._path = java.org.apache.hadoop.fs.Path
        self._files = self._path(self.root).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001 - likewise

    def recover(self) -> None:
        """Finish what an earlier job completed, and remove what it did not."""
        for name in self._names(""):
            if name.startswith(READY):
                self._put_in_place(name)
            elif name.startswith(BEGUN):
                self._remove(name)

    def held(self, kind: str) -> Any | None:
        """Return what lies there as a DataFrame; None if nothing does."""
        return self._spark.read.parquet(f"{self.root}/{kind}") if self._names(kind) else None

    def replace(self, run: str, rows: Any, touched: Collection[Part]) -> None:
        """
        Let the parts of which there are rows hold these and nothing else.

        Args:
            run: The run that writes.
            rows: A DataFrame with the columns `day` and `sensor`.
            touched: Parts that hold nothing any more, unless there are rows of them.
        """
        rows.write.partitionBy("day", "sensor").parquet(f"{self.root}/{BEGUN}{run}")
        empty = set(touched) - set(self._parts(f"{BEGUN}{run}"))
        self._write(f"{BEGUN}{run}/{EMPTY}", json.dumps(sorted(empty)))
        self._rename(f"{BEGUN}{run}", f"{READY}{run}")
        self._put_in_place(f"{READY}{run}")

    def add(self, kind: str, rows: Any) -> None:
        """Add rows of another kind."""
        rows.write.mode("append").parquet(f"{self.root}/{kind}")

    def _put_in_place(self, ready: str) -> None:
        for part in self._parts(ready):
            self._remove(f"{SESSIONS}/{part.day}/{part.sensor}")
            self._make(f"{SESSIONS}/{part.day}")
            self._rename(f"{ready}/{part.day}/{part.sensor}", f"{SESSIONS}/{part.day}/{part.sensor}")
        # Not all that are lacking here: some may have been put in their places before an interruption.
        for day, sensor in json.loads(self._read(f"{ready}/{EMPTY}")):
            self._remove(f"{SESSIONS}/{day}/{sensor}")
        self._remove(ready)

    def _parts(self, below: str) -> Sequence[Part]:
        days = self._names(below, "day=")
        return [Part(day, sensor) for day in days for sensor in self._names(f"{below}/{day}", "sensor=")]

    def _names(self, below: str, beginning: str = "") -> Sequence[str]:
        """Return the names of what lies in a folder below the root; none if it is not there."""
        path = self._at(below)
        if not self._files.exists(path):
            return ()
        found = [status.getPath().getName() for status in self._files.listStatus(path)]
        return sorted(name for name in found if name.startswith(beginning))

    def _at(self, below: str) -> Any:
        return self._path(f"{self.root}/{below}" if below else self.root)

    def _remove(self, below: str) -> None:
        self._files.delete(self._at(below), True)  # noqa: FBT003 - Java knows no names of arguments

    def _make(self, below: str) -> None:
        self._files.mkdirs(self._at(below))

    def _rename(self, old: str, new: str) -> None:
        if not self._files.rename(self._at(old), self._at(new)):
            raise OSError(f"{self.root}/{old} could not be renamed to {new}")

    def _write(self, below: str, text: str) -> None:
        stream = self._files.create(self._at(below))
        stream.write(bytearray(text.encode()))
        stream.close()

    def _read(self, below: str) -> str:
        stream = self._files.open(self._at(below))
        try:
            data = bytes(stream.readAllBytes())
        finally:
            stream.close()
        return data.decode()
