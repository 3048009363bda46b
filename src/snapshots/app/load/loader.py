"""Load log lines: aggregate them into sessions, and give every session its snapshot."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import LogUnreadable, StoreUnavailable
from snapshots.app.liveness import ProcessLiveness, begin_load
from snapshots.app.load.batch import Batch, BatchSize, LoadReport
from snapshots.app.load.bookmarks_ahead import BookmarksAhead
from snapshots.app.load.dead_letters import OF_FILES, UNFINISHED, RejectedLines
from snapshots.app.load.progress import BatchLoaded, LoadObserver
from snapshots.app.load.read_block import ReadBlock
from snapshots.app.load.remote_source import RemoteSource
from snapshots.app.load.session_writer import SessionWriter
from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import BadLine, Content, EventLines, LogEvent, LogSource, Mark
from snapshots.app.ports.runs import RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import ignore, retry
from snapshots.domain.session.session import SessionAggregate

STILL_WRITTEN = timedelta(hours=1)
"""A file modified within this time may still be written: it gets no state, and its incomplete end is read again."""

READ_AHEAD = 16
"""Contents that are requested from another process before they are needed; small ones fit into its pipe."""

LINES_BETWEEN_LOOKS = 256
"""The stopwatch is read once for so many lines, because reading it for each is slow."""


class LogReaders(Protocol):
    """Decides where contents are read."""

    def reading(self, sources: Iterable[LogSource]) -> AbstractContextManager[Iterable[LogSource | RemoteSource]]:
        """Return the contents, those as remote ones that another process reads while the context is open."""
        ...


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
        readers: Decides which contents another process reads; None for no contents.
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
        readers: LogReaders | None = None,
        warn: Callable[[str], None] = ignore,
    ) -> None:
        self._database = database
        self._service = service
        self._completion = completion
        self._runtime = runtime
        self._retried = partial(retry, sleep=runtime.sleep, warn=warn)
        self._liveness = liveness
        self._size = size or BatchSize()
        self._reading = readers.reading if readers is not None else nullcontext
        self._writer = SessionWriter(database, service, runtime.clock)

    def loaded(self, states: Collection[str]) -> AbstractSet[str]:
        """Return which states are of files that were loaded to their end; none without a database."""
        try:
            with self._database.view() as stores:
                return stores.bookmarks.marks_of(states).keys()
        except StoreUnavailable:  # it is created, or reported, by the load
            return frozenset()

    def load(self, sources: Iterable[LogSource], observer: LoadObserver, *, unchanged: int = 0) -> LoadReport:
        """
        Read every source to its end, and store new events.

        Sessions without a connect receive their snapshot after all sources are read, because the connect may be in
        a later file, and its address takes precedence.

        Args:
            sources: Contents to read, the oldest first.
            observer: Receives the progress.
            unchanged: Number of files with a state that `loaded` returned; they are only counted.

        Returns:
            Counts of the load.

        Raises:
            StoreUnavailable: The database failed; complete batches are stored, and a repeated call continues.
            SourceUnreadable: A fact source failed; complete batches are stored, and a repeated call continues.
        """
        with self._reading(sources) as opened:

            def read(run: str) -> Iterable[LoadReport]:
                yield LoadReport(run=run, sources=unchanged, unchanged=unchanged)
                yield from self.read(run, opened, observer)

            return self.load_by(read, observer)

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
        sources: Iterable[LogSource | RemoteSource],
        observer: LoadObserver,
        rejected_in: dict[str, RejectedLines] | None = None,
    ) -> Iterable[LoadReport]:
        """
        Read every source to its end and store new events, except for the snapshots of sessions without a connect.

        Args:
            run: The run that writes.
            sources: Contents to read; `AHEAD` of them are taken before the first is read.
            observer: Receives the progress.
            rejected_in: Rejected lines so far by content, for a run that reads its contents repeatedly.

        Yields:
            A report of each batch, and of the sources that ended in it. A source that cannot be read is one of its
            problems; all others are read.
        """
        batch, looked_at = Batch(self._runtime.stopwatch()), 0
        name = "-"
        ahead = BookmarksAhead(sources, lambda heads: self._retried(partial(self._marks_of, heads)))
        for source in _requested_ahead(ahead):
            name, size = source.name, source.size
            observer.source_opened(name, size)
            line: LogEvent | EventLines | BadLine | ReadBlock | None = None
            events = -batch.events
            try:
                source.resume(ahead.marks_of(source))
                rejected = RejectedLines(name)
                if rejected_in is not None:
                    rejected = rejected_in.setdefault(source.head or name, rejected)
                rejected.begin(may_grow=self._may_grow(source))
                left_out = rejected.left_out
                for line in source.parts():
                    batch.take(rejected, line)
                    is_full = batch.is_full(self._size)
                    if not is_full and batch.lines < looked_at + LINES_BETWEEN_LOOKS and size is not None:
                        continue
                    looked_at = batch.lines
                    observer.bytes_read(source.progress())
                    if is_full or self._runtime.stopwatch() - batch.started_at >= self._size.seconds:
                        batch.set_mark(source)
                        events += batch.events
                        yield self._store(run, batch, name, observer)
                        ahead.forget()
                        batch, looked_at = Batch(self._runtime.stopwatch()), 0
            except LogUnreadable as error:  # such as after a rename
                batch.sources += 1
                batch.problems.append(str(error))
                continue
            observer.bytes_read(source.progress())
            if line is not None:
                batch.set_mark(source)
            self._end_of(source, line, batch, observer)
            if rejected.left_out > left_out and (rest := rejected.rest()) is not None:
                batch.dead_letters.append(rest)
            holds_events = bool(events + batch.events or source.head)
            batch.sources += 1
            batch.unchanged += line is None and holds_events
            batch.empty += line is None and not holds_events
            batch.unfinished += rejected.is_unfinished
            batch.not_kept += rejected.left_out - left_out
            if source.is_named and rejected.why and not holds_events:
                batch.problems.append(_without_events(source, rejected))
        is_stored = bool(batch.lines or batch.bookmarks)
        yield self._store(run, batch, name, observer) if is_stored else batch.report_of_sources(run)

    def _end_of(
        self,
        source: Content,
        last: LogEvent | EventLines | BadLine | ReadBlock | None,
        batch: Batch,
        observer: LoadObserver,
    ) -> None:
        """
        Report damage, which is always the last item; otherwise add the state of the file, unless it may go on.

        A log that is still written would leave a state behind at each load, and have none of them again.
        """
        if isinstance(last, BadLine) and last.reason in OF_FILES:
            observer.source_damaged(source.name, last.payload.decode("utf-8", "replace"))
        elif not (isinstance(last, BadLine) and last.reason in UNFINISHED) and not self._may_grow(source):
            batch.set_state(source)

    def _may_grow(self, source: Content) -> bool:
        """Whether a content was modified so recently that it may still be written."""
        modified_at = source.modified_at
        return modified_at is not None and abs(self._runtime.now() - modified_at) < STILL_WRITTEN

    def store(self, run: str, sessions: Iterable[SessionAggregate], observer: LoadObserver) -> Iterable[LoadReport]:
        """Store sessions that were read elsewhere, in batches; parts of a session may come in any order."""
        batch = Batch(self._runtime.stopwatch())
        for session in sessions:
            batch.put(session)
            if batch.is_full(self._size) or self._runtime.stopwatch() - batch.started_at >= self._size.seconds:
                yield self._store(run, batch, "-", observer)
                batch = Batch(self._runtime.stopwatch())
        if batch.pending:
            yield self._store(run, batch, "-", observer)

    def _marks_of(self, heads: Collection[str]) -> Mapping[str, Sequence[Mark]]:
        with self._database.transaction() as stores:
            return stores.bookmarks.marks_of(heads)

    def _store(self, run: str, batch: Batch, name: str, observer: LoadObserver) -> LoadReport:
        report = self._retried(partial(self._writer.store, run, batch))
        observer.batch_loaded(
            BatchLoaded(
                run=run,
                source=name,
                events=report.events,
                repeated=report.repeated,
                sessions=report.sessions_added + report.sessions_changed,
                sealed=report.sealed,
                dead_letters=report.dead_letters,
                seconds=self._runtime.stopwatch() - batch.started_at,
            )
        )
        return report + batch.report_of_sources(run)

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
        begun_at = self._runtime.stopwatch()
        page = self._retried(partial(self._writer.judge_page, run, "", quiet_since))
        while page is not None:
            found = page.report
            observer.batch_loaded(
                BatchLoaded(
                    run=run,
                    source="-",
                    events=0,
                    repeated=0,
                    sessions=found.sealed + found.left_open,
                    sealed=found.sealed,
                    dead_letters=0,
                    seconds=self._runtime.stopwatch() - begun_at,
                )
            )
            begun_at = self._runtime.stopwatch()
            yield found
            page = self._retried(partial(self._writer.judge_page, run, page.last, quiet_since))


def _head_of(source: Content) -> str:
    try:
        return source.head
    except LogUnreadable:
        return ""


def _without_events(source: Content, rejected: RejectedLines) -> str:
    return "; ".join(
        filter(None, [f"{source.name} contains no Cowrie events", f"rejected lines: {rejected.why}", source.hint])
    )


def _requested_ahead(ahead: BookmarksAhead[LogSource | RemoteSource]) -> Iterator[LogSource | RemoteSource]:
    """
    Yield contents in their order, and let another process begin to read the next ones.

    A copy is requested after the content that it may be a copy of, whose bookmarks are then known.
    """
    waiting = deque[LogSource | RemoteSource]()
    heads = set[str]()
    for source in ahead:
        head = _head_of(source) if isinstance(source, RemoteSource) else None
        if head is None or head in heads:
            yield from waiting
            waiting.clear()
            heads.clear()
        if head is None:
            yield source
            continue
        with suppress(LogUnreadable):  # raised again when it is its turn
            source.resume(ahead.marks_of(source))
        heads.add(head)
        waiting.append(source)
        if len(waiting) > READ_AHEAD:
            yield waiting.popleft()
    yield from waiting
