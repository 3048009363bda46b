"""
Ports of a cluster that loads logs in many partitions.

Each partition runs the same steps as a load on one machine, in another process and maybe on another machine. A
partition may run twice or stop half-way, so every function given to the cluster can be pickled and is idempotent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from snapshots.app.load.batch import LoadReport
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent
from snapshots.domain.session.session import SessionAggregate

Row = Mapping[str, object]
"""A stored session by column: text, integers, booleans, bytes, and times in UTC."""

Files = Mapping[str, str]
"""Local paths of files that were distributed to the workers, by their paths on the driver."""


class LineParser(Protocol):
    """Decodes single lines of a log file that is read in partitions."""

    def parse(self, line: bytes, start: int) -> Sequence[LogEvent | BadLine]:
        """Return the events and bad lines in the line at a byte offset; nothing if it is blank."""
        ...


RowsOfPart = Callable[[str, Iterator[Row], Iterator[SessionAggregate], Files], Iterator[Row]]
"""Returns all rows of a partition for a run: the stored ones, merged with the sessions that were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetInput:
    """
    The logs of a load.

    Attributes:
        paths: Files, folders and glob patterns of any file system that the engine supports.
        only: Glob pattern for the names of files in folders; None for the default.
        options: How lines are decoded.
    """

    paths: Sequence[str]
    only: str | None = None
    options: LineOptions


class Fleet(Protocol):
    """A cluster that loads and backfills folders of Parquet files."""

    def load(self, source: FleetInput, to: str, *, facts_db: str | None) -> LoadReport:
        """
        Load logs into a folder, and give every session its snapshot.

        Args:
            source: The logs.
            to: A folder of any file system that the engine supports.
            facts_db: URL of a database whose imported facts are used too; None for none.

        Raises:
            SettingRefused: The engine is not installed, or *to* is not a folder.
            NothingToRead: A path of the input does not exist.
            StoreUnavailable: The engine or the folder failed; run the same load again.
        """
        ...

    def backfill(self, at: str, *, facts_db: str | None) -> Mapping[str, int]:
        """
        Compute the missing snapshots of stored sessions.

        Args:
            at: The folder, as for `load`.
            facts_db: As for `load`.

        Returns:
            Counts by name: sessions evaluated, sealed by method, left open by reason.
        """
        ...
