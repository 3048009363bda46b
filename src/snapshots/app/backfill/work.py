"""A run as a sequence of stages, each over ranges of rows that workers process in batches."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill_runs import Checkpoint
from snapshots.app.errors import RunTaken
from snapshots.app.ports.database import Stores, WriteLock
from snapshots.app.ports.key_range import WHOLE, KeyRange
from snapshots.app.ports.runs import RunRecord, RunState


class BatchResult(NamedTuple):
    """
    What one batch did.

    Attributes:
        last: Position of its last row, after which the next batch of the range starts; "" if nothing is left.
        handled: Rows in the batch.
        counts: Results by name, such as sealed:asof.
    """

    last: str
    handled: int
    counts: Mapping[str, int]


NOTHING_LEFT = BatchResult("", 0, {})

Write = Callable[[Stores], BatchResult]
"""Writes one batch in an open transaction."""


def writing(write: Callable[[Stores, KeyRange, int], BatchResult]) -> Callable[[KeyRange, int], Write]:
    """Return a `Stage.batch` that needs no preparation outside of its transaction."""
    return lambda within, limit: lambda stores: write(stores, within, limit)


class RowRef(NamedTuple):
    """A session, by its position in a stage and its ID."""

    place: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    A stage of a run.

    Attributes:
        name: Identifies the stage in checkpoints.
        batch: Prepares the first rows of a range, up to a limit, outside of a transaction; returns what writes them.
            It is called again for each retry.
        count: Returns the number of rows, for progress.
        ranges: Returns the ranges, in the transaction that stores the start of the stage.
        first: Returns the first session of a range without decoding its row, so that it can be skipped if the
            database refuses it; None if no row of this stage can be skipped.
        is_quarantining: Whether a refused session is recorded and skipped by later stages too.
        counts_sessions: Whether `handled` of its batches counts sessions; if not, it counts addresses.
        is_optional: Whether the stage is skipped if `count` returns 0.
        writes_only_staging: Whether it writes only staging tables, which a dry run writes too.
        workers: Maximum number of workers. Several workers share the write lock.
        throttle: Overrides the throttle of the run.
        on_rollback: Called after each rollback of a batch, retries included.
        on_end: Called when the workers have ended.
    """

    name: str
    batch: Callable[[KeyRange, int], Write]
    count: Callable[[Stores], int]
    ranges: Callable[[Stores], Sequence[KeyRange]] = lambda _: (WHOLE,)
    first: Callable[[Stores, KeyRange], RowRef | None] | None = None
    is_quarantining: bool = True
    counts_sessions: bool = True
    is_optional: bool = False
    writes_only_staging: bool = False
    workers: int = 1
    throttle: Throttle | None = None
    on_rollback: Callable[[], None] = lambda: None
    on_end: Callable[[], None] = lambda: None

    @property
    def lock(self) -> WriteLock:
        """Return the lock that each transaction takes."""
        return WriteLock.SHARED if self.workers > 1 else WriteLock.EXCLUSIVE


@dataclass(slots=True)
class Work:
    """
    A run in progress, or a dry run.

    Attributes:
        run: The run that writes.
        stages: Its stages, in order.
        throttle: How fast it works.
        checkpoint: How far it is.
        counts: Results so far, by name.
        is_dry_run: Whether every transaction is rolled back, except those of stages that write only staging.
        quarantined: Sessions that the database refused, each with the reason.
        owner: Token of the process that executes the run. A resume replaces it, and the former process stops.
        lock: Held by the worker that updates `counts` and `checkpoint`, until they are committed.
    """

    run: str
    stages: Sequence[Stage]
    throttle: Throttle
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    counts: Counter[str] = field(default_factory=Counter)
    is_dry_run: bool = False
    quarantined: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    lock: Lock = field(default_factory=Lock)

    @property
    def stages_left(self) -> Sequence[Stage]:
        """Return the current stage and those after it."""
        names = [stage.name for stage in self.stages]
        return self.stages[names.index(self.checkpoint.stage) if self.checkpoint.stage in names else 0 :]

    def is_owner_of(self, record: RunRecord | None) -> bool:
        """Whether the run is still running, and executed by this process."""
        return (
            record is not None and record.state is RunState.RUNNING and record.settings.get("owner", "") == self.owner
        )

    def owned_record(self, stores: Stores, *, for_update: bool = False) -> RunRecord:
        """
        Return the record of the run.

        Args:
            stores: A transaction.
            for_update: As for `Runs.find`.

        Raises:
            RunTaken: Another process took the run over or ended it.
        """
        record = stores.runs.find(self.run, for_update=for_update)
        if record is None or not self.is_owner_of(record):
            raise RunTaken(f"the run {self.run} was ended, or was resumed by another process")
        return record
