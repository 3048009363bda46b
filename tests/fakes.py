"""Everything that is stored, in memory. Each fake passes the contract suite that the databases pass."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from snapshots.app.lines import BadLine, LogEvent, Mark
from snapshots.app.ports import DeadLetter, Pruned, RunKind, RunState, SessionChange
from snapshots.app.progress import BatchLoaded
from snapshots.domain.gap import Gap
from snapshots.domain.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.snapshot import LARGEST_ASN, IpSnapshot
from snapshots.domain.source_ip import IpAddress, Sighting
from snapshots.domain.summary import SessionSummary
from tests.strategies import NOON


@dataclass
class KnownAddress:
    """One address of the inventory."""

    first_seen: datetime
    last_seen: datetime
    session_count: int = 0
    newest: IpSnapshot | None = None


@dataclass
class Memory:
    """What a database would hold."""

    addresses: dict[IpAddress, KnownAddress] = field(default_factory=dict)
    observations: dict[tuple[IpAddress, str, datetime], IpObservation] = field(default_factory=dict)
    organizations: dict[int, str] = field(default_factory=dict)
    sources: dict[tuple[str, datetime], SourceBuild] = field(default_factory=dict)
    sessions: dict[str, SessionSummary] = field(default_factory=dict)
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    marks: dict[str, set[Mark]] = field(default_factory=dict)
    runs: dict[str, RunState] = field(default_factory=dict)
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    heard: dict[str, datetime] = field(default_factory=dict)
    judged_by: dict[str, str] = field(default_factory=dict)
    corrections: list[tuple[str, IpSnapshot | None, IpSnapshot, str]] = field(default_factory=list)


class InMemoryInventory:
    """Addresses and observations in dicts."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.queries = 0

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        self.queries += 1
        found: dict[IpAddress, list[IpObservation]] = {}
        for observation in self.memory.observations.values():
            if observation.address in addresses:
                found.setdefault(observation.address, []).append(observation)
        return found

    def register(self, sightings: Collection[Sighting], *, registered_at: datetime) -> None:
        new: dict[IpAddress, list[datetime]] = {}
        for sighting in sightings:
            new.setdefault(sighting.address, []).append(sighting.seen_at)
        for address, moments in new.items():
            self.memory.addresses.setdefault(address, KnownAddress(min(moments), max(moments)))

    def learn(
        self,
        observations: Collection[IpObservation],
        organizations: Mapping[int, str],
        newest: Mapping[IpAddress, IpSnapshot],
        *,
        learned_at: datetime,
    ) -> None:
        for said in observations:
            key = (said.address, said.source, said.observed_at)
            held = self.memory.observations.get(key, said)
            until = max(held.confirmed_until, said.confirmed_until)
            self.memory.observations[key] = replace(
                held, confirmed_until=until, facts=replace(held.facts, organization=None)
            )
        self.memory.organizations.update(organizations)
        for address, snapshot in newest.items():
            self.memory.addresses[address].newest = snapshot

    def register_source(self, build: SourceBuild, *, registered_at: datetime) -> None:
        self.memory.sources.setdefault((build.name, build.built_at), build)

    def count_sessions(self, changes: Sequence[SessionChange], *, seen_at: datetime) -> None:
        after = self.memory.sessions | {change.kept.session_id: change.kept for change in changes}
        touched = {s.source_ip for c in changes for s in (c.held, c.kept) if s is not None} - {None}
        for address, known in self.memory.addresses.items():
            own = [session for session in after.values() if session.source_ip == address]
            if address in touched:
                known.session_count = len(own)
            if address in touched and own:
                known.first_seen = min(session.first_event_at for session in own)
                known.last_seen = max(session.last_event_at for session in own)

    def recount_networks(self, *, counted_at: datetime) -> None:
        pass  # networks are not kept apart from their addresses


class InMemorySessions:
    """Sessions in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def find(self, logged_ids: Collection[str]) -> Mapping[str, Sequence[SessionSummary]]:
        found: dict[str, list[SessionSummary]] = {}
        for session in self.memory.sessions.values():
            logged_id = session.logged_id or session.session_id
            if logged_id in logged_ids:
                found.setdefault(logged_id, []).append(session)
        return found

    def save(self, summaries: Collection[SessionSummary], *, run: str, saved_at: datetime) -> None:
        for summary in summaries:
            held = self.memory.sessions.get(summary.session_id)
            kept = summary if held is None else replace(summary, logged_id=held.logged_id)
            if held is not None and held.is_sealed:
                kept = replace(kept, snapshot=held.snapshot, sighting=held.sighting, gap=None)
            self.memory.sessions[summary.session_id] = kept
            self.memory.judged_by[summary.session_id] = run

    def waiting(self, *, run: str, silent_since: datetime, after: str, limit: int) -> Sequence[SessionSummary]:
        at_work = {
            name
            for name, state in self.memory.runs.items()
            if state is RunState.RUNNING and self.memory.heard[name] > silent_since and name != run
        }
        waiting = [
            session
            for session in self.memory.sessions.values()
            if session.gap is Gap.NEVER_LOOKED_UP
            and session.sighting is not None
            and not session.connect_was_seen
            and session.session_id > after
            and self.memory.judged_by[session.session_id] not in at_work
        ]
        return sorted(waiting, key=lambda session: session.session_id)[:limit]


class InMemoryDeadLetters:
    """Letters in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def keep(self, letters: Collection[DeadLetter], *, run: str, kept_at: datetime) -> int:
        before = len(self.memory.letters)
        for letter in letters:
            held = self.memory.letters.get(letter.identity, letter)
            self.memory.letters[letter.identity] = replace(held, reason=letter.reason, payload=letter.payload)
        return len(self.memory.letters) - before

    def withdraw(self, identities: Collection[str]) -> None:
        for identity in identities:
            self.memory.letters.pop(identity, None)


class InMemoryBookmarks:
    """Marks in sets."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def marks_of(self, head: str) -> Sequence[Mark]:
        return sorted(self.memory.marks.get(head, ()), key=lambda mark: (mark.offset, mark.digest))

    def put(self, head: str, mark: Mark, *, source: str, run: str, put_at: datetime) -> None:
        self.memory.marks.setdefault(head, set()).add(mark)


class InMemoryRuns:
    """Runs in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def begin(self, run: str, kind: RunKind, *, at: datetime) -> None:
        self.memory.runs[run] = RunState.RUNNING
        self.memory.heard[run] = at

    def note(self, run: str, counts: Mapping[str, int], *, at: datetime) -> None:
        self.memory.counts[run] = counts
        self.memory.heard[run] = at

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        self.memory.runs[run] = state


class InMemoryAudit:
    """Corrections and prunings in lists."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def correct(self, session_id: str, snapshot: IpSnapshot, *, reason: str, run: str, made_at: datetime) -> None:
        held = self.memory.sessions[session_id]
        self.memory.corrections.append((session_id, held.snapshot, snapshot, reason))
        self.memory.sessions[session_id] = replace(held, snapshot=snapshot)

    def take_out_sentinels(self, *, reason: str, run: str, made_at: datetime) -> int:
        return 0  # summaries cannot hold one

    def count_sentinels(self) -> int:
        return 0

    def prune(self, before: datetime, *, run: str, made_at: datetime) -> Pruned:
        pruned = self.would_prune(before)
        staying = {name: s for name, s in self.memory.sessions.items() if s.last_event_at >= before}
        self.memory.sessions.clear()
        self.memory.sessions.update(staying)
        for address, known in self.memory.addresses.items():
            own = [session for session in staying.values() if session.source_ip == address]
            known.session_count = len(own)
            if own:
                known.first_seen = min(session.first_event_at for session in own)
                known.last_seen = max(session.last_event_at for session in own)
        return pruned

    def would_prune(self, before: datetime) -> Pruned:
        going = [session for session in self.memory.sessions.values() if session.last_event_at < before]
        return Pruned(sessions=len(going), events=sum(session.event_count for session in going))


class InMemoryStores:
    """Everything that is stored, within one transaction."""

    def __init__(self, memory: Memory) -> None:
        self.inventory = InMemoryInventory(memory)
        self.sessions = InMemorySessions(memory)
        self.dead_letters = InMemoryDeadLetters(memory)
        self.bookmarks = InMemoryBookmarks(memory)
        self.runs = InMemoryRuns(memory)
        self.audit = InMemoryAudit(memory)
        self.largest_asn = LARGEST_ASN


class InMemoryDatabase:
    """A database that forgets what a failed transaction did."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.stores = InMemoryStores(self.memory)

    @contextmanager
    def transaction(self, connection: object | None = None) -> Iterator[InMemoryStores]:
        before = deepcopy(vars(self.memory))
        try:
            yield self.stores
        except BaseException:
            vars(self.memory).update(before)
            raise


class FixedClock:
    """Always the same moment."""

    def now(self) -> datetime:
        return NOON


class DictSource:
    """A source of facts that is a dict; counts how often it is asked."""

    def __init__(self, name: str, built_at: datetime, facts: Mapping[str, IpFacts]) -> None:
        self.build = SourceBuild(name=name, built_at=built_at, licence="MIT", sha256="00", origin="bundled")
        self.facts = facts
        self.asked: list[IpAddress] = []

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        self.asked += addresses
        return {address: self.facts[address.text] for address in addresses if address.text in self.facts}


class ListSource:
    """A content that is a list of lines; each counts as one byte."""

    def __init__(self, name: str, lines: Sequence[LogEvent | BadLine], head: str | None = None) -> None:
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

    def mark(self) -> Mark:
        return Mark(self._at, self.name)

    def progress(self) -> int:
        return self._at


class Told:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.batches: list[BatchLoaded] = []
        self.opened: list[str] = []
        self.read: list[int] = []

    def source_opened(self, name: str, size: int | None) -> None:
        self.opened.append(name)

    def bytes_read(self, count: int) -> None:
        self.read.append(count)

    def batch_loaded(self, batch: BatchLoaded) -> None:
        self.batches.append(batch)
