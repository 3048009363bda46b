"""In-memory stores and other fakes. The stores pass the same contract suites as the databases."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import count
from threading import RLock

from snapshots.app.enrich.address_recovery import AddressFinder
from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.load.progress import BatchLoaded
from snapshots.app.ports.database import Database, WriteLock
from snapshots.app.ports.inventory import SourceRegistry
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.log_source import BadLine, EventLines, LogEvent, Mark
from snapshots.app.ports.runs import RunState
from snapshots.app.ports.runtime import Clock, Runtime
from snapshots.app.ports.sessions import SessionChange
from snapshots.app.queries.inventory_reports import Drift, InventoryStatus
from snapshots.app.queries.session_queries import EVERYTHING, SessionFilter
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts, SourceBuild
from snapshots.domain.facts.validation import LARGEST_ASN
from snapshots.domain.session.logins import (
    MOST_CREDENTIALS,
    OTHERS,
    Credentials,
    StoredLogin,
    Tally,
    bounded,
    credentials_in,
)
from snapshots.domain.session.session import EventKind, SessionEvent
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.validity import NewestBuild
from tests.fake_inventory import InMemoryInventory, InMemorySources
from tests.fake_logs import InMemoryBookmarks, InMemoryDeadLetters, InMemoryEventLines
from tests.fake_runs import (
    InMemoryAudit,
    InMemoryOpenSessions,
    InMemoryRuns,
    InMemoryRunUndo,
    InMemoryVerdictSpans,
)
from tests.memory import Memory, is_within
from tests.strategies import NOON


class InMemoryCounts:
    """Session counts of addresses."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def count_sessions(self, changes: Sequence[SessionChange], *, seen_at: datetime) -> None:
        after = {**self.memory.sessions, **{change.kept.session_id: change.kept for change in changes}}
        touched = {s.source_ip for c in changes for s in (c.held, c.kept) if s is not None} - {None}
        for address, known in self.memory.addresses.items():
            own = [session for session in after.values() if session.source_ip == address]
            if address in touched:
                known.session_count = len(own)
            if address in touched and own:
                known.first_seen = min(session.first_event_at for session in own)
                known.last_seen = max(session.last_event_at for session in own)

    def addresses_until(self, within: KeyRange, *, limit: int) -> str:
        page = sorted(address.text for address in self.memory.addresses if is_within([within], address.text))[:limit]
        return page[-1] if page else ""

    def count_found(self, run: str, within: KeyRange, *, seen_at: datetime) -> None:
        page = {address.text for address in self.memory.addresses if is_within([within], address.text)}
        for name, (by, _) in self.memory.found_by.items():
            session = self.memory.sessions[name]
            if by == run and session.source_ip is not None and session.source_ip.text in page:
                known = self.memory.addresses[session.source_ip]
                first, last = session.first_event_at, session.last_event_at
                is_new = known.session_count == 0
                known.first_seen = first if is_new else min(known.first_seen, first)
                known.last_seen = last if is_new else max(known.last_seen, last)
                known.session_count += 1

    def recount_networks(self, *, counted_at: datetime) -> None:
        pass  # networks have no rows of their own here


class InMemorySessions:
    """Sessions in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def find_summaries(self, events: Mapping[str, Collection[int]]) -> Mapping[str, Sequence[SessionSummary]]:
        found: dict[str, list[SessionSummary]] = {}
        for session in self.memory.sessions.values():
            logged_id = session.logged_id or session.session_id
            if logged_id in events:
                found.setdefault(logged_id, []).append(session)
        return found

    def save(self, sessions: Collection[SessionSummary | NewSession], *, run: str, saved_at: datetime) -> None:
        for session in sessions:
            summary = session.summary() if isinstance(session, NewSession) else session
            held = self.memory.sessions.get(summary.session_id)
            kept = summary if held is None else summary._replace(logged_id=held.logged_id)
            if held is not None and held.is_sealed:
                kept = kept._replace(snapshot=held.snapshot, sighting=held.sighting, gap=None)
            self.memory.sessions[summary.session_id] = kept._replace(new_logins=())
            self._add_logins(summary)
            self.memory.judged_by[summary.session_id] = run
            self.memory.sealed_by.setdefault(summary.session_id, run)
            self.memory.judged_at[summary.session_id] = InMemoryInventory(self.memory).learned_last()

    def _add_logins(self, summary: SessionSummary) -> None:
        tallies = dict(self.memory.logins.get(summary.session_id, {}))
        for text, *counts in summary.new_logins:
            each = credentials_in(text)
            self.memory.credentials.setdefault(each.number, each)
            if each.password is not None:
                self.memory.passwords.setdefault(each.password_hash, each.password)
            tallies[each.number] = tallies.get(each.number, Tally(0, 0)).plus(Tally(*counts))
        if tallies:
            self.memory.logins[summary.session_id] = bounded(tallies)
            if len(tallies) > MOST_CREDENTIALS:
                self.memory.delete_unused_credentials()

    def logins_of(self, names: Collection[str]) -> Mapping[str, Sequence[StoredLogin]]:
        return {
            name: [self._login(*each) for each in sorted(found.items(), key=lambda each: (-each[1].attempts, each[0]))]
            for name, found in self.memory.logins.items()
            if name in names
        }

    def _login(self, number: int, tally: Tally) -> StoredLogin:
        each = self.memory.credentials.get(number, Credentials(number))
        text = self.memory.passwords.get(each.password_hash)
        return StoredLogin(each.username, each.password_hash, text, *tally, is_others=number == OTHERS)

    def find_waiting(
        self, *, run: str, stale_before: datetime, after: str, limit: int, quiet_since: datetime | None = None
    ) -> Sequence[SessionSummary]:
        at_work = {
            name
            for name, state in self.memory.runs.items()
            if state is RunState.RUNNING and self.memory.heartbeats[name] > stale_before and name != run
        }
        waiting = [
            session
            for session in self.memory.sessions.values()
            if session.gap is Gap.AWAITING_CONNECT
            and session.session_id > after
            and (quiet_since is None or session.last_event_at < quiet_since)
            and self.memory.judged_by[session.session_id] not in at_work
        ]
        return sorted(waiting, key=lambda session: session.session_id)[:limit]


class Processes:
    """This process, and processes that have ended."""

    def __init__(self, name: str = "me", *gone: str) -> None:
        self.name = name
        self._gone = gone

    def is_dead(self, name: str) -> bool:
        return name in self._gone


class InMemoryStores:
    """The stores of one transaction."""

    def __init__(self, memory: Memory) -> None:
        self.inventory = InMemoryInventory(memory)
        self.counts = InMemoryCounts(memory)
        self.sources = InMemorySources(memory)
        self.sessions = InMemorySessions(memory)
        self.open_sessions = InMemoryOpenSessions(memory)
        self.verdict_spans = InMemoryVerdictSpans(memory)
        self.dead_letters = InMemoryDeadLetters(memory)
        self.event_lines = InMemoryEventLines(memory)
        self.bookmarks = InMemoryBookmarks(memory)
        self.runs = InMemoryRuns(memory)
        self.audit = InMemoryAudit(memory)
        self.run_undo = InMemoryRunUndo(memory)
        self.largest_asn = LARGEST_ASN

    def log_position(self) -> int | None:
        return None


class InMemoryDatabase:
    """A database in memory, with rollback and one transaction at a time."""

    def __init__(self) -> None:
        self.memory = Memory()
        self._lock = RLock()
        self.is_writing = False
        self.has_given_up = False
        self.stores = InMemoryStores(self.memory)

    def give_up(self) -> None:
        self.has_given_up = True

    @contextmanager
    def view(self) -> Iterator[InMemoryStores]:
        with InMemoryDatabase.transaction(self, dry_run=True) as stores:
            yield stores

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> Iterator[InMemoryStores]:
        with self._lock:
            self.is_writing = not dry_run
            before = deepcopy(vars(self.memory))
            try:
                yield self.stores
            except BaseException:
                vars(self.memory).update(before)
                raise
            finally:
                self.is_writing = False
            if dry_run:
                vars(self.memory).update(before)


class TickingClock:
    """Advances by a second with each reading."""

    def __init__(self) -> None:
        self._at = NOON

    def now(self) -> datetime:
        self._at += timedelta(seconds=1)
        return self._at


class FixedClock:
    """Always returns the same time."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


def runtime(
    clock: Clock | None = None,
    *,
    stopwatch: Callable[[], float] = lambda: 0.0,
    sleep: Callable[[float], None] = lambda _: None,
    new_run: Callable[[], str] = lambda: "run",
) -> Runtime:
    """A machine with a fixed time that never sleeps, unless a test replaces a part of it."""
    return Runtime(clock=clock or FixedClock(), stopwatch=stopwatch, sleep=sleep, new_run=new_run)


class DictSource:
    """A fact source in a dict; records the addresses that are looked up."""

    def __init__(self, name: str, built_at: datetime, facts: Mapping[str, IpFacts]) -> None:
        self.build = SourceBuild(name=name, built_at=built_at, licence="MIT", sha256="00", origin="bundled")
        self.versions = frozenset({4, 6})
        self.facts = facts
        self.asked: list[IpAddress] = []
        self.size = len(facts)
        self.typed_shares: Mapping[IpType, float] = {}

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        self.asked += addresses
        return {address: self.facts[address.text] for address in addresses if address.text in self.facts}


class FakeSourceRegistry:
    """Current sources, and imported ones that can be opened again."""

    def __init__(self, *sources: DictSource) -> None:
        self.sources = list(sources)
        self.imported: list[DictSource] = []

    def current(self) -> Sequence[DictSource]:
        return self.sources

    def open(self, build: SourceBuild, *, is_overwritten: bool = False) -> DictSource | None:
        at_hand = [*self.sources, *self.imported]
        return next((s for s in at_hand if (s.build.name, s.build.built_at) == (build.name, build.built_at)), None)


class ListSource:
    """A content in a list of lines; each counts as one byte."""

    def __init__(
        self,
        name: str,
        lines: Sequence[LogEvent | BadLine],
        head: str | None = None,
        *,
        modified_at: datetime | None = None,
        is_named: bool = False,
        hint: str = "",
        state: str = "",
        together: int = 1,
    ) -> None:
        self._together = together
        self.hint = hint
        self.state = state
        self.modified_at = modified_at
        self.is_named = is_named
        self.name = name
        self.head = name if head is None else head
        self.size = len(lines)
        self._lines = lines
        self._at = 0

    def resume(self, marks: Sequence[Mark]) -> int:
        self._at = max((mark.offset for mark in marks if mark.digest == self.name), default=0)
        return self._at

    def lines(self) -> Iterator[LogEvent | BadLine]:
        for line in self._lines[self._at :]:
            self._at += 1
            yield line

    def parts(self) -> Iterator[LogEvent | EventLines | BadLine]:
        if self._together == 1:
            yield from self.lines()
        while self._at < len(self._lines):
            events: list[LogEvent] = []
            for line in self._lines[self._at : self._at + self._together]:
                if not isinstance(line, LogEvent):
                    break
                events.append(line)
            part = EventLines([e.logged_id for e in events], [e.record for e in events]) if events else None
            self._at += len(events) or 1
            yield part or self._lines[self._at - 1]

    def mark(self) -> Mark:
        return Mark(self._at, self.name)

    def progress(self) -> int:
        return self._at


class RecordedLoad:
    """Records the progress of a load."""

    def __init__(self) -> None:
        self.batches: list[BatchLoaded] = []
        self.opened: list[str] = []
        self.read: list[int] = []
        self.damaged: list[tuple[str, str]] = []

    def source_opened(self, name: str, size: int | None) -> None:
        self.opened.append(name)

    def bytes_read(self, count: int) -> None:
        self.read.append(count)

    def source_damaged(self, name: str, damage: str) -> None:
        self.damaged.append((name, damage))

    def batch_loaded(self, batch: BatchLoaded) -> None:
        self.batches.append(batch)


def snapshot_service(
    database: Database, source_registry: SourceRegistry, *, clock: Clock | None = None
) -> SnapshotService:
    """A snapshot service with given sources."""
    reader, ticks = AsOfReader(), clock or FixedClock()
    return SnapshotService(database, Lookups(source_registry, reader, ticks), reader, SnapshotPolicy(), ticks)


def late_completion(database: Database, service: SnapshotService, *, clock: Clock | None = None) -> LateCompletion:
    """The completion that follows a load."""
    return LateCompletion(
        database,
        VerdictApplier(service, finder()),
        runtime=runtime(clock, new_run=lambda: f"late{next(RUNS)}"),
    )


def finder() -> AddressFinder:
    """Address recovery from test events and documents; a document is a list of addresses separated by spaces."""
    return AddressFinder(event_in, lambda text: [IpAddress(word) for word in text.split()])


def event_in(text: str) -> SessionEvent | None:
    """Decode a test event: kind, address and days after NOON."""
    kind, address, days = text.split()
    at = NOON + int(days) * timedelta(days=1)
    return SessionEvent(int(days), at, EventKind(kind), IpAddress(address)) if address != "-" else None


RUNS = count(1)


class FixedBuilds:
    """Reports of an inventory that has only builds, each with the kinds of facts that it states."""

    def __init__(self, *builds: SourceBuild | NewestBuild) -> None:
        self.builds = [each if isinstance(each, NewestBuild) else NewestBuild(each, ()) for each in builds]

    def newest_builds(self) -> Sequence[NewestBuild]:
        return self.builds

    def status(self, *, now: datetime) -> InventoryStatus:
        raise NotImplementedError

    def address(self, text: str) -> None:
        raise NotImplementedError

    def drift(self, *, now: datetime, top: int, session_filter: SessionFilter = EVERYTHING) -> Drift:
        raise NotImplementedError
