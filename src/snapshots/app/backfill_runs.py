"""Checkpoints and states of backfill runs, which other commands depend on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from snapshots.app.ports.database import Stores
from snapshots.app.ports.key_range import WHOLE, KeyRange
from snapshots.app.ports.runs import RunKind, RunRecord, RunState

COUNTING = "count"
"""Name of the last stage of a backfill, in checkpoints."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    How far a run is.

    Attributes:
        stage: The current stage; "" before the first one.
        left: The ranges of the stage that are not complete, each with its progress as its start.
    """

    stage: str = ""
    left: tuple[KeyRange, ...] = ()

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the checkpoint in a stored text; older versions stored one position instead of ranges."""
        if not text:
            return cls()
        stored = json.loads(text)
        left = stored["left"] if "left" in stored else [(stored["after"], "")]
        return cls(stored["stage"], tuple(KeyRange(after, until) for after, until in left))

    def __str__(self) -> str:
        """Return the text to store."""
        return json.dumps({"stage": self.stage, "left": self.left})

    def after(self, batch: KeyRange, last: str) -> "Checkpoint":
        """
        Return the checkpoint after a batch.

        Args:
            batch: The range of which the batch was the beginning.
            last: Position of the last row of the batch; "" if the range is complete.
        """
        if not last or last == batch.until:
            return Checkpoint(self.stage, tuple(each for each in self.left if each != batch))
        rest = KeyRange(last, batch.until)
        return Checkpoint(self.stage, tuple(rest if each == batch else each for each in self.left))

    def rest_of(self, batch: KeyRange) -> KeyRange | None:
        """Return what is left of a range that may have progressed; None if it is complete."""
        return next((each for each in self.left if each.until == batch.until), None)


def unfinished(stores: Stores) -> Sequence[RunRecord]:
    """Return the backfills that are neither complete nor undone, newest first."""
    ended = (RunState.DONE, RunState.UNDONE)
    return [r for r in stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL]) if r.state not in ended]


def uncounted(record: RunRecord) -> Sequence[KeyRange]:
    """Return the ranges of addresses whose found sessions a run has not added to the counters; only backfills do it."""
    if record.kind is not RunKind.BACKFILL:
        return (WHOLE,)
    if record.state is RunState.DONE:
        return ()
    checkpoint = Checkpoint.of(record.checkpoint)
    return checkpoint.left if checkpoint.stage == COUNTING else (WHOLE,)


def still_counting(stores: Stores) -> Mapping[str, Sequence[KeyRange]]:
    """Return the backfills that are neither complete nor undone, each with its uncounted ranges of addresses."""
    return {record.run: uncounted(record) for record in unfinished(stores)}


def last_done(stores: Stores) -> RunRecord | None:
    """Return the newest complete backfill; None if there is none."""
    runs = stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL])
    return next((record for record in runs if record.state is RunState.DONE), None)


def is_being_undone(stores: Stores, run: str, *, now: datetime) -> bool:
    """Whether another process undoes a run now."""
    undos = stores.runs.latest(limit=1000, kinds=[RunKind.UNDO])
    return any(each.settings.get("undoes") == run and each.state_at(now) is RunState.RUNNING for each in undos)
