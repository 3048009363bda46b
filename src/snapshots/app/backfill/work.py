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
"""Behind every place."""


class BatchResult(NamedTuple):
    """What one batch did: the place to go on behind ("" if nothing is left), how many, and what became of them."""

    last: str
    handled: int
    counts: Mapping[str, int]


class RowRef(NamedTuple):
    """One session of a stage, by its place and its name."""

    place: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    A part of the work.

    Attributes:
        name: By which it is resumed.
        step: Does a batch behind a place, of at most so many, within a transaction.
        count: Returns how many there are, for whoever watches.
        first: Returns the first session behind a place, without looking at it closely; None where none is set aside.
        counts_sessions: Whether `handled` of its batches counts sessions; if not, it counts addresses.
        is_optional: Whether it is left out where there are none.
        throttle: How fast, where that is not for whoever began the work to say.
        forget: Is called when a batch was rolled back, however often it is tried again.
        before: What is done before it, and anew where it is resumed.
        beside: Opens a block in which all of that is done, maybe helped by another thread.
        go_on: Is called with the place behind a batch when that is stored, and returns the place to go on behind; ""
            if another thread has done the rest.
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
    A run that is under way, or a rehearsal of one.

    Attributes:
        run: The run that writes.
        owner: Who carries it on; a run that somebody else took over, or that was ended, is left to them.
        stages: Its parts, in order.
        throttle: How fast.
        checkpoint: Where it was left.
        counts: What it did so far.
        is_dry_run: Whether nothing is stored.
        quarantined: Sessions that the database refused, each with the reason.
        counts_lock: Is held by the thread that writes counts, until they are stored.
        is_parallel: Whether another thread works beside.
        parallel_count: How many that thread did of which no observer was told.
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
        """Return who may write at the same time."""
        return WriteLock.LEADER if self.is_parallel else WriteLock.EXCLUSIVE

    def is_owned(self, stores: Stores) -> bool:
        """Whether the run is still under way, by this owner."""
        record = stores.runs.find(self.run)
        return (
            record is not None and record.state is RunState.RUNNING and record.settings.get("owner", "") == self.owner
        )


def checkpoint_after(work: Work, stage: str, last: str) -> str | None:
    """
    Return the checkpoint of work after a batch; after the last one of a stage it is the start of the next.

    Args:
        work: The work.
        stage: The name of the stage.
        last: The place behind the batch; "" if nothing is left.
    """
    names = [each.name for each in work.stages]
    if stage not in names:
        return None  # what is done before one is done anew
    if last:
        return json.dumps({"stage": stage, "after": last})
    following = names[names.index(stage) + 1 :]
    return json.dumps({"stage": following[0] if following else stage, "after": "" if following else END})
