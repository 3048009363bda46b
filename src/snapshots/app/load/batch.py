"""A batch of events that are read but not stored yet, and the counts of a load."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from snapshots.app.load.dead_letters import RejectedLines
from snapshots.app.load.logged_session import LoggedSession, ReadSession
from snapshots.app.load.read_block import ReadBlock
from snapshots.app.ports.log_source import BadLine, Content, EventLines, LogEvent
from snapshots.app.ports.logs import Bookmark, DeadLetter, EventPart
from snapshots.domain.session.event_record import record_of
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize:
    """
    Limits of a batch, which is stored as soon as one of them is reached.

    Attributes:
        lines: Lines read; lines that are decoded together are counted together, as are their sessions.
        sessions: Logged ids read. A session takes more memory than ten lines: its row, its address and its facts.
        bytes: Bytes of lines that are stored as they are.
        seconds: Time since the batch began.
    """

    lines: int = 20_000
    sessions: int = 1_500
    bytes: int = 16 * 1024 * 1024
    seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """
    Counts of a load.

    Attributes:
        run: The run that wrote.
        sources: Files and streams that were read.
        unchanged: Those without new data.
        lines: Lines read.
        events: Events that were new.
        repeated: Events that were already stored.
        sessions_added: Sessions that were new.
        sessions_changed: Stored sessions that received new events.
        sealed: Sessions that received their snapshot.
        inferred: Sealed sessions with at least one fact that was published only after the attack.
        left_open: Sessions that were read and hold no snapshot.
        dead_letters: Invalid lines that were stored.
        known_dead_letters: Invalid lines that were already stored.
        not_kept: Invalid lines that were only counted, because their content has too many.
        unfinished: Contents with an incomplete end that may still be written; the next load reads it again.
        empty: Contents without a line.
        problems: A message for each input that could not be loaded.
        reused_ids: Sessions stored under a qualified name, because another session has the same id.
        late_sightings: Sealed sessions with an earlier sighting in this load; they are unchanged.
        completed: Sessions of earlier loads that were sealed because of new facts.
        latest_attack: The latest sighting of a session that received its snapshot, in UTC; None if none did.
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
    inferred: int = 0
    left_open: int = 0
    dead_letters: int = 0
    known_dead_letters: int = 0
    not_kept: int = 0
    unfinished: int = 0
    empty: int = 0
    reused_ids: int = 0
    late_sightings: int = 0
    completed: int = 0
    latest_attack: datetime | None = None
    problems: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return every count by its name."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), int)}

    def __add__(self, other: "LoadReport") -> "LoadReport":
        latest = max((at for at in (self.latest_attack, other.latest_attack) if at is not None), default=None)
        sums = {name: count + getattr(other, name) for name, count in self.counts().items()}
        return replace(self, latest_attack=latest, problems=self.problems + other.problems, **sums)


@dataclass(slots=True)
class Batch:
    """Events, dead letters and bookmarks that are stored in one transaction, and the counts of the contents read."""

    started_at: float
    pending: dict[str, LoggedSession | ReadSession] = field(default_factory=dict)
    texts: dict[str, dict[int, tuple[str, bytes]]] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    bookmarks: list[Bookmark] = field(default_factory=list)
    lines: int = 0
    events: int = 0
    bytes: int = 0
    sources: int = 0
    unchanged: int = 0
    empty: int = 0
    unfinished: int = 0
    not_kept: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, rejected: RejectedLines, part: LogEvent | EventLines | BadLine | ReadBlock) -> None:
        """Count a line, or several lines; an invalid one is added to the rejected lines of its content."""
        if isinstance(part, EventLines):
            self._take_events(part)
        elif isinstance(part, LogEvent):
            logged_id, record, text = part
            self._take_events(EventLines([logged_id], [record], [text] if text is not None else None))
        elif isinstance(part, ReadBlock):
            self._take_block(rejected, part)
        else:
            self._take_bad_line(rejected, part)

    def _take_events(self, events: EventLines) -> None:
        logged_ids, records, texts = events
        for logged_id, record in zip(logged_ids, records, strict=True):
            self._of(logged_id).records.append(record)
        self.lines += len(records)
        self.events += len(records)
        if texts is None:
            return
        for logged_id, record, text in zip(logged_ids, records, texts, strict=True):
            fingerprint, at, *_ = record
            self.texts.setdefault(logged_id, {}).setdefault(int.from_bytes(fingerprint, "big"), (at, text))
            self.bytes += len(text)

    def _take_bad_line(self, rejected: RejectedLines, line: BadLine) -> None:
        self.lines += 1
        dead_letter = rejected.dead_letter_of(line)
        if dead_letter is not None:
            self.dead_letters.append(dead_letter)
            self.bytes += len(line.payload)

    def _take_block(self, rejected: RejectedLines, block: ReadBlock) -> None:
        for session in block.sessions:
            if session.logged_id in self.pending:
                self._of(session.logged_id).records.extend(session.unpacked().records)
            else:
                self.pending[session.logged_id] = session
        self.events += block.events
        self.lines += block.events
        for line in block.bad_lines:
            self._take_bad_line(rejected, line)

    def put(self, session: SessionAggregate) -> None:
        """Add the events of a logged id that were read elsewhere, without their lines."""
        self._of(session.session_id).records.extend(map(record_of, session.events.values()))
        self.lines += len(session.events)
        self.events += len(session.events)

    def _of(self, logged_id: str) -> LoggedSession:
        logged = self.pending.get(logged_id)
        if not isinstance(logged, LoggedSession):
            logged = self.pending[logged_id] = LoggedSession(logged_id) if logged is None else logged.unpacked()
        return logged

    def is_full(self, size: BatchSize) -> bool:
        """Whether a limit other than the time is reached."""
        return self.lines >= size.lines or len(self.pending) >= size.sessions or self.bytes >= size.bytes

    def lines_of(self, logged_id: str, session: SessionSummary | NewSession) -> EventPart:
        """Return the lines to store for a session with a logged id, in the order of event times."""
        texts = self.texts.get(logged_id, {})
        found = sorted((texts[mark][0], mark) for mark in session.fingerprints if mark in texts)
        return EventPart(session.session_id, [texts[mark][1] for _, mark in found])

    def report_of_sources(self, run: str) -> LoadReport:
        """Return the counts of the contents whose reading ended in this batch."""
        return LoadReport(
            run=run,
            sources=self.sources,
            unchanged=self.unchanged,
            empty=self.empty,
            unfinished=self.unfinished,
            not_kept=self.not_kept,
            problems=tuple(self.problems),
        )

    def set_mark(self, source: Content) -> None:
        """Add the bookmark of a content, unless it cannot be recognized later."""
        if source.head:
            self.bookmarks.append(Bookmark(source.head, source.mark(), source.name))

    def set_state(self, source: Content) -> None:
        """Add a bookmark under the state of a file that was read to its end: unchanged, it is not opened again."""
        if source.head and source.state:
            self.bookmarks.append(Bookmark(source.state, source.mark(), source.name))
