"""What is recorded of the executions that write."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Protocol


class RunKind(Enum):
    """What a run does."""

    LOAD = "load"
    IMPORT = "import"
    REFRESH = "refresh"
    RETRACT = "retract"
    LATE = "late"
    CORRECT = "correct"
    PRUNE = "prune"


class RunState(Enum):
    """How a run stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Runs(Protocol):
    """
    The executions that write.

    Every implementation passes tests/contracts/test_runs.py.
    """

    def begin(self, run: str, kind: RunKind, *, at: datetime) -> None:
        """Record that a run begins."""
        ...

    def note(self, run: str, counts: Mapping[str, int], *, at: datetime) -> None:
        """Replace the counts of a run, and record that it is alive."""
        ...

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        """Record that a run ended."""
        ...
