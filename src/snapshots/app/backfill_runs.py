"""Checkpoints and states of backfill runs, which other commands depend on."""

import json
from collections.abc import Mapping, Sequence

from snapshots.app.ports.database import Stores
from snapshots.app.ports.runs import RunKind, RunRecord, RunState

COUNTING = "count"
"""Name of the last stage of a backfill, in checkpoints."""


def unfinished(stores: Stores) -> Sequence[RunRecord]:
    """Return the backfills that are neither complete nor undone, newest first."""
    ended = (RunState.DONE, RunState.UNDONE)
    return [r for r in stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL]) if r.state not in ended]


def counted_until(record: RunRecord) -> str:
    """Return the last address whose found sessions a backfill added to the counters; "" for none."""
    return left_at(record.checkpoint, COUNTING)


def left_at(checkpoint: str, stage: str) -> str:
    """Return the position after which a stage continues; "" if the checkpoint is in another stage."""
    left = json.loads(checkpoint) if checkpoint else {}
    return str(left["after"]) if left.get("stage") == stage else ""


def still_counting(stores: Stores) -> Mapping[str, str]:
    """Return the backfills that are neither complete nor undone, each with its last counted address."""
    return {record.run: counted_until(record) for record in unfinished(stores)}


def last_done(stores: Stores) -> RunRecord | None:
    """Return the newest complete backfill; None if there is none."""
    runs = stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL])
    return next((record for record in runs if record.state is RunState.DONE), None)
