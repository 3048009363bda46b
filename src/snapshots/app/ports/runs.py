"""What is recorded of the executions that write."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

HEARTBEAT_TIMEOUT = timedelta(minutes=10)
"""A run without a heartbeat for this long counts as dead; others may take over what it left."""


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
    """How a run stands."""

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
    What is recorded of a run.

    Attributes:
        run: Its name.
        kind: What it does.
        state: How it stands.
        began_at: When it began.
        heard_at: When it was heard of last.
        ended_at: When it ended; None while it runs, and if it died.
        counts: What it did so far.
        settings: By what it works; what they mean is its own affair.
        position: How far it is, in its own words; "" at the beginning.
    """

    run: str
    kind: RunKind
    state: RunState
    began_at: datetime
    heard_at: datetime
    ended_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    position: str = ""

    def state_at(self, now: datetime) -> RunState:
        """Return how the run stands: one that is recorded as running, but had no heartbeat for long, was cut off."""
        is_cut_off = self.state is RunState.RUNNING and now - self.heard_at >= HEARTBEAT_TIMEOUT
        return RunState.INTERRUPTED if is_cut_off else self.state


class Runs(Protocol):
    """
    The executions that write.

    Every implementation passes tests/contracts/test_ledger.py.
    """

    def begin(self, run: str, kind: RunKind, *, at: datetime, settings: Mapping[str, str] | None = None) -> None:
        """Record that a run begins."""
        ...

    def note(self, run: str, counts: Mapping[str, int] | None, *, at: datetime, position: str | None = None) -> None:
        """Replace the counts and the position of a run, each unless it is None; record that it is alive."""
        ...

    def remember(self, run: str, settings: Mapping[str, str]) -> None:
        """Add to the settings of a run."""
        ...

    def resume(self, run: str, *, at: datetime) -> None:
        """Record that a run goes on."""
        ...

    def find(self, run: str) -> RunRecord | None:
        """Return what is recorded of a run; None if there is none of that name."""
        ...

    def latest(self, *, limit: int, kinds: Collection[RunKind] = tuple(RunKind)) -> Sequence[RunRecord]:
        """Return the runs of some kinds that began last, the newest first."""
        ...

    def mark_undone(self, run: str) -> None:
        """Record that what a run wrote was taken back; when it ended stays."""
        ...

    def set_aside(self, run: str, session_id: str, reason: str, *, at: datetime) -> None:
        """Record that a run went on without a session, and why."""
        ...

    def set_aside_by(self, run: str) -> Mapping[str, str]:
        """Return the sessions that a run went on without, each with the reason."""
        ...

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        """Record that a run ended."""
        ...
