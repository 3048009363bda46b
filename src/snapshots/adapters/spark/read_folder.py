"""Read a folder of Parquet files that a Spark job wrote, without Spark."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from snapshots.adapters.spark.folder import AT_WORK, COMPLETE, DEAD_LETTERS, SESSIONS
from snapshots.app.errors import NothingToRead, PackageMissing, StoreBusy, StoreUnavailable
from snapshots.app.pip_install import install_extra
from snapshots.app.ports.log_source import Reason
from snapshots.app.ports.logs import DeadLetter
from snapshots.domain.session.summary import SessionSummary

PAGE = 2_000
"""Sessions per transaction of an import: a row has up to a few kilobytes."""


class StoredFolder:
    """
    Sessions and dead letters in a folder.

    Args:
        root: A local path, or a URL of a file system that pyarrow supports, such as s3://.
        columns: The columns of a session.
        summary_of: Decodes the row of a session.

    Raises:
        PackageMissing: pyarrow is not installed, or does not support the file system.
        NothingToRead: The folder holds no sessions.
        StoreBusy: A job writes to the folder, or was interrupted.
    """

    def __init__(
        self, root: str, columns: Sequence[str], summary_of: Callable[[Mapping[str, Any]], SessionSummary]
    ) -> None:
        try:
            from pyarrow import fs  # noqa: PLC0415 - an extra
        except ImportError as exc:
            raise PackageMissing(f"reading a folder needs the extra parquet: {install_extra('parquet')}") from exc
        self.name = root
        self._columns = list(columns)
        self._summary_of = summary_of
        try:
            self._files, self._root = _file_system(fs, root)
            names = {info.base_name for info in self._files.get_file_info(fs.FileSelector(self._root))}
        except (OSError, ValueError) as exc:
            raise NothingToRead(f"{root} cannot be read: {exc}") from exc
        if any(name == AT_WORK or name.startswith(COMPLETE) for name in names):
            raise StoreBusy(f"a job writes to {root} or was interrupted; run it again to its end, then import")
        if SESSIONS not in names:
            raise NothingToRead(f"{root} holds no sessions; give the folder of `snapshots fleet load --to FOLDER`")
        self._has_dead_letters = DEAD_LETTERS in names

    def sessions(self) -> Iterator[Sequence[SessionSummary]]:
        """Yield all sessions in pages."""
        for rows in self._pages(SESSIONS, self._columns):
            yield [self._summary_of({name: _in_utc(value) for name, value in row.items()}) for row in rows]

    def dead_letters(self) -> Iterator[Sequence[DeadLetter]]:
        """Yield all dead letters in pages."""
        for rows in self._pages(DEAD_LETTERS, None) if self._has_dead_letters else ():
            yield [
                DeadLetter(
                    identity=row["identity"],
                    source=row["source"],
                    offset=row["position"],
                    reason=Reason(row["reason"]),
                    payload=row["payload"],
                )
                for row in rows
            ]

    def _pages(self, kind: str, columns: list[str] | None) -> Iterable[Sequence[Mapping[str, Any]]]:
        from pyarrow import ArrowException, dataset  # noqa: PLC0415 - an extra

        try:
            # The partition columns are not read: their values are in the rows.
            found = dataset.dataset(f"{self._root}/{kind}", filesystem=self._files, format="parquet")
            there = [name for name in columns if name in found.schema.names] if columns is not None else None
            lacking = dict.fromkeys(columns or ())  # an earlier version wrote fewer columns
            for batch in found.to_batches(columns=there, batch_size=PAGE):
                if batch.num_rows:
                    yield [lacking | row for row in batch.to_pylist()]
        except (ArrowException, OSError) as exc:
            raise StoreUnavailable(f"{self.name} cannot be read: {exc}") from exc


def _file_system(fs: Any, root: str) -> tuple[Any, str]:
    if "://" in root:
        files, path = fs.FileSystem.from_uri(root.replace("s3a://", "s3://", 1))
        return files, path.rstrip("/")
    return fs.LocalFileSystem(), root.rstrip("/")


def _in_utc(value: object) -> object:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
