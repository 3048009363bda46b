"""Port for runs: the record of every execution that writes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

HEARTBEAT_TIMEOUT = timedelta(minutes=10)
"""A run without a heartbeat for this long counts as dead; other runs may take over its sessions."""


class RunKind(Enum):
    """What a run does."""

    LOAD = "load"
    IMPORT = "import"
    REFRESH = "refresh"
    RETRACT = "retract"
    LATE = "late"
    CORRECT = "correct"
    PRUNE = "prune"
    BACKFILL = "backfill"
    IMPROVE = "improve"
    UNDO = "undo"


class RunState(Enum):
    """State of a run."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNDONE = "undone"

    @classmethod
    def after(cls, error: BaseException) -> "RunState":
        """Return the state of a run that an error ended: Ctrl-C interrupts it, anything else fails it."""
        return cls.INTERRUPTED if isinstance(error, KeyboardInterrupt) else cls.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """
    The record of a run.

    Attributes:
        run: Name of the run.
        kind: What it does.
        state: Recorded state; see `state_at`.
        began_at: Start time.
        heartbeat_at: Time of the last recorded progress or heartbeat.
        ended_at: End time; None while the run is running, and if its process died.
        counts: Progress so far, by name.
        settings: Opaque settings of this kind of run.
        checkpoint: Opaque resume point of this kind of run; "" at the start.
    """

    run: str
    kind: RunKind
    state: RunState
    began_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    checkpoint: str = ""

    def state_at(self, now: datetime) -> RunState:
        """Return the state, but INTERRUPTED for a running run without a heartbeat for `HEARTBEAT_TIMEOUT`."""
        is_cut_off = self.state is RunState.RUNNING and now - self.heartbeat_at >= HEARTBEAT_TIMEOUT
        return RunState.INTERRUPTED if is_cut_off else self.state


class Runs(Protocol):
    """
    The runs: executions that write.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def begin(self, run: str, kind: RunKind, *, at: datetime, settings: Mapping[str, str] | None = None) -> None:
        """Record that a run begins; repeating it, after a commit whose answer was lost, leaves one record."""
        ...

    def record_progress(
        self, run: str, counts: Mapping[str, int] | None, *, at: datetime, checkpoint: str | None = None
    ) -> None:
        """Record a heartbeat of a run, and replace its counts and its checkpoint, each unless it is None."""
        ...

    def add_settings(self, run: str, settings: Mapping[str, str]) -> None:
        """Merge settings into those of a run."""
        ...

    def resume(self, run: str, *, at: datetime) -> None:
        """Record that a run continues."""
        ...

    def find(self, run: str, *, for_update: bool = False) -> RunRecord | None:
        """
        Return the record of a run; None if it does not exist.

        Args:
            run: Its name.
            for_update: Wait for transactions that change the record, and keep others from changing it.
        """
        ...

    def names(self, beginning: str, *, limit: int) -> Sequence[str]:
        """Return the names of at most *limit* runs that begin like this, in order."""
        ...

    def latest(self, *, limit: int, kinds: Collection[RunKind] = tuple(RunKind)) -> Sequence[RunRecord]:
        """Return the newest runs of some kinds, the newest first."""
        ...

    def mark_undone(self, run: str) -> None:
        """Record that a run was undone; its end time stays."""
        ...

    def quarantine(self, run: str, session_id: str, reason: str, *, at: datetime) -> None:
        """Record a session that a run skips, and why; the first reason stays."""
        ...

    def quarantined_by(self, run: str) -> Mapping[str, str]:
        """Return the sessions that a run quarantined, each with the reason."""
        ...

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        """Record that a run ended."""
        ...
