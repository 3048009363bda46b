"""Load log lines: aggregate them into sessions, and give every session its snapshot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import LogUnreadable, StoreUnavailable
from snapshots.app.liveness import ProcessLiveness, begin_load
from snapshots.app.load.batch import Batch, BatchSize, LoadReport
from snapshots.app.load.dead_letters import OF_FILES, RejectedLines
from snapshots.app.load.progress import BatchLoaded, LoadObserver
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.log_source import BadLine, LogEvent, LogSource, Mark
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT, RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.app.ports.sessions import SessionChange
from snapshots.app.retry import ignore, retry
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.session_id_reuse import tell_apart
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.snapshot import Method

PAGE = 1000

STILL_WRITTEN = timedelta(hours=1)
"""A file modified within this time may still be written: its incomplete end is read again later."""

LINES_BETWEEN_LOOKS = 255
"""Bit mask of the line count: the stopwatch is read every 256 lines, because reading it for each line is slow."""


class BulkLoader:
    """
    Loads contents of log lines from their bookmarks, one transaction per batch.

    Every event is counted once, no matter how often and in which file it is read. An interrupted load is continued by
    repeating it.

    Args:
        database: The database.
        service: Computes the snapshots.
        completion: Completes open sessions whose address has new facts.
        runtime: Clock, stopwatch, sleep and run names.
        liveness: Detects loads whose process has ended.
        size: Limits of a batch.
        warn: Called with one sentence when retrying takes long.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        completion: LateCompletion,
        *,
        runtime: Runtime,
        liveness: ProcessLiveness,
        size: BatchSize | None = None,
        warn: Callable[[str], None] = ignore,
    ) -> None:
        self._database = database
        self._service = service
        self._completion = completion
        self._runtime = runtime
        self._retried = partial(retry, sleep=runtime.sleep, warn=warn)
        self._liveness = liveness
        self._size = size or BatchSize()

    def load(self, sources: Iterable[LogSource], observer: LoadObserver) -> LoadReport:
        """
        Read every source to its end, and store new events.

        Sessions without a connect receive their snapshot after all sources are read, because the connect may be in
        a later file, and its address takes precedence.

        Args:
            sources: Contents to read, the oldest first.
            observer: Receives the progress.

        Returns:
            Counts of the load.

        Raises:
            StoreUnavailable: The database failed; complete batches are stored, and a repeated call continues.
            SourceUnreadable: A fact source failed; complete batches are stored, and a repeated call continues.
        """
        return self.load_by(lambda run: self.read(run, sources, observer), observer)

    def load_by(
        self, read: Callable[[str], Iterable[LoadReport]], observer: LoadObserver, *, run: str | None = None
    ) -> LoadReport:
        """
        Load as `load` does, but read and store the sources with a given function, such as on a cluster.

        Args:
            read: Reads and stores everything for a run; yields a report of each step.
            observer: Receives the progress of the sessions that are completed at the end.
            run: Name of the run; None for a new one.

        Returns:
            Counts of the load.

        Raises:
            StoreUnavailable: As for `load`.
            SourceUnreadable: As for `load`.
        """
        run = run or self._runtime.new_run()
        self._retried(partial(self._begin, run))
        report = LoadReport(run=run)
        try:
            for step in read(run):
                report += step
            for step in self.judge_waiting(run, observer):
                report += step
            self._retried(partial(self._end, report, RunState.DONE))
        except BaseException as error:
            with suppress(StoreUnavailable):  # the run soon counts as dead, and the original error is raised
                self._end(report, RunState.after(error))
            raise
        completed = self._retried(partial(self._completion.complete, by=run)).sealed
        return replace(report, completed=completed)

    def _begin(self, run: str) -> None:
        with self._database.transaction() as stores:
            begin_load(stores, run, self._liveness, at=self._runtime.now())
            self._service.register_sources(stores)

    def _end(self, report: LoadReport, state: RunState) -> None:
        with self._database.transaction() as stores:
            stores.counts.recount_networks(counted_at=self._runtime.now())
            stores.runs.record_progress(report.run, report.counts(), at=self._runtime.now())
            stores.runs.end(report.run, state, at=self._runtime.now())

    def read(
        self,
        run: str,
        sources: Iterable[LogSource],
        observer: LoadObserver,
        rejected_in: dict[str, RejectedLines] | None = None,
    ) -> Iterable[LoadReport]:
        """
        Read every source to its end and store new events, except for the snapshots of sessions without a connect.

        Args:
            run: The run that writes.
            sources: Contents to read.
            observer: Receives the progress.
            rejected_in: Rejected lines so far by content, for a run that reads its contents repeatedly.

        Yields:
            A report of each batch. A source that cannot be read is one of its problems; all others are read.
        """
        batch = Batch(self._runtime.stopwatch())
        name = "-"
        rejected_in = {} if rejected_in is None else rejected_in
        for source in sources:
            name, is_stream = source.name, source.size is None
            observer.source_opened(name, source.size)
            line: LogEvent | BadLine | None = None
            events = -batch.events
            try:
                self._resume(source)
                rejected = rejected_in.setdefault(source.head or name, RejectedLines(name))
                rejected.begin(may_grow=self._may_grow(source))
                left_out = rejected.left_out
                for line in source.lines():
                    batch.take(rejected, line)
                    is_full = batch.is_full(self._size)
                    if not is_full and batch.lines & LINES_BETWEEN_LOOKS and not is_stream:
                        continue
                    observer.bytes_read(source.progress())
                    if is_full or self._runtime.stopwatch() - batch.started_at >= self._size.seconds:
                        batch.set_mark(source)
                        events += batch.events
                        yield self._retried(partial(self._store, run, batch, name, observer))
                        batch = Batch(self._runtime.stopwatch())
            except LogUnreadable as error:  # such as after a rename
                yield LoadReport(run=run, sources=1, problems=(str(error),))
                continue
            observer.bytes_read(source.progress())
            if line is not None:
                batch.set_mark(source)
            if isinstance(line, BadLine) and line.reason in OF_FILES:  # damage is always the last item
                observer.source_damaged(name, line.payload.decode("utf-8", "replace"))
            if rejected.left_out > left_out and (rest := rejected.rest()) is not None:
                batch.dead_letters.append(rest)
            holds_events = bool(events + batch.events or source.head)
            yield LoadReport(
                run=run,
                sources=1,
                unchanged=int(line is None and holds_events),
                empty=int(line is None and not holds_events),
                unfinished=int(rejected.is_unfinished),
                not_kept=rejected.left_out - left_out,
                problems=(_without_events(source, rejected),)
                if source.is_named and rejected.why and not holds_events
                else (),
            )
        if batch.lines or batch.marks:
            yield self._retried(partial(self._store, run, batch, name, observer))

    def _may_grow(self, source: LogSource) -> bool:
        """Whether a content was modified so recently that its last line may still be written."""
        return source.modified_at is not None and abs(self._runtime.now() - source.modified_at) < STILL_WRITTEN

    def store(self, run: str, sessions: Iterable[SessionAggregate], observer: LoadObserver) -> Iterable[LoadReport]:
        """Store sessions that were read elsewhere, in batches; parts of a session may come in any order."""
        batch = Batch(self._runtime.stopwatch())
        for session in sessions:
            batch.put(session)
            if batch.is_full(self._size) or self._runtime.stopwatch() - batch.started_at >= self._size.seconds:
                yield self._retried(partial(self._store, run, batch, "-", observer))
                batch = Batch(self._runtime.stopwatch())
        if batch.pending:
            yield self._retried(partial(self._store, run, batch, "-", observer))

    def _resume(self, source: LogSource) -> None:
        """Seek to the stored bookmark."""
        marks: Sequence[Mark] = ()
        if source.head:
            marks = self._retried(partial(self._marks_of, source.head))
        source.resume(marks)

    def _marks_of(self, head: str) -> Sequence[Mark]:
        with self._database.transaction() as stores:
            return stores.bookmarks.marks_of(head)

    def _store(self, run: str, batch: Batch, name: str, observer: LoadObserver) -> LoadReport:
        now = self._runtime.now()
        with self._database.transaction() as stores:
            held = stores.sessions.find_summaries(
                {logged_id: logged.events for logged_id, logged in batch.pending.items()}
            )
            apart = [
                (logged_id, aggregate)
                for logged_id, logged in batch.pending.items()
                for aggregate in tell_apart(logged, held.get(logged_id, ()))
            ]
            new = [aggregate.summary(logged_id) for logged_id, aggregate in apart]
            offered = [summary.awaiting_connect() for summary in self._service.offer(new, stores)]
            by_name = {summary.session_id: summary for found in held.values() for summary in found}
            changes = [_change(by_name, summary) for summary in offered]
            self._save(stores, changes, run)
            if batch.texts:
                stores.event_lines.store_lines([batch.lines_of(*session) for session in apart], run=run)
            dead_letters = stores.dead_letters.store_dead_letters(batch.dead_letters, run=run, stored_at=now)
            for source, mark in batch.marks:
                stores.bookmarks.put(source.head, mark, source=source.name, run=run, stored_at=now)
            stores.runs.resume(run, at=now)  # another process may have ended it for lack of a heartbeat
        report = LoadReport(
            run=run,
            lines=batch.lines,
            events=sum(summary.event_count for summary in new),
            repeated=batch.events - sum(summary.event_count for summary in new),
            sessions_added=sum(change.held is None for change in changes),
            sessions_changed=sum(change.held is not None for change in changes),
            sealed=_newly_sealed(changes),
            inferred=_newly_inferred(changes),
            latest_attack=_latest_attack(changes),
            left_open=sum(not c.kept.is_sealed and not c.kept.waits_for_connect for c in changes),
            dead_letters=dead_letters,
            known_dead_letters=len(batch.dead_letters) - dead_letters,
            reused_ids=sum(c.held is None and c.kept.logged_id is not None for c in changes),
            late_sightings=sum(
                new.is_too_late_for(c.held) for c, new in zip(changes, offered, strict=True) if c.held is not None
            ),
        )
        observer.batch_loaded(
            BatchLoaded(
                run=run,
                source=name,
                events=report.events,
                repeated=report.repeated,
                sessions=len(changes),
                sealed=report.sealed,
                dead_letters=dead_letters,
                seconds=self._runtime.stopwatch() - batch.started_at,
            )
        )
        return report

    def judge_waiting(
        self, run: str, observer: LoadObserver, *, quiet_since: datetime | None = None
    ) -> Iterable[LoadReport]:
        """
        Evaluate sessions without a connect, including those of interrupted runs.

        Args:
            run: The run that writes.
            observer: Receives the progress, with "-" as the source.
            quiet_since: Only sessions whose last event was earlier; None for all, because all sources were read.

        Yields:
            A report of each page.
        """
        after, begun_at = "", self._runtime.stopwatch()
        while changes := self._retried(partial(self._judge_page, run, after, quiet_since)):
            after = changes[-1].kept.session_id
            sealed = _newly_sealed(changes)
            nothing = {"events": 0, "repeated": 0, "dead_letters": 0}
            seconds = self._runtime.stopwatch() - begun_at
            observer.batch_loaded(
                BatchLoaded(run=run, source="-", sessions=len(changes), sealed=sealed, seconds=seconds, **nothing)
            )
            begun_at = self._runtime.stopwatch()
            yield LoadReport(
                run=run,
                sealed=sealed,
                inferred=_newly_inferred(changes),
                latest_attack=_latest_attack(changes),
                left_open=len(changes) - sealed,
            )

    def _judge_page(self, run: str, after: str, quiet_since: datetime | None) -> Sequence[SessionChange]:
        with self._database.transaction() as stores:
            stale_before = self._runtime.now() - HEARTBEAT_TIMEOUT
            waiting = stores.sessions.find_waiting(
                run=run, stale_before=stale_before, after=after, limit=PAGE, quiet_since=quiet_since
            )
            judged = self._service.offer(waiting, stores)
            changes = [SessionChange(held=h, kept=k) for h, k in zip(waiting, judged, strict=True)]
            self._save(stores, changes, run)
        return changes

    def _save(self, stores: Stores, changes: list[SessionChange], run: str) -> None:
        now = self._runtime.now()
        stores.counts.count_sessions(changes, seen_at=now)
        stores.sessions.save([change.kept for change in changes], run=run, saved_at=now)


def _without_events(source: LogSource, rejected: RejectedLines) -> str:
    return "; ".join(
        filter(None, [f"{source.name} contains no Cowrie events", f"rejected lines: {rejected.why}", source.hint])
    )


def _change(held: Mapping[str, SessionSummary], offered: SessionSummary) -> SessionChange:
    found = held.get(offered.session_id)
    return SessionChange(held=found, kept=offered if found is None else found.merge(offered))


def _newly_inferred(changes: Iterable[SessionChange]) -> int:
    snapshots = (change.kept.snapshot for change in changes if _is_newly_sealed(change))
    return sum(snapshot is not None and snapshot.method is Method.INFERRED for snapshot in snapshots)


def _latest_attack(changes: Iterable[SessionChange]) -> datetime | None:
    sightings = (change.kept.sighting for change in changes if _is_newly_sealed(change))
    return max((sighting.seen_at for sighting in sightings if sighting is not None), default=None)


def _is_newly_sealed(change: SessionChange) -> bool:
    return change.kept.is_sealed and not (change.held is not None and change.held.is_sealed)


def _newly_sealed(changes: Iterable[SessionChange]) -> int:
    return sum(map(_is_newly_sealed, changes))
