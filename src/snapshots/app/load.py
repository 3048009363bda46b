"""Load log lines: count them into sessions, and give every session its snapshot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from snapshots.app.complete import SIGN_OF_LIFE, LateCompletion
from snapshots.app.enrich import SnapshotService
from snapshots.app.errors import StoreBusy
from snapshots.app.lines import BadLine, LogEvent, LogSource, Mark, Reason
from snapshots.app.ports import Clock, Database, DeadLetter, Stores
from snapshots.app.progress import BatchLoaded, LoadObserver
from snapshots.app.run_ports import RunKind, RunState
from snapshots.app.session_ports import SessionChange
from snapshots.domain.reuse import tell_apart
from snapshots.domain.session import SessionAggregate
from snapshots.domain.summary import SessionSummary

PAGE = 1000

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a batch is tried again that was in another program's way, such as in a deadlock."""

LINES_BETWEEN_LOOKS = 255
"""A file is read this many lines on (a power of two, less one) before the time is looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize:
    """
    When a batch is stored: as soon as one of these is reached.

    Attributes:
        lines: Lines read.
        bytes: Bytes of lines that are no events.
        seconds: Time since the batch began.
    """

    lines: int = 50_000
    bytes: int = 16 * 1024 * 1024
    seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """
    What a load did.

    Attributes:
        run: The run that wrote.
        sources: Files and streams read.
        unchanged: Those in which there was nothing new to read.
        lines: Lines read.
        events: Events that were new.
        repeated: Events that were stored before.
        sessions_added: Sessions that were new.
        sessions_changed: Sessions that were stored before and grew.
        sealed: Sessions that received their snapshot.
        left_open: Sessions that were read and hold no snapshot.
        dead_letters: Lines set aside for the first time.
        reused_ids: Sessions stored under a qualified name, because their id belonged to another.
        late_sightings: Sealed sessions of which an earlier sighting was found; nothing was changed.
        completed: Sessions stored before that received their snapshot, because their address learned something.
    """

    run: str
    sources: int = 0
    unchanged: int = 0
    lines: int = 0
    events: int = 0
    repeated: int = 0
    sessions_added: int = 0
    sessions_changed: int = 0
    sealed: int = 0
    left_open: int = 0
    dead_letters: int = 0
    reused_ids: int = 0
    late_sightings: int = 0
    completed: int = 0

    def counts(self) -> dict[str, int]:
        """Return every count by its name."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "run"}

    def __add__(self, other: "LoadReport") -> "LoadReport":
        return replace(self, **{name: count + getattr(other, name) for name, count in self.counts().items()})


@dataclass(slots=True)
class _Batch:
    """What was read and is not stored yet."""

    started_at: float
    pending: dict[str, SessionAggregate] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    marks: list[tuple[LogSource, Mark]] = field(default_factory=list)
    lines: int = 0
    events: int = 0
    bytes: int = 0

    def take(self, source: LogSource, line: LogEvent | BadLine) -> None:
        self.lines += 1
        if isinstance(line, BadLine):
            self.letters.append(_letter(source, line))
            self.bytes += len(line.payload)
            return
        logged_id, event = line
        aggregate = self.pending.get(logged_id)
        if aggregate is None:
            aggregate = self.pending[logged_id] = SessionAggregate.of(logged_id)
        aggregate.add(event)
        self.events += 1

    def set_mark(self, source: LogSource) -> None:
        if source.head:
            self.marks.append((source, source.mark()))


class BulkLoader:
    """
    Loads contents of log lines, each from where it was left, in batches of one transaction each.

    What a line says is counted once, however often and in whatever file it is read; so a load that was
    interrupted is simply started again.

    Args:
        database: Where everything is stored.
        service: Gives the snapshots.
        completion: Judges sessions again whose address learned something.
        clock: Tells when things were stored.
        stopwatch: Returns seconds from an arbitrary start, for batches and rates.
        new_run: Makes the name of a run.
        sleep: Waits for some seconds.
        size: When a batch is stored.
    """

    def __init__(
        self,
        database: Database,
        service: SnapshotService,
        completion: LateCompletion,
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
        new_run: Callable[[], str],
        sleep: Callable[[float], None],
        size: BatchSize | None = None,
    ) -> None:
        self._database = database
        self._service = service
        self._completion = completion
        self._clock = clock
        self._stopwatch = stopwatch
        self._new_run = new_run
        self._sleep = sleep
        self._size = size or BatchSize()

    def load(self, sources: Iterable[LogSource], observer: LoadObserver) -> LoadReport:
        """
        Read every source to its end, and store what is new.

        Sessions without a connect receive their snapshot when all sources are read, because a connect
        in a later file would name their address with more authority.

        Args:
            sources: What to read, the oldest first.
            observer: Is told about each batch.

        Returns:
            What was done.

        Raises:
            StoreUnavailable: The database failed; whole batches are stored, and the same call goes on.
            SourceUnreadable: A source of facts failed; likewise.
        """
        run, began_at = self._new_run(), self._clock.now()
        with self._database.transaction() as stores:
            stores.runs.begin(run, RunKind.LOAD, at=began_at)
            self._service.register_sources(stores)
        report = LoadReport(run=run)
        state = RunState.FAILED
        try:
            for step in self._steps(run, sources, observer):
                report += step
            state = RunState.DONE
        finally:
            with self._database.transaction() as stores:
                stores.counts.recount_networks(counted_at=self._clock.now())
                stores.runs.note(run, report.counts(), at=self._clock.now())
                stores.runs.end(run, state, at=self._clock.now())
        return replace(report, completed=self._completion.complete(learned_from=began_at).sealed)

    def _steps(self, run: str, sources: Iterable[LogSource], observer: LoadObserver) -> Iterable[LoadReport]:
        batch = _Batch(self._stopwatch())
        name = "-"
        for source in sources:
            name = source.name
            observer.source_opened(name, source.size)
            outdated = self._resume(source)
            was_read = False
            is_stream = source.size is None
            for line in source.lines():
                was_read = True
                batch.take(source, line)
                is_full = batch.lines >= self._size.lines or batch.bytes >= self._size.bytes
                if not is_full and batch.lines & LINES_BETWEEN_LOOKS and not is_stream:
                    continue
                observer.bytes_read(source.progress())
                if is_full or self._stopwatch() - batch.started_at >= self._size.seconds:
                    batch.set_mark(source)
                    yield self._store_at_last(run, batch, name, observer)
                    batch = _Batch(self._stopwatch())
            observer.bytes_read(source.progress())
            if was_read:
                batch.set_mark(source)
                batch.withdrawn += outdated
            yield LoadReport(run=run, sources=1, unchanged=int(not was_read))
        yield self._store_at_last(run, batch, name, observer)
        yield from self._seal_waiting(run)

    def _resume(self, source: LogSource) -> list[str]:
        """Go to where the content was left, and return the letters that reading on may show to be out of date."""
        marks: Sequence[Mark] = ()
        if source.head:
            with self._database.transaction() as stores:
                marks = stores.bookmarks.marks_of(source.head)
        offset = source.resume(marks)
        keys = [key for key in (source.head, source.name) if key]
        return [_provisional(key, Reason.UNFINISHED_LINE, offset) for key in keys] + [
            _provisional(key, Reason.DAMAGED_FILE, 0) for key in keys
        ]

    def _store_at_last(self, run: str, batch: _Batch, name: str, observer: LoadObserver) -> LoadReport:
        """Store a batch, and if others stood in the way try again, each time after a longer pause."""
        for pause in PAUSES:
            try:
                return self._store(run, batch, name, observer)
            except StoreBusy:
                self._sleep(pause)
        return self._store(run, batch, name, observer)

    def _store(self, run: str, batch: _Batch, name: str, observer: LoadObserver) -> LoadReport:
        now = self._clock.now()
        with self._database.transaction() as stores:
            held = stores.sessions.find(batch.pending)
            new = [
                aggregate.summary(logged_id)
                for logged_id, logged in batch.pending.items()
                for aggregate in tell_apart(logged, held.get(logged_id, ()))
            ]
            offered = [summary.awaiting_connect() for summary in self._service.offer(new, stores)]
            by_name = {summary.session_id: summary for found in held.values() for summary in found}
            changes = [_change(by_name, summary) for summary in offered]
            self._save(stores, changes, run)
            stores.dead_letters.withdraw(set(batch.withdrawn) - {letter.identity for letter in batch.letters})
            letters = stores.dead_letters.keep(batch.letters, run=run, kept_at=now)
            for source, mark in batch.marks:
                stores.bookmarks.put(source.head, mark, source=source.name, run=run, put_at=now)
            stores.runs.note(run, {}, at=now)
        report = LoadReport(
            run=run,
            lines=batch.lines,
            events=sum(summary.event_count for summary in new),
            repeated=batch.events - sum(summary.event_count for summary in new),
            sessions_added=sum(change.held is None for change in changes),
            sessions_changed=sum(change.held is not None for change in changes),
            sealed=_newly_sealed(changes),
            left_open=sum(not change.kept.is_sealed for change in changes),
            dead_letters=letters,
            reused_ids=sum(c.held is None and c.kept.logged_id is not None for c in changes),
            late_sightings=sum(
                new.comes_too_late_for(c.held) for c, new in zip(changes, offered, strict=True) if c.held is not None
            ),
        )
        observer.batch_loaded(
            BatchLoaded(
                source=name,
                events=report.events,
                repeated=report.repeated,
                sessions=len(changes),
                sealed=report.sealed,
                dead_letters=letters,
                seconds=self._stopwatch() - batch.started_at,
            )
        )
        return report

    def _seal_waiting(self, run: str) -> Iterable[LoadReport]:
        """Judge the sessions whose connect was in none of the sources, also those an interrupted run left."""
        after = ""
        while True:
            with self._database.transaction() as stores:
                silent_since = self._clock.now() - SIGN_OF_LIFE
                waiting = stores.sessions.waiting(run=run, silent_since=silent_since, after=after, limit=PAGE)
                judged = self._service.offer(waiting, stores)
                changes = [SessionChange(held=h, kept=k) for h, k in zip(waiting, judged, strict=True)]
                self._save(stores, changes, run)
            if not waiting:
                return
            after = waiting[-1].session_id
            sealed = _newly_sealed(changes)
            yield LoadReport(run=run, sealed=sealed, left_open=-sealed)

    def _save(self, stores: Stores, changes: list[SessionChange], run: str) -> None:
        now = self._clock.now()
        stores.counts.count_sessions(changes, seen_at=now)
        stores.sessions.save([change.kept for change in changes], run=run, saved_at=now)


def _change(held: Mapping[str, SessionSummary], offered: SessionSummary) -> SessionChange:
    found = held.get(offered.session_id)
    return SessionChange(held=found, kept=offered if found is None else found.merge(offered))


def _newly_sealed(changes: Iterable[SessionChange]) -> int:
    return sum(c.kept.is_sealed and not (c.held is not None and c.held.is_sealed) for c in changes)


def _letter(source: LogSource, line: BadLine) -> DeadLetter:
    key = source.head or source.name
    if line.reason is Reason.UNFINISHED_LINE:
        identity = _provisional(key, line.reason, line.offset)
    elif line.reason is Reason.DAMAGED_FILE:
        identity = _provisional(key, line.reason, 0)
    else:
        identity = _identity(f"{line.reason.value} {line.offset} {key}", line.payload)
    return DeadLetter(
        identity=identity,
        source=source.name,
        offset=line.offset,
        reason=line.reason,
        payload=line.payload,
    )


def _provisional(key: str, reason: Reason, offset: int) -> str:
    """Name the letter of what may still be completed: the same however far it was written."""
    return _identity(f"{reason.value} {offset} {key}", b"")


def _identity(text: str, payload: bytes) -> str:
    return blake2b(text.encode("utf-8", "surrogateescape") + b"\0" + payload, digest_size=16).hexdigest()
