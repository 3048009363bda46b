"""A run as a sequence of stages, and its checkpoint."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from snapshots.app.backfill.throttle import Throttle
from snapshots.app.ports.database import Stores, WriteLock
from snapshots.app.ports.runs import RunState

END = "\U0010ffff"
"""A position after all others: the last stage is complete."""


class BatchResult(NamedTuple):
    """
    What one batch did.

    Attributes:
        last: Position of its last row, after which the next batch starts; "" if nothing is left.
        handled: Rows in the batch.
        counts: Results by name, such as sealed:asof.
    """

    last: str
    handled: int
    counts: Mapping[str, int]


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
        step: Processes one batch in an open transaction: the rows after a position, up to a limit.
        count: Returns the number of rows, for progress.
        first: Returns the first session after a position without decoding its row, so that it can be quarantined; None
            if this stage quarantines nothing.
        counts_sessions: Whether `handled` of its batches counts sessions; if not, it counts addresses.
        is_optional: Whether the stage is skipped if `count` returns 0.
        throttle: Overrides the throttle of the run.
        on_rollback: Called after each rollback of a batch, retries included.
        setup: Another stage that runs first, from its start also after a resume. It has no checkpoint.
        context: Context manager around the whole stage, e.g. to start and stop a second worker.
        after_commit: Called with the position of a committed batch; returns the position to continue after, "" if
            a parallel worker has processed the rest.
    """

    name: str
    step: Callable[[Stores, str, int], BatchResult]
    count: Callable[[Stores], int]
    first: Callable[[Stores, str], RowRef | None] | None = None
    counts_sessions: bool = True
    is_optional: bool = False
    throttle: Throttle | None = None
    on_rollback: Callable[[], None] = lambda: None
    setup: "Stage | None" = None
    context: "Callable[[Work], AbstractContextManager[object]]" = nullcontext
    after_commit: Callable[[str], str] = lambda place: place


@dataclass(slots=True)
class Work:
    """
    A run in progress, or a dry run.

    Attributes:
        run: The run that writes.
        stages: Its stages, in order.
        throttle: How fast it works.
        checkpoint: Where it resumes; "" at the start.
        counts: Results so far, by name.
        is_dry_run: Whether every transaction is rolled back.
        quarantined: Sessions that the database refused, each with the reason.
        owner: Token of the process that executes the run. A resume replaces it, and the former process stops.
        counts_lock: Held by the thread that updates `counts`, until they are committed.
        is_parallel: Whether a second worker writes too.
        parallel_count: Rows of the second worker that were not reported to the observer yet.
    """

    run: str
    stages: Sequence[Stage]
    throttle: Throttle
    checkpoint: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    is_dry_run: bool = False
    quarantined: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    counts_lock: Lock = field(default_factory=Lock)
    is_parallel: bool = False
    parallel_count: int = 0

    @property
    def lock(self) -> WriteLock:
        """Return the lock that each transaction takes."""
        return WriteLock.LEADER if self.is_parallel else WriteLock.EXCLUSIVE

    def is_owned(self, stores: Stores) -> bool:
        """Whether the run is still running and owned by this process."""
        record = stores.runs.find(self.run)
        return (
            record is not None and record.state is RunState.RUNNING and record.settings.get("owner", "") == self.owner
        )


def checkpoint_after(work: Work, stage: str, last: str) -> str | None:
    """
    Return the checkpoint after a batch; after the last batch of a stage it is the start of the next stage.

    Args:
        work: The run.
        stage: The name of the stage.
        last: Position of the last row of the batch; "" if nothing is left.

    Returns:
        None for a setup stage, which is repeated after a resume.
    """
    names = [each.name for each in work.stages]
    if stage not in names:
        return None
    if last:
        return json.dumps({"stage": stage, "after": last})
    following = names[names.index(stage) + 1 :]
    return json.dumps({"stage": following[0] if following else stage, "after": "" if following else END})
