"""Contents that another process reads, against the same contents read here."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from snapshots.app.errors import LogUnreadable
from snapshots.app.load.batch import BatchSize, LoadReport
from snapshots.app.load.dead_letters import PHRASES
from snapshots.app.load.loader import READ_AHEAD, BulkLoader
from snapshots.app.load.logged_session import FingerprintsById, LoggedSession
from snapshots.app.load.read_block import ReadBlock
from snapshots.app.load.remote_source import BlockReader, ReaderEnded, RemoteSource
from snapshots.app.ports.log_source import BadLine, LogEvent, LogSource, Mark, Reason
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.event_record import record_of
from snapshots.domain.session.session import EventKind, SessionEvent
from tests.fakes import (
    DictSource,
    FakeSourceRegistry,
    InMemoryDatabase,
    ListSource,
    Processes,
    RecordedLoad,
    late_completion,
    runtime,
    snapshot_service,
)
from tests.strategies import HOME, NOON, events

SMALL = BatchSize(lines=7, sessions=3)

log_events = st.builds(LogEvent, st.sampled_from("abc"), events().map(record_of), st.none())
bad_lines = st.builds(BadLine, st.sampled_from(sorted(PHRASES, key=str)), st.binary(max_size=20), st.integers(0, 99))
logs = st.lists(st.lists(log_events | bad_lines, max_size=30), min_size=1, max_size=4)


class ReaderHere:
    """
    Reads in this process, and ends after a number of blocks.

    Blocks are packed and unpacked, as between processes.
    """

    def __init__(self, size: BatchSize, *, most: int = 10**6) -> None:
        self._blocks = BlockReader(size)
        self._most = most
        self.requested = deque[tuple[LogSource, Sequence[Mark]]]()

    def request(self, source: LogSource, marks: Sequence[Mark]) -> None:
        self.requested.append((source, marks))

    def blocks(self) -> Iterator[ReadBlock]:
        source, marks = self.requested.popleft()
        source.resume(marks)
        for block in self._blocks.blocks_of(source):
            if not self._most:
                raise ReaderEnded
            self._most -= 1
            yield ReadBlock.unpack(block.pack())


class ReadersHere:
    """Lets one reader read every content."""

    def __init__(self, reader: ReaderHere) -> None:
        self._reader = reader

    @contextmanager
    def reading(self, sources: Iterable[LogSource]) -> Iterator[Iterable[LogSource | RemoteSource]]:
        yield [RemoteSource(source, self._reader) for source in sources]


def load(
    database: InMemoryDatabase, *sources: ListSource, reader: ReaderHere | None = None, size: BatchSize = SMALL
) -> tuple[LoadReport, RecordedLoad]:
    service = snapshot_service(database, FakeSourceRegistry(DictSource("a", NOON, {HOME.text: IpFacts(asn=1)})))
    loader = BulkLoader(
        database,
        service,
        late_completion(database, service),
        runtime=runtime(),
        liveness=Processes(),
        size=size,
        readers=ReadersHere(reader) if reader is not None else None,
    )
    observer = RecordedLoad()
    return loader.load(sources, observer), observer


def made(count: int) -> list[SessionEvent]:
    return [SessionEvent(mark, NOON, EventKind.OTHER, HOME) for mark in range(count)]


def sources_of(contents: Sequence[Sequence[LogEvent | BadLine]], together: int = 1) -> list[ListSource]:
    return [
        ListSource(f"log{number}", lines, is_named=True, together=together) for number, lines in enumerate(contents)
    ]


@given(logs, st.integers(0, 12), st.integers(1, 3))
def test_contents_read_elsewhere_are_stored_as_if_they_were_read_here(
    contents: list[list[LogEvent | BadLine]], most: int, together: int
) -> None:
    """Also if the other process ends at any block: the rest is read here, and every event counts once."""
    here, elsewhere = InMemoryDatabase(), InMemoryDatabase()

    expected, seen_here = load(here, *sources_of(contents, together))
    report, seen = load(elsewhere, *sources_of(contents, together), reader=ReaderHere(SMALL, most=most))

    assert elsewhere.memory.sessions == here.memory.sessions
    assert elsewhere.memory.dead_letters == here.memory.dead_letters
    assert elsewhere.memory.marks == here.memory.marks
    assert report == expected
    assert (seen.opened, seen.damaged) == (seen_here.opened, seen_here.damaged)
    assert seen.batches == seen_here.batches


@given(logs)
def test_what_was_loaded_elsewhere_is_not_read_again(contents: list[list[LogEvent | BadLine]]) -> None:
    """The bookmarks are those of a load in one process."""
    database = InMemoryDatabase()
    load(database, *sources_of(contents), reader=ReaderHere(SMALL))

    report, _ = load(database, *sources_of(contents), reader=ReaderHere(SMALL))

    assert report.lines == 0


def test_blocks_are_as_large_as_batches() -> None:
    """So memory is bounded, and each block is a transaction."""
    lines = [LogEvent("s", record_of(event)) for event in made(30)]

    blocks = list(BlockReader(SMALL).blocks_of(ListSource("log", lines)))

    assert [block.events for block in blocks] == [7, 7, 7, 7, 2]
    assert [block.mark.offset for block in blocks] == [7, 14, 21, 28, 30]
    assert [block.progress for block in blocks] == [7, 14, 21, 28, 30]


def test_events_that_are_decoded_together_stay_in_one_block() -> None:
    """A block may then be larger than a batch by so many."""
    lines = [LogEvent("s", record_of(event)) for event in made(9)]

    blocks = list(BlockReader(SMALL).blocks_of(ListSource("log", lines, together=4)))

    assert [block.events for block in blocks] == [8, 1]


def test_a_block_ends_at_many_bytes_of_bad_lines() -> None:
    """They may have 64 KiB each."""
    lines = [BadLine(Reason.NOT_JSON, b"x" * 30, offset) for offset in range(5)]

    blocks = list(BlockReader(BatchSize(bytes=60)).blocks_of(ListSource("log", lines)))

    assert [block.mark.offset for block in blocks] == [2, 4, 5]
    assert [(len(block.bad_lines), block.end is not None) for block in blocks] == [(1, True), (1, True), (0, True)]


def test_the_next_contents_are_requested_before_they_are_needed() -> None:
    """So the other process reads them while the previous one is stored; not all at once, and each once."""
    sources = [ListSource(f"log{number}", []) for number in range(READ_AHEAD + 5)]
    reader, waiting = ReaderHere(SMALL), list[int]()
    request = reader.request

    def counted(source: LogSource, marks: Sequence[Mark]) -> None:
        request(source, marks)
        waiting.append(len(reader.requested))

    reader.request = counted  # type: ignore[method-assign]  # a fake that counts

    load(InMemoryDatabase(), *sources, reader=reader)

    assert len(waiting) == len(sources)
    assert max(waiting) == READ_AHEAD + 1


def test_a_copy_is_requested_after_the_content_before_it() -> None:
    """Its bookmarks are known then, so it is not read again."""
    lines = [LogEvent("s", record_of(event)) for event in made(14)]  # two full batches
    log, copy = ListSource("log", lines), ListSource("log", lines)

    report, _ = load(InMemoryDatabase(), log, ListSource("empty", []), copy, reader=ReaderHere(SMALL))

    assert (report.lines, report.unchanged) == (14, 2)


class Unreadable(ListSource):
    """A content that cannot be read."""

    def lines(self) -> Iterator[LogEvent | BadLine]:
        raise LogUnreadable(f"{self.name} cannot be read")


class Headless(ListSource):
    """A content whose head cannot be read."""

    def __getattribute__(self, name: str) -> object:
        if name == "head":
            raise LogUnreadable("headless cannot be read")
        return super().__getattribute__(name)


def test_a_content_without_a_readable_head_is_a_problem_and_the_others_are_loaded() -> None:
    """It was deleted since it was found."""
    whole = ListSource("log", [LogEvent("s", record_of(made(1)[0]))])

    report, _ = load(InMemoryDatabase(), Headless("headless", []), whole, reader=ReaderHere(SMALL))

    assert (report.problems, report.events) == (("headless cannot be read",), 1)


def test_an_unreadable_content_is_a_problem_and_the_others_are_loaded() -> None:
    """The error comes from the other process, when the content's turn has come."""
    whole = ListSource("log", [LogEvent("s", record_of(made(1)[0]))])

    report, _ = load(InMemoryDatabase(), Unreadable("gone", []), whole, reader=ReaderHere(SMALL))

    assert (report.problems, report.events) == (("gone cannot be read",), 1)


def test_a_remote_content_shows_what_the_local_one_does() -> None:
    """Name, size, time and format, also before it was read."""
    local = ListSource("log", [], modified_at=NOON, is_named=True, hint="a hint")

    remote = RemoteSource(local, ReaderHere(SMALL))

    assert (remote.name, remote.head, remote.size) == (local.name, local.head, local.size)
    assert (remote.modified_at, remote.hint, remote.is_named) == (NOON, "a hint", True)
    assert (remote.mark(), remote.progress(), remote.state) == (local.mark(), 0, local.state)


def test_a_file_that_another_process_read_is_known_by_its_state() -> None:
    """Only the process that opens the file knows the state; it comes with the blocks."""

    class Opening(ReaderHere):
        def request(self, source: LogSource, marks: Sequence[Mark]) -> None:
            super().request(ListSource(source.name, lines, state="opened"), marks)

    lines = [LogEvent("s", record_of(event)) for event in made(8)]
    database = InMemoryDatabase()

    load(database, ListSource("log", lines), reader=Opening(SMALL))

    assert database.memory.marks["opened"] == {Mark(8, "log")}


def test_fingerprints_of_a_batch_are_made_when_asked_for() -> None:
    """By logged id, whether the events were read here or elsewhere."""
    lines = [LogEvent("s", record_of(event)) for event in made(3)]
    (elsewhere,) = next(BlockReader(SMALL).blocks_of(ListSource("log", lines))).sessions
    here = LoggedSession("t", [line.record for line in lines])

    assert dict(FingerprintsById({"s": elsewhere, "t": here})) == {"s": {0, 1, 2}, "t": {0, 1, 2}}
    assert len(FingerprintsById({"s": elsewhere})) == 1
