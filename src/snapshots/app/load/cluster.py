"""
What loading in many parts at once needs from the world.

Each part is stored by the same steps as on one machine, in a process of its own, maybe on another machine, maybe twice
and maybe only half: whatever is called for a part can be sent to another process, and calling it again changes nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from snapshots.app.load.batch import LoadReport, ReadSession
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent
from snapshots.app.ports.logs import DeadLetter
from snapshots.app.ports.open_sessions import KeyRange

Row = Mapping[str, object]
"""A stored session, as the columns of its row: texts, whole numbers, truth values, moments in UTC, bytes."""

Files = Mapping[str, str]
"""Where files that were sent along are on this machine, by their names where they came from."""


class PartLines(Protocol):
    """Tells what lines say that another program reads, in parts of files."""

    def said(self, line: bytes, start: int) -> Sequence[LogEvent | BadLine]:
        """Return what a line says that starts at an offset; nothing if it is blank."""
        ...


StorePart = Callable[[str, Iterator[ReadSession], Files], LoadReport]
"""Stores sessions of a part in the database, for a run."""

RowsOfPart = Callable[[str, Iterator[Row], Iterator[ReadSession], Files], Iterator[Row]]
"""Returns the rows of a part: those that were stored before, with what was read since, all of them."""

JudgeSpan = Callable[[str, KeyRange, Files], Mapping[str, int]]
"""Judges the sessions of a span in the database, for a run, and returns what became of them, by name."""

StoreDeadLetters = Callable[[str, Collection[DeadLetter]], int]
"""Stores lines that could not be loaded, for a run, and returns how many were new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetInput:
    """
    What is loaded.

    Attributes:
        paths: Files, folders and patterns, of any file system that the engine knows.
        only: A pattern for the names of files in folders; None for all.
        options: How lines are read.
    """

    paths: Sequence[str]
    only: str | None = None
    options: LineOptions


class Fleet(Protocol):
    """An engine that works on many machines."""

    def load(self, source: FleetInput, to: str, *, facts_db: str | None) -> LoadReport:
        """
        Load logs into a database or a folder, and give every session its snapshot.

        Args:
            source: What to load.
            to: The URL of a PostgreSQL database, or a folder of any file system that the engine knows.
            facts_db: A database whose imported tables are believed too, for a folder; None for none.

        Raises:
            SettingRefused: The engine is not installed, or cannot write there.
            NothingToRead: There is no such file.
            StoreUnavailable: The engine or a store failed; the same call goes on.
        """
        ...

    def backfill(self, at: str, *, facts_db: str | None) -> Mapping[str, int]:
        """
        Give stored sessions the snapshots that they lack.

        Args:
            at: Where they are, as for `load`.
            facts_db: As for `load`.

        Returns:
            How many were judged, sealed and left open, by name.
        """
        ...
