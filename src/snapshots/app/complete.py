"""Complete sessions whose address learned something after they were judged."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from snapshots.app.enrich import SnapshotService
from snapshots.app.ports import Clock, Database
from snapshots.app.run_ports import RunKind, RunState
from snapshots.app.session_ports import Judged
from snapshots.domain.gap import Gap

PAGE = 1000

SIGN_OF_LIFE = timedelta(minutes=10)
"""A load that was not heard of for so long has died, and others may judge what it left waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """
    What judging open sessions again did.

    Attributes:
        run: The run that wrote; None if there was nothing to do.
        judged: Sessions that were judged again.
        sealed: Those that received their snapshot.
    """

    run: str | None = None
    judged: int = 0
    sealed: int = 0


class LateCompletion:
    """
    Judges open sessions again, once for each time that their address learned something.

    Args:
        database: Where the sessions are.
        service: Gives the snapshots.
        clock: Tells when sessions were judged.
        new_run: Makes the name of a run.
    """

    def __init__(
        self, database: Database, service: SnapshotService, *, clock: Clock, new_run: Callable[[], str]
    ) -> None:
        self._database = database
        self._service = service
        self._clock = clock
        self._new_run = new_run

    def complete(self, *, learned_from: datetime | None = None) -> Completed:
        """
        Judge what is to be judged, in pages of one transaction each.

        Args:
            learned_from: Do nothing unless an address that is older learned something since then; None to look.

        Raises:
            StoreUnavailable: The database failed; whole pages are done, and the same call goes on.
        """
        run, after, judged, sealed = self._new_run(), "", 0, 0
        if learned_from is not None:
            with self._database.transaction() as stores:
                if not stores.open_sessions.may_have_learned(since=learned_from):
                    return Completed()
        while True:
            now = self._clock.now()
            with self._database.transaction() as stores:
                page = stores.open_sessions.learned_since(
                    run=run, silent_since=now - SIGN_OF_LIFE, after=after, limit=PAGE
                )
                if page and not judged:
                    stores.runs.begin(run, RunKind.LATE, at=now)
                verdicts = self._service.judge([s.sighting for s in page if s.sighting is not None], stores)
                settled = [
                    Judged(session=s, verdict=verdicts[s.sighting] if s.sighting is not None else Gap.NO_SOURCE_IP)
                    for s in page
                ]
                stores.open_sessions.settle(settled, run=run, settled_at=now)
                judged += len(page)
                sealed += sum(not isinstance(each.verdict, Gap) for each in settled)
                if not page:
                    if judged:
                        stores.runs.note(run, {"judged": judged, "sealed": sealed}, at=now)
                        stores.runs.end(run, RunState.DONE, at=now)
                    return Completed(run=run if judged else None, judged=judged, sealed=sealed)
            after = page[-1].session_id
