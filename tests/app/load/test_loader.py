"""Loading, over stores in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import NoReturn

import pytest

from snapshots.app.errors import LogUnreadable, NoSuchSession, SourceUnreadable, StoreBusy, StoreUnavailable
from snapshots.app.load.batch import BatchSize, LoadReport
from snapshots.app.load.dead_letters import MOST_BYTES, ROW_BYTES
from snapshots.app.load.loader import STILL_WRITTEN, BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.load.stored_events import StoredEvents
from snapshots.app.ports.database import WriteLock
from snapshots.app.ports.log_source import BadLine, LogEvent, Mark, Reason
from snapshots.app.ports.runs import RunState
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.event_record import record_of
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.gap import Gap
from tests.fakes import (
    DictSource,
    FakeSourceRegistry,
    InMemoryDatabase,
    InMemoryStores,
    ListSource,
    Processes,
    RecordedLoad,
    late_completion,
    runtime,
    snapshot_service,
)
from tests.strategies import HOME, NOON, OTHER

FACTS = {HOME.text: IpFacts(asn=15169, country="US"), OTHER.text: IpFacts(asn=13335, country="AU")}


def loader(
    database: InMemoryDatabase,
    *,
    seconds: float = 1000,
    step: float = 0,
    name: str = "run",
    liveness: Processes | None = None,
) -> BulkLoader:
    source = DictSource("a", NOON, FACTS)
    ticks, runs = count(), count(1)
    service = snapshot_service(database, FakeSourceRegistry(source))
    return BulkLoader(
        database,
        service,
        late_completion(database, service),
        runtime=runtime(stopwatch=lambda: next(ticks) * step, new_run=lambda: f"{name}{next(runs)}"),
        liveness=liveness or Processes(),
        size=BatchSize(lines=1024, seconds=seconds),
    )


def logged(session: str, mark: int, kind: EventKind = EventKind.OTHER, **parts: object) -> LogEvent:
    at = NOON + timedelta(seconds=mark)
    event = SessionEvent(**{"fingerprint": mark, "at": at, "kind": kind, "address": HOME, **parts})  # type: ignore[arg-type]  # a builder
    return LogEvent(session, record_of(event))


def load(database: InMemoryDatabase, *sources: ListSource) -> LoadReport:
    return loader(database).load(sources, NoLoadObserver())


CONNECT = EventKind.CONNECT


def test_a_log_becomes_sealed_sessions_and_a_run() -> None:
    """With counts, snapshots and a recorded run."""
    database = InMemoryDatabase()

    report = load(
        database, ListSource("log", [logged("s", 1, CONNECT), logged("s", 2, EventKind.LOGIN), logged("t", 3, CONNECT)])
    )

    assert (report.events, report.sessions_added, report.sealed) == (3, 2, 2)
    assert database.memory.sessions["s"].login_attempts == 1
    assert database.memory.runs == {"run1": RunState.DONE}
    assert database.memory.counts["run1"] == report.counts()
    assert database.memory.addresses[HOME].session_count == 2


def test_a_report_counts_inferred_snapshots_and_names_the_latest_attack() -> None:
    """Of sessions that this load sealed, whether their connect was read or not; steps add up."""
    database = InMemoryDatabase()
    before = NOON - timedelta(days=3)  # the only table is of NOON
    first = load(
        database, ListSource("log", [logged("s", 1, CONNECT, at=before), logged("t", 2, at=before, address=OTHER)])
    )
    second = load(database, ListSource("more", [logged("s", 3, at=NOON), logged("u", 4, CONNECT)]))

    assert (first.sealed, first.inferred, first.latest_attack) == (2, 2, before)
    assert (second.sealed, second.inferred, second.latest_attack) == (1, 0, NOON + timedelta(seconds=4))
    assert (first + second).latest_attack == second.latest_attack
    assert LoadReport(run="r").latest_attack is None
    assert "latest_attack" not in first.counts()


def test_a_loaded_content_is_not_read_again() -> None:
    """Its bookmark states that all of it is stored."""
    database = InMemoryDatabase()
    load(database, ListSource("log", [logged("s", 1, CONNECT)]))
    before = dict(database.memory.sessions)

    report = load(database, ListSource("log", [logged("s", 1, CONNECT)]))

    assert (report.unchanged, report.lines, database.memory.sessions) == (1, 0, before)


def test_a_file_read_to_its_end_is_known_by_its_state() -> None:
    """An incomplete or damaged end may go on, and a file without events may not be a log."""
    database, recent = InMemoryDatabase(), NOON
    bad = {reason: BadLine(reason, b"{", 7) for reason in Reason}
    event = logged("s", 1)

    load(
        database,
        ListSource("whole", [event], state="1"),
        ListSource("bad line", [event, bad[Reason.NOT_JSON]], state="2"),
        ListSource("incomplete line", [event, bad[Reason.UNFINISHED_LINE]], state="3", modified_at=recent),
        ListSource("incomplete archive", [event, bad[Reason.UNFINISHED_FILE]], state="4"),
        ListSource("damaged archive", [event, bad[Reason.DAMAGED_FILE]], state="5"),
        ListSource("no log", [bad[Reason.NOT_JSON]], head="", state="6"),
        ListSource("stream", [event]),
    )

    assert loader(database).loaded([str(n) for n in range(8)]) == {"1", "2"}


@pytest.mark.parametrize(
    ("written", "is_known"),
    [(timedelta(0), False), (STILL_WRITTEN - timedelta(seconds=1), False), (STILL_WRITTEN, True)],
)
def test_a_file_that_may_still_be_written_has_no_state(written: timedelta, *, is_known: bool) -> None:
    """It would have another one at each load, and none of them again."""
    database = InMemoryDatabase()

    load(database, ListSource("log", [logged("s", 1)], state="1", modified_at=NOON - written))

    assert loader(database).loaded(["1"]) == ({"1"} if is_known else set())


def test_a_file_has_a_state_once_it_is_no_longer_written() -> None:
    """The first load after that stores it, without reading a line."""
    database = InMemoryDatabase()
    load(database, ListSource("log", [logged("s", 1)], state="1", modified_at=NOON))

    report = load(database, ListSource("log", [logged("s", 1)], state="1", modified_at=NOON - STILL_WRITTEN))

    assert (report.unchanged, report.lines) == (1, 0)
    assert loader(database).loaded(["1"]) == {"1"}


def test_a_content_loaded_under_another_state_is_known_by_the_new_one_too() -> None:
    """Such as a file that was renamed or copied."""
    database = InMemoryDatabase()
    load(database, ListSource("log", [logged("s", 1)], state="old"))

    report = load(database, ListSource("log", [logged("s", 1)], state="new"))

    assert (report.unchanged, report.lines) == (1, 0)
    assert loader(database).loaded(["old", "new"]) == {"old", "new"}


def test_no_file_is_known_without_a_database() -> None:
    """The load creates it, or reports why it cannot."""

    class Missing(InMemoryDatabase):
        def view(self) -> NoReturn:
            raise StoreUnavailable("there is no such database")

    assert loader(Missing()).loaded(["1"]) == set()


def test_unchanged_files_are_counted() -> None:
    """As sources without new data."""
    report = loader(InMemoryDatabase()).load([ListSource("log", [logged("s", 1)])], NoLoadObserver(), unchanged=7)

    assert (report.sources, report.unchanged) == (8, 7)


def test_a_copy_is_not_read_once_its_original_is_stored() -> None:
    """Its bookmarks are read again after each batch."""
    lines = [logged("s", n) for n in range(1024)]

    report = load(InMemoryDatabase(), ListSource("log", lines), ListSource("log", lines))

    assert (report.events, report.repeated, report.unchanged) == (1024, 0, 1)


def test_a_content_that_cannot_be_opened_is_a_problem_and_the_others_are_loaded() -> None:
    """Also if its head is read ahead with theirs."""

    class Gone(ListSource):
        @property
        def head(self) -> str:
            raise LogUnreadable("gone cannot be read")

        @head.setter
        def head(self, head: str) -> None: ...

    report = load(
        InMemoryDatabase(), ListSource("log", [logged("s", 1)]), Gone("gone", []), ListSource("log2", [logged("s", 2)])
    )

    assert (report.events, report.sources, report.problems) == (2, 3, ("gone cannot be read",))


def test_the_same_events_under_another_content_count_once() -> None:
    """A copy that cannot be known again is read, and adds nothing."""
    database = InMemoryDatabase()
    load(database, ListSource("log", [logged("s", 1, CONNECT), logged("s", 2)]))

    report = load(database, ListSource("copy", [logged("s", 2), logged("s", 1, CONNECT), logged("s", 3)], head=""))

    assert (report.events, report.repeated, report.sessions_changed) == (1, 2, 1)
    assert database.memory.sessions["s"].event_count == 3


def test_a_session_without_a_connect_is_sealed_at_the_end() -> None:
    """Not earlier: its connect may be in the next file."""
    database = InMemoryDatabase()

    load(
        database,
        ListSource("new", [logged("s", 9, address=OTHER), logged("t", 8)]),
        ListSource("old", [logged("s", 1, CONNECT)]),
    )

    sessions = database.memory.sessions
    assert sessions["s"].source_ip == HOME
    assert (sessions["s"].snapshot and sessions["s"].snapshot.asn, sessions["t"].is_sealed) == (15169, True)


def test_a_load_that_ctrl_c_ended_is_interrupted() -> None:
    """It did not fail."""
    database = InMemoryDatabase()

    def pressed() -> Iterator[ListSource]:
        yield ListSource("log", [logged("s", 1)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loader(database).load(pressed(), NoLoadObserver())

    assert database.memory.runs["run1"] is RunState.INTERRUPTED


def test_the_next_load_evaluates_sessions_of_an_interrupted_one() -> None:
    """No session waits for ever."""
    database = InMemoryDatabase()

    class Broken(ListSource):
        def resume(self, marks: Sequence[Mark]) -> int:
            raise SourceUnreadable("log2 cannot be read")

    sources = [ListSource("log", [logged("s", n) for n in range(1024)]), Broken("log2", [])]
    with pytest.raises(SourceUnreadable):
        loader(database).load(sources, NoLoadObserver())
    assert (database.memory.sessions["s"].gap, database.memory.runs["run1"]) == (Gap.AWAITING_CONNECT, RunState.FAILED)

    report = loader(database).load([], NoLoadObserver())

    assert (report.sealed, database.memory.sessions["s"].is_sealed) == (1, True)


def test_a_late_connect_does_not_change_a_sealed_session() -> None:
    """It is counted and reported."""
    database = InMemoryDatabase()
    load(database, ListSource("new", [logged("s", 9, address=OTHER)]))

    report = load(database, ListSource("old", [logged("s", 1, CONNECT)]))

    assert report.late_sightings == 1
    assert database.memory.sessions["s"].source_ip == OTHER


def test_a_second_connect_under_one_id_is_another_session() -> None:
    """And the report counts reused IDs."""
    database = InMemoryDatabase()

    report = load(database, ListSource("log", [logged("s", 1, CONNECT), logged("s", 2, CONNECT, address=OTHER)]))

    assert (report.sessions_added, report.reused_ids) == (2, 1)
    assert {s.logged_id for s in database.memory.sessions.values()} == {None, "s"}


def test_a_bad_line_is_stored_and_the_load_continues() -> None:
    """With its offset and the reason."""
    database = InMemoryDatabase()
    lines: list[LogEvent | BadLine] = [BadLine(Reason.NOT_JSON, b"{", 0), logged("s", 1, CONNECT)]

    first, second = (load(database, ListSource(name, lines, head="")) for name in ("log", "log"))

    assert (first.dead_letters, second.dead_letters, first.sealed) == (1, 0, 1)
    (dead_letter,) = database.memory.dead_letters.values()
    assert (dead_letter.source, dead_letter.offset, dead_letter.reason, dead_letter.payload) == (
        "log",
        0,
        Reason.NOT_JSON,
        b"{",
    )


@pytest.mark.parametrize("reason", [Reason.UNFINISHED_LINE, Reason.UNFINISHED_FILE])
@pytest.mark.parametrize(
    ("written", "is_kept"),
    [
        (timedelta(0), False),
        (STILL_WRITTEN - timedelta(seconds=1), False),
        (STILL_WRITTEN, True),
        (timedelta(days=99), True),
        (-STILL_WRITTEN, True),
        (None, True),
    ],
)
def test_an_unfinished_last_line_is_stored_when_the_file_is_no_longer_written(
    reason: Reason, written: timedelta | None, *, is_kept: bool
) -> None:
    """Until then each load reads it again, and reports it. A stream cannot be read again."""
    database = InMemoryDatabase()
    at = NOON - written if written is not None else None
    lines: list[LogEvent | BadLine] = [logged("s", 1, CONNECT), BadLine(reason, b"{", 1)]

    report = load(database, ListSource("log", lines, modified_at=at))

    assert (report.dead_letters, report.unfinished) == (int(is_kept), int(not is_kept))
    assert [dead_letter.payload for dead_letter in database.memory.dead_letters.values()] == [b"{"] * is_kept


def test_dead_letters_of_different_lines_do_not_replace_each_other() -> None:
    """Two pipes, or two files with the same beginning, and different bad lines at the same offset."""
    database = InMemoryDatabase()
    for text in (b"one", b"two", b"one"):
        load(database, ListSource("-", [BadLine(Reason.NOT_JSON, text, 0)], head=""))

    assert sorted(dead_letter.payload for dead_letter in database.memory.dead_letters.values()) == [b"one", b"two"]


def test_a_dead_letter_stays_if_its_content_is_not_read_again() -> None:
    """A shorter copy that ends before the line does not remove it."""
    database = InMemoryDatabase()
    shorter = [logged("s", 1, CONNECT)]
    longer: list[LogEvent | BadLine] = [*shorter, BadLine(Reason.NOT_JSON, b"bad", 1), logged("s", 2)]
    for _ in range(2):
        load(database, ListSource("log", shorter), ListSource("log", longer))

    assert [dead_letter.payload for dead_letter in database.memory.dead_letters.values()] == [b"bad"]


def test_a_dead_letter_is_identified_by_its_line_in_any_file() -> None:
    """In a copy, in a rotated file or at another offset, the same line is stored and counted once."""
    database = InMemoryDatabase()
    load(database, ListSource("log", [BadLine(Reason.NOT_JSON, b"bad", 0)], head=""))

    copies = [ListSource("copy", [BadLine(Reason.NOT_JSON, b"bad", 5)], head=head) for head in ("", "head")]
    report = load(database, *copies)

    assert (report.dead_letters, report.known_dead_letters) == (0, 2)
    (dead_letter,) = database.memory.dead_letters.values()
    assert (dead_letter.source, dead_letter.offset) == ("log", 0)


def test_two_damaged_archives_are_two_dead_letters() -> None:
    """The message is the same, the offset of the damage is not."""
    database = InMemoryDatabase()
    for at in (7, 8, 7):
        load(database, ListSource(f"log{at}", [BadLine(Reason.DAMAGED_FILE, b"wrong", at)], head=""))

    assert sorted(dead_letter.offset for dead_letter in database.memory.dead_letters.values()) == [7, 8]


def test_a_named_file_without_an_event_is_a_problem_and_the_others_are_loaded() -> None:
    """The problem states what its lines are; a file in a folder is not a problem."""
    database = InMemoryDatabase()
    other = [BadLine(Reason.NOT_COWRIE, b"{}%d" % n, n) for n in range(3)]

    report = load(
        database,
        ListSource("eve.json", [*other, BadLine(Reason.NOT_JSON, b"x", 9)], head="", is_named=True, hint="a hint"),
        ListSource("folder/eve.json", other, head=""),
        ListSource("cowrie.json", [logged("s", 1, CONNECT)], is_named=True),
    )

    why = "3 without a Cowrie eventid, 1 not JSON"
    assert report.problems == (f"eve.json contains no Cowrie events; rejected lines: {why}; a hint",)
    assert database.memory.sessions["s"].is_sealed
    assert database.memory.runs == {"run1": RunState.DONE}


@pytest.mark.parametrize(
    "source",
    [
        ListSource("loaded", [logged("s", 1)], is_named=True),
        ListSource("copy of what was loaded", [logged("s", 1)], head="", is_named=True),
        ListSource("its last line is bad", [logged("s", 1), BadLine(Reason.NOT_JSON, b"x", 9)], is_named=True),
        ListSource("empty", [], head="", is_named=True),
        ListSource("begun", [BadLine(Reason.UNFINISHED_LINE, b"{", 0)], head="", modified_at=NOON, is_named=True),
    ],
    ids=lambda source: source.name,
)
def test_a_named_file_may_have_no_new_events(source: ListSource) -> None:
    """A log that was loaded before, and one that was just rotated."""
    database = InMemoryDatabase()
    load(database, ListSource("loaded", [logged("s", 1)]))

    report = load(database, source)

    assert (report.events, report.problems) == (0, ())
    assert report.empty == int(source.name == "empty")


def test_a_named_file_truncated_before_its_first_event_is_a_problem() -> None:
    """It may still be written, but no event of it was read, which the user must know."""
    source = ListSource("a.gz", [BadLine(Reason.UNFINISHED_FILE, b"x", 0)], head="", modified_at=NOON, is_named=True)

    report = load(InMemoryDatabase(), source)

    assert report.problems == ("a.gz contains no Cowrie events; rejected lines: 1 with truncated compressed data",)


def test_a_load_does_not_evaluate_sessions_of_another_running_load() -> None:
    """Two processes at once: the connect event comes later in the file of the other."""
    database = InMemoryDatabase()

    class Slow(ListSource):
        def resume(self, marks: Sequence[Mark]) -> int:
            load(database, ListSource("another", [logged("t", 1)]))
            assert database.memory.sessions["t"].is_sealed
            assert not database.memory.sessions["s"].is_sealed
            return super().resume(marks)

    log = ListSource("log", [logged("s", n, address=OTHER) for n in range(1024)])
    loader(database, name="slow").load([log, Slow("rest", [logged("s", 5000, CONNECT)])], NoLoadObserver())

    assert database.memory.sessions["s"].source_ip == HOME


def test_a_batch_is_committed_when_its_dead_letters_are_large() -> None:
    """Invalid lines must not fill the memory."""
    database, recorded = InMemoryDatabase(), RecordedLoad()
    garbage = [BadLine(Reason.NOT_JSON, b"%d" % n * 10_000, n) for n in range(900, 910)]
    small = loader(database)
    small._size = BatchSize(bytes=100_000)

    small.load([ListSource("log", garbage)], recorded)

    assert [batch.dead_letters for batch in recorded.batches] == [4, 4, 2]


def test_a_batch_is_committed_when_it_is_full() -> None:
    """Each with its bookmark, so that a crash loses one batch of work and no event."""
    database, recorded = InMemoryDatabase(), RecordedLoad()

    loader(database).load(
        [ListSource("log", [logged("s", n, CONNECT, address=HOME, at=NOON) for n in range(2500)])], recorded
    )

    assert [batch.events for batch in recorded.batches] == [1024, 1024, 452]
    assert {mark.offset for mark in database.memory.marks["log"]} == {1024, 2048, 2500}
    assert database.memory.sessions["s"].event_count == 2500
    assert (recorded.opened, recorded.read[-1]) == (["log"], 2500)


def test_a_batch_is_committed_after_its_maximum_time() -> None:
    """Events of a slow stream do not wait for a full batch."""
    database, recorded = InMemoryDatabase(), RecordedLoad()
    slow = loader(database, seconds=1, step=1)
    slow._size = BatchSize(lines=10_000, seconds=8)

    slow.load([ListSource("-", [logged("s", n) for n in range(2500)], head="")], recorded)

    assert [batch.events for batch in recorded.batches] == [2048, 452, 0]  # the last judged what has no connect
    assert database.memory.marks == {}


class LockConflicts(InMemoryDatabase):
    """A database on which another program causes some lock conflicts."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> Iterator[InMemoryStores]:
        with super().transaction(connection) as stores:
            yield stores
            if stores.sessions.memory.sessions and self.times:
                self.times -= 1
                raise StoreBusy("a deadlock")


@pytest.mark.parametrize(("times", "is_stored"), [(4, True), (99, False)])
def test_a_batch_with_a_lock_conflict_is_retried(times: int, *, is_stored: bool) -> None:
    """A deadlock once ended the load; after too many retries it fails and stores nothing of the batch."""
    database = LockConflicts(times)

    if is_stored:
        load(database, ListSource("log", [logged("s", 1, CONNECT)]))
    else:
        with pytest.raises(StoreBusy):
            load(database, ListSource("log", [logged("s", 1, CONNECT)]))

    assert bool(database.memory.sessions) == is_stored


def test_event_lines_are_stored_once_under_the_id_of_their_session() -> None:
    """In chronological order: with two connects under one ID, across batches, and after a second load."""
    database = InMemoryDatabase()
    first = [
        logged("s", 3)._replace(line=b"third"),
        logged("s", 1, CONNECT, port=1)._replace(line=b"first"),
        logged("s", 9, CONNECT, port=2)._replace(line=b"ninth"),
        logged("s", 1, CONNECT, port=1)._replace(line=b"first"),
        logged("t", 5),
    ]

    load(database, ListSource("log", first))
    load(database, ListSource("log copied", [*first, logged("s", 2)._replace(line=b"second")]))

    own, other = sorted(name for name in database.memory.sessions if name.startswith("s"))
    kept = StoredEvents(database, lambda line: logged("s", {b"first": 1, b"second": 2, b"third": 3}[line]))
    assert list(kept.of(own)) == [b"first", b"second", b"third"]
    assert [part.lines for part in database.memory.event_parts if part.session_id == other] == [[b"ninth"]]
    with pytest.raises(NoSuchSession, match="--store-events"):
        kept.of("t")


def test_a_stored_line_that_cannot_be_decoded_any_more_is_returned_unchanged() -> None:
    """An earlier version decoded it, so it belongs to a session."""
    database = InMemoryDatabase()
    load(database, ListSource("log", [logged("s", 1)._replace(line=b"a"), logged("s", 2)._replace(line=b"b")]))

    assert list(StoredEvents(database, lambda _: None).of("s")) == [b"a", b"b"]


def test_stored_lines_count_towards_the_size_of_a_batch() -> None:
    """So memory is bounded, whatever they contain."""
    database = InMemoryDatabase()
    big = b"x" * (BatchSize().bytes // 2)

    load(database, ListSource("log", [logged("s", mark)._replace(line=b"%d" % mark + big) for mark in range(4)]))

    assert [len(part.lines) for part in database.memory.event_parts] == [2, 2]


class Death(BaseException):
    """The process ends here, as by kill -9."""


def died(database: InMemoryDatabase) -> None:
    """Let a load store its events and die before it evaluates waiting sessions."""

    def read(run: str) -> Iterator[LoadReport]:
        yield from loader(database).read(run, [ListSource("log", [logged("s", 1)])], NoLoadObserver())
        raise Death

    with pytest.raises(Death):
        loader(database, liveness=Processes("dead")).load_by(read, NoLoadObserver(), run="died")
    died = database.memory.records["died"]
    database.memory.records["died"] = replace(died, state=RunState.RUNNING, ended_at=None)
    database.memory.runs["died"] = RunState.RUNNING


@pytest.mark.parametrize("is_known", [True, False])
def test_sessions_of_a_dead_load_are_evaluated_when_its_death_is_known(is_known: bool) -> None:
    """Otherwise only after a time without a heartbeat; the run is not listed as running."""
    database = InMemoryDatabase()
    died(database)

    loader(database, name="next", liveness=Processes("next", *(["dead"] if is_known else []))).load(
        [], NoLoadObserver()
    )

    assert (database.memory.sessions["s"].snapshot is not None) == is_known
    assert (database.memory.records["died"].state is RunState.FAILED) == is_known
    assert database.memory.records["next1"].settings["process"] == "next"


def test_a_log_that_cannot_be_read_keeps_no_other_waiting() -> None:
    """Such as one that was renamed in between; the next load reads it under its new name."""
    database = InMemoryDatabase()

    class Gone(ListSource):
        def resume(self, marks: object) -> int:
            raise LogUnreadable("gone.json cannot be read")

    report = load(database, Gone("gone.json", []), ListSource("log", [logged("s", 1, CONNECT), logged("t", 2)]))

    assert report.problems == ("gone.json cannot be read",)
    assert [database.memory.sessions[name].is_sealed for name in "st"] == [True, True]
    assert database.memory.runs == {"run1": RunState.DONE}


@pytest.mark.parametrize("size", [1, 50, 2000])
def test_of_very_many_bad_lines_the_first_are_stored_and_the_others_counted(size: int) -> None:
    """A log of another program has gigabytes of them; one dead letter has the number of the missing ones."""
    database = InMemoryDatabase()
    lines = [BadLine(Reason.NOT_COWRIE, b"%06d" % n + b"x" * size, n) for n in range(9_000)]
    load(database, ListSource("eve.json", lines[:8_000], head=""))

    report = load(database, ListSource("eve.json", lines, head=""))

    dead_letters = database.memory.dead_letters.values()
    (rest,) = [dead_letter for dead_letter in dead_letters if dead_letter.reason is Reason.NOT_KEPT]
    kept = len(dead_letters) - 1
    assert sum(len(dead_letter.payload) + ROW_BYTES for dead_letter in dead_letters) <= MOST_BYTES + 1024
    assert report.not_kept == 9_000 - kept > 0
    assert (
        rest.payload
        == (
            f"{9_000 - kept:,} more lines are not valid events and were not kept, "
            f"{(9_000 - kept) * (size + 6):,} bytes; "
            f"the first begins at byte {kept:,}"
        ).encode()
    )
    assert (rest.source, rest.offset) == ("eve.json", kept)


def test_a_repeated_bad_line_is_one_dead_letter() -> None:
    """It uses up the limit only once."""
    database = InMemoryDatabase()
    lines = [BadLine(Reason.NOT_JSON, b"{", n) for n in range(9_000)]

    report = load(database, ListSource("log", [*lines, BadLine(Reason.NOT_JSON, b"another", 9_000)], head=""))

    assert (report.dead_letters, report.not_kept) == (2, 0)


def test_sessions_read_on_a_cluster_are_stored_in_batches() -> None:
    """Parts of one session may arrive separately."""
    database = InMemoryDatabase()
    events = [logged("s", mark).event for mark in range(1500)]
    parts = [SessionAggregate.of("s", events[at : at + 300]) for at in range(0, 1500, 300)]

    stored = loader(database)
    report = stored.load_by(lambda run: stored.store(run, [*parts, *parts], NoLoadObserver()), NoLoadObserver())

    assert (report.events, report.lines) == (1500, 3000)
    assert database.memory.sessions["s"].event_count == 1500


def test_sessions_that_fill_a_batch_exactly_leave_nothing_for_another() -> None:
    """No empty batch is stored at the end."""
    database = InMemoryDatabase()
    whole = SessionAggregate.of("s", [logged("s", mark).event for mark in range(1024)])

    stored, steps = loader(database), list[LoadReport]()

    def store(run: str) -> list[LoadReport]:
        steps.extend(stored.store(run, [whole], NoLoadObserver()))
        return steps

    stored.load_by(store, NoLoadObserver())

    assert [step.events for step in steps] == [1024]
