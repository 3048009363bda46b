"""How far backfills have come, for other commands too."""

import json
from collections.abc import Mapping, Sequence

from snapshots.app.ports.database import Stores
from snapshots.app.ports.runs import RunKind, RunRecord, RunState

COUNTING = "count"


def unfinished(stores: Stores) -> Sequence[RunRecord]:
    """Return the backfills that did not come to their end and were not undone, the newest first."""
    ended = (RunState.DONE, RunState.UNDONE)
    return [r for r in stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL]) if r.state not in ended]


def counted_until(record: RunRecord) -> str:
    """Return up to which address a backfill counted in the inventory the sessions whose address it found."""
    return left_at(record.checkpoint, COUNTING)


def left_at(checkpoint: str, stage: str) -> str:
    """Return the place behind which a stage goes on from a checkpoint; "" if it is another's."""
    left = json.loads(checkpoint) if checkpoint else {}
    return str(left["after"]) if left.get("stage") == stage else ""


def still_counting(stores: Stores) -> Mapping[str, str]:
    """Return the backfills that did not come to their end, each with the address up to which it counted."""
    return {record.run: counted_until(record) for record in unfinished(stores)}


def last_done(stores: Stores) -> RunRecord | None:
    """Return the newest backfill that came to its end."""
    runs = stores.runs.latest(limit=1000, kinds=[RunKind.BACKFILL])
    return next((record for record in runs if record.state is RunState.DONE), None)
