"""Complete sessions whose address learned something after they were judged."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from snapshots.app.ports import Clock, Database
from snapshots.app.run_ports import RunKind, RunState
from snapshots.app.session_ports import OpenCase
from snapshots.app.settle import Settling
from snapshots.domain.snapshot import IpSnapshot

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
        settling: Judges a page of them.
        clock: Tells when sessions were judged.
        new_run: Makes the name of a run.
    """

    def __init__(self, database: Database, settling: Settling, *, clock: Clock, new_run: Callable[[], str]) -> None:
        self._database = database
        self._settling = settling
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
        try:
            return self._completed(learned_from)
        except BaseException:
            self._settling.forget()
            raise

    def _completed(self, learned_from: datetime | None) -> Completed:
        run, after, judged, sealed = self._new_run(), "", 0, 0
        if learned_from is not None:
            with self._database.transaction() as stores:
                if not stores.open_sessions.may_have_learned(since=learned_from):
                    return Completed()
        while True:
            now = self._clock.now()
            with self._database.transaction() as stores:
                silent_since = now - SIGN_OF_LIFE
                found = self._settling.read(
                    OpenCase.LEARNED, stores, run=run, silent_since=silent_since, after=after, limit=PAGE
                )
                page = self._settling.settle(found, stores, run=run, now=now)
                if page.judged and not judged:
                    stores.runs.begin(run, RunKind.LATE, at=now)
                judged += len(page.judged)
                written = [each for each in page.judged if each.session.session_id not in page.lost]
                sealed += sum(isinstance(each.verdict, IpSnapshot) for each in written)
                if judged:
                    stores.runs.note(run, {"judged": judged, "sealed": sealed}, at=now)
                if not page.last:
                    if judged:
                        stores.runs.end(run, RunState.DONE, at=now)
                    return Completed(run=run if judged else None, judged=judged, sealed=sealed)
            after = page.last
