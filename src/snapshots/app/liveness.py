"""Begin runs, end those that died without recording an end, and record a failure where it happens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Protocol

from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.runtime import Clock

LATEST = 100
"""Number of newest runs that are checked for dead ones; older ones count as dead for lack of a heartbeat."""


class ProcessLiveness(Protocol):
    """Detects processes that have ended. Process names are opaque and unique across machines and restarts."""

    @property
    def name(self) -> str:
        """Return the name of this process; "" if it has none."""
        ...

    def is_dead(self, name: str) -> bool:
        """Whether a process is known to have ended; False if it cannot be determined."""
        ...


def begin_run(
    stores: Stores, run: str, kind: RunKind, *, at: datetime, settings: Mapping[str, str] | None = None
) -> None:
    """Begin a run, and end the runs of its kind that are without a heartbeat for `HEARTBEAT_TIMEOUT`."""
    for record in stores.runs.latest(limit=LATEST, kinds=[kind]):
        if record.state_at(at) is not record.state:
            stores.runs.end(record.run, record.state_at(at), at=record.heartbeat_at)
    stores.runs.begin(run, kind, at=at, settings=settings)


def begin_load(stores: Stores, run: str, liveness: ProcessLiveness, *, at: datetime) -> None:
    """Begin a load, and end the loads whose processes have ended."""
    for record in stores.runs.latest(limit=LATEST, kinds=[RunKind.LOAD]):
        if record.state is RunState.RUNNING and liveness.is_dead(record.settings.get("process", "")):
            stores.runs.end(record.run, RunState.FAILED, at=record.heartbeat_at)
    begin_run(stores, run, RunKind.LOAD, at=at, settings={"process": liveness.name})


@contextmanager
def failing(run: str, database: Database, clock: Clock) -> Iterator[None]:
    """
    Record the end of a run if the block raises: interrupted after Ctrl-C, otherwise failed. The error is raised again.

    A run that has not begun, or that was ended already, is left as it is.
    """
    try:
        yield
    except BaseException as error:
        with suppress(StoreUnavailable), database.transaction() as stores:  # else it soon counts as dead
            record = stores.runs.find(run)
            if record is not None and record.state is RunState.RUNNING:
                stores.runs.end(run, RunState.after(error), at=clock.now())
        raise
