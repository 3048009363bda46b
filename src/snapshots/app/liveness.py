"""Begin a run, and end those of its kind that died without recording an end."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from snapshots.app.ports.database import Stores
from snapshots.app.ports.runs import RunKind, RunState

LATEST = 100
"""Among how many loads those are looked for that died; older ones count as dead for their silence."""


class ProcessLiveness(Protocol):
    """Knows which process this is, and whether another one still runs."""

    @property
    def name(self) -> str:
        """Return the name of this process; "" if it has none."""
        ...

    def is_dead(self, name: str) -> bool:
        """Whether a process is known to have ended."""
        ...


def begin_run(
    stores: Stores, run: str, kind: RunKind, *, at: datetime, settings: Mapping[str, str] | None = None
) -> None:
    """Begin a run, and end those of its kind that had no heartbeat for long."""
    for record in stores.runs.latest(limit=LATEST, kinds=[kind]):
        if record.state_at(at) is not record.state:
            stores.runs.end(record.run, record.state_at(at), at=record.heartbeat_at)
    stores.runs.begin(run, kind, at=at, settings=settings)


def begin_load(stores: Stores, run: str, presence: ProcessLiveness, *, at: datetime) -> None:
    """Begin a load, and end those whose processes are gone."""
    for record in stores.runs.latest(limit=LATEST, kinds=[RunKind.LOAD]):
        if record.state is RunState.RUNNING and presence.is_dead(record.settings.get("process", "")):
            stores.runs.end(record.run, RunState.FAILED, at=record.heartbeat_at)
    begin_run(stores, run, RunKind.LOAD, at=at, settings={"process": presence.name})
