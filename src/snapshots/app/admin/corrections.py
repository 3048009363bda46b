"""Change or delete sealed sessions, with an audit row for each change."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from snapshots.app.backfill_runs import still_counting
from snapshots.app.errors import NoSuchSession
from snapshots.app.ports.audit import Pruned
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.snapshot import IpSnapshot


class AuditedChanges:
    """
    Corrects and prunes sealed sessions. Each call is a run, and its audit rows cannot be changed.

    Args:
        database: Holds the sessions.
        runtime: Clock, stopwatch, sleep and run names.
    """

    def __init__(self, database: Database, *, runtime: Runtime) -> None:
        self._database = database
        self._runtime = runtime

    def correct(
        self,
        session_id: str,
        *,
        reason: str,
        asn: int | None = None,
        country: str | None = None,
        ip_type: IpType | None = None,
    ) -> tuple[IpSnapshot | None, IpSnapshot]:
        """
        Correct facts of a sealed session; a fact that is None stays as it is.

        If the last correction of the session has the same facts and the same reason, nothing is changed, so that a
        correction can be repeated after a crash.

        Returns:
            The previous and the new snapshot, equal if nothing was changed; the previous one is None if another loader
            wrote it and it cannot be parsed.

        Raises:
            NoSuchSession: The session does not exist, or is open.
            InvalidFact: No fact is given, or a fact is out of range.
            StoreUnavailable: The database refused; nothing was changed.
        """
        now = self._runtime.now()
        with self._database.transaction() as stores:
            before = self._held(stores, session_id)
            after = IpSnapshot.corrected(before, asn=asn, country=country, ip_type=ip_type, at=now)
            if before is not None and _is_repeated(before, after) and stores.audit.last_reason(session_id) == reason:
                return before, before
            with self._run(stores, RunKind.CORRECT, now) as run:
                stores.audit.correct(session_id, after, reason=reason, run=run, made_at=now)
        return before, after

    def take_out_sentinels(self, *, reason: str, dry_run: bool) -> int:
        """
        Remove placeholders that another loader stored for unknown facts, such as the country "XX".

        Args:
            reason: Reason, stored with each correction.
            dry_run: Only count.

        Returns:
            The number of corrected sessions; those without any other fact are open afterwards.

        Raises:
            StoreUnavailable: The database refused; nothing was changed.
        """
        now = self._runtime.now()
        with self._database.transaction() as stores:
            if dry_run:
                return stores.audit.count_sentinels()
            with self._run(stores, RunKind.CORRECT, now) as run:
                return stores.audit.take_out_sentinels(reason=reason, run=run, made_at=now)

    def prune(self, before: datetime, *, dry_run: bool) -> Pruned:
        """
        Delete the sessions that ended before a time. Addresses stay, with the counts of the remaining sessions.

        Args:
            before: The time, aware, in UTC.
            dry_run: Only count.

        Raises:
            StoreUnavailable: The database refused; nothing was deleted.
        """
        now = self._runtime.now()
        with self._database.transaction() as stores:
            if dry_run:
                return stores.audit.would_prune(before)
            with self._run(stores, RunKind.PRUNE, now) as run:
                pruned = stores.audit.prune(before, run=run, made_at=now, uncounted=still_counting(stores))
                stores.runs.add_settings(run, {"before": before.isoformat()})
                stores.runs.record_progress(run, {"sessions": pruned.sessions, "events": pruned.events}, at=now)
                return pruned

    @contextmanager
    def _run(self, stores: Stores, kind: RunKind, now: datetime) -> Iterator[str]:
        run = self._runtime.new_run()
        stores.runs.begin(run, kind, at=now)
        yield run
        stores.runs.end(run, RunState.DONE, at=now)

    @staticmethod
    def _held(stores: Stores, session_id: str) -> IpSnapshot | None:
        logged_id = session_id.partition("~")[0]
        found = stores.sessions.find_summaries({session_id: (), logged_id: ()}).values()
        for session in (summary for summaries in found for summary in summaries):
            if session.session_id == session_id and session.is_sealed:
                return session.snapshot
        raise NoSuchSession(
            f"there is no sealed session {session_id!r}; `snapshots explain` shows why a session has no snapshot"
        )


def _is_repeated(before: IpSnapshot, after: IpSnapshot) -> bool:
    """Whether a correction states the facts of an earlier one."""
    return replace(before, enrichment_at=after.enrichment_at, source=after.source) == after
