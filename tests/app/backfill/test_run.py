"""Backfill, improve and undo, over a database in memory."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any

import pytest

from snapshots.app.backfill import stages
from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.improve import ImproveReport, ImproveSnapshots
from snapshots.app.backfill.run import BackfillReport, BackfillSnapshots
from snapshots.app.backfill.span_computer import ComputedSpans, ComputeSpans, SpanComputer, SpanRequest
from snapshots.app.backfill.stages import Workers
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.undo import UndoReport, UndoRun
from snapshots.app.backfill_runs import COUNTING
from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import NoSuchRun, RunTaken, StoreBusy, StoreGone, StoreUnavailable
from snapshots.app.ports.database import Database, WriteLock
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.open_sessions import OpenCase, OpenPage
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from tests.app.backfill.test_batch_runner import OverloadedHealth, RecordedProgress
from tests.fake_runs import InMemoryAudit, InMemoryOpenSessions
from tests.fakes import (
    DictSource,
    FakeSourceRegistry,
    InMemoryCounts,
    InMemoryDatabase,
    InMemoryStores,
    TickingClock,
    finder,
    runtime,
)
from tests.memory import Memory
from tests.strategies import DAY, HOME, NOON, OTHER

PRIVATE = "10.0.0.1"
KNOWS = {HOME.text: IpFacts(asn=1, country="DE")}


class LocalComputers:
    """Computes in this process for every caller."""

    def __init__(self, compute: ComputeSpans) -> None:
        self.compute = compute
        self.addresses = 0
        self.is_closed = True

    def __call__(self, request: SpanRequest) -> ComputedSpans:
        self.is_closed = False
        computed = self.compute(request)
        self.addresses += computed.addresses
        return computed

    def close(self) -> None:
        self.is_closed = True


class World:
    """Everything around one in-memory database."""

    def __init__(
        self,
        *sources: DictSource,
        policy: SnapshotPolicy | None = None,
        database: Database | None = None,
        cores: int = 1,
    ) -> None:
        self.cores = cores
        self.memory_database = InMemoryDatabase()
        self.store: Database = database or self.memory_database
        self.source_registry, self.clock = FakeSourceRegistry(*sources), TickingClock()
        self.count = 0
        self.names = iter(range(99))
        self.ticks = iter(range(10**6))
        self.use(policy or SnapshotPolicy())

    @property
    def database(self) -> InMemoryDatabase:
        return self.memory_database

    def use(self, policy: SnapshotPolicy) -> None:
        reader = AsOfReader()
        service = SnapshotService(
            self.store, Lookups(self.source_registry, reader, self.clock), reader, policy, self.clock
        )
        machine = runtime(self.clock, stopwatch=lambda: float(next(self.ticks)), new_run=self.new_run)
        batch_runner = BatchRunner(self.store, OverloadedHealth(), runtime=machine)
        self.service = service
        self.computers = LocalComputers(SpanComputer(self.store, reader, policy))
        self.backfill = BackfillSnapshots(
            self.store,
            service,
            VerdictApplier(service, finder()),
            batch_runner,
            self.computers,
            runtime=machine,
            cores=self.cores,
            most=Workers(computing=9, writing=9),
        )
        self.improve = ImproveSnapshots(self.store, service, policy, batch_runner, runtime=machine)
        self.undo = UndoRun(self.store, batch_runner, runtime=machine)

    def new_run(self) -> str:
        return f"run{next(self.names)}"

    def put(self, *addresses: str | None) -> None:
        """Store sessions as another loader does, without a verdict."""
        for n, address in enumerate(addresses, self.count):
            self.count += 1
            event = SessionEvent(n, NOON, EventKind.OTHER, IpAddress(address) if address else None)
            summary = SessionAggregate.of(f"s{n}", [event]).summary()
            with self.store.transaction() as stores:
                stores.inventory.register_addresses([s for s in [summary.sighting] if s], registered_at=NOON)
                stores.counts.count_sessions([SessionChange(held=None, kept=summary)], seen_at=NOON)
                stores.sessions.save([summary], run="theirs", saved_at=NOON)

    def run(self, *, batch: int = 2, again: bool = False, stop_after: int | None = None) -> BackfillReport:
        left = iter([False] * stop_after) if stop_after is not None else None
        return self.backfill.run(
            RecordedProgress(),
            throttle=Throttle(batch_size=batch),
            again=again,
            is_stopped=(lambda: next(left, True)) if left is not None else (lambda: False),
        )

    def session(self, n: int = 0) -> SessionSummary:
        return self.database.memory.sessions[f"s{n}"]


def source(day: int = -1, name: str = "a", facts: dict[str, IpFacts] | None = None) -> DictSource:
    return DictSource(name, NOON + day * DAY, KNOWS if facts is None else facts)


def test_sessions_that_another_loader_left_receive_their_snapshot() -> None:
    """The failure that this program began with: every address known, and no session with a snapshot."""
    world = World(source())
    world.put(HOME.text, OTHER.text, PRIVATE, None, HOME.text)

    report = world.run()

    assert report.is_done
    assert report.judged == 5
    assert report.sealed == {Method.ASOF: 2}
    assert report.left_open == {Gap.NO_SOURCE_IP: 1, Gap.NOT_ROUTABLE: 1, Gap.NOTHING_KNOWN: 1}
    assert [s.snapshot is not None for s in world.database.memory.sessions.values()] == [
        True,
        False,
        False,
        False,
        True,
    ]
    record = world.database.memory.records[report.run]
    assert (record.kind, record.state) == (RunKind.BACKFILL, RunState.DONE)


def test_a_second_backfill_finds_nothing_to_do() -> None:
    """What is open stays open for a reason that still holds."""
    world = World(source())
    world.put(HOME.text, OTHER.text, None)
    world.run()

    again = world.run()

    assert (again.judged, again.is_done) == (0, True)


def test_samples_are_bounded_for_each_kind_of_verdict() -> None:
    """A report of millions of sessions holds a few of them in memory."""
    world = World(source())
    world.put(*[HOME.text] * 3 * stages.SAMPLES, *[PRIVATE] * 3 * stages.SAMPLES)

    report = world.backfill.dry_run(RecordedProgress())

    kinds = Counter(type(each.verdict) for each in report.samples)
    assert kinds == {IpSnapshot: stages.SAMPLES, Gap: stages.SAMPLES}


class RecordingOpenSessions(InMemoryOpenSessions):
    """Records why pages of open sessions were read."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.cases = set[OpenCase]()

    def page(self, case: OpenCase, *, run: str, stale_before: datetime, after: str, limit: int) -> OpenPage:
        self.cases.add(case)
        return super().page(case, run=run, stale_before=stale_before, after=after, limit=limit)


def test_a_backfill_reads_no_session_for_new_facts_if_there_are_none() -> None:
    """Looking for them would read every open session."""
    world = World(source())
    world.put(HOME.text, OTHER.text)
    world.run()
    recording = world.database.stores.open_sessions = RecordingOpenSessions(world.database.memory)

    world.run()
    without_facts = set(recording.cases)
    learn_of_home(world)
    world.run()

    assert OpenCase.LEARNED not in without_facts
    assert OpenCase.LEARNED in recording.cases


def test_sessions_with_new_facts_are_evaluated_again_and_no_others() -> None:
    """Whichever command imported the facts."""
    world = World(source(facts={}))
    world.put(HOME.text, OTHER.text)
    world.run()
    learn_of_home(world)

    report = world.run()

    assert (report.judged, report.sealed) == (1, {Method.ASOF: 1})


def learn_of_home(world: World) -> None:
    world.source_registry.sources.append(source(name="b"))
    with world.database.transaction() as stores:
        lookups = Lookups(world.source_registry, AsOfReader(), world.clock)
        build = lookups.register_sources(stores)[-1]
        lookups.look_up([HOME], world.source_registry.sources[-1], build, stores)


def test_a_resumed_run_uses_facts_learned_during_the_interruption() -> None:
    """Also for sessions that it had already evaluated."""
    world = World(source(facts={}), *(source(name=name, facts={}) for name in "cdefgh"))
    world.put(HOME.text, OTHER.text)
    assert not world.run(batch=1, stop_after=1).is_done
    assert world.session().gap is Gap.NOTHING_KNOWN
    learn_of_home(world)

    assert world.backfill.resume(None, RecordedProgress()).is_done

    assert world.session().snapshot is not None
    assert world.run().judged == 0


def test_changed_rules_evaluate_all_open_sessions_again() -> None:
    """Automatically; on request also with unchanged rules."""
    world = World(source(day=5), policy=SnapshotPolicy(max_lag=DAY))
    world.put(HOME.text, None)
    assert world.run().left_open == {Gap.TOO_LATE: 1, Gap.NO_SOURCE_IP: 1}
    assert world.run().judged == 0
    assert world.run(again=True).judged == 2

    world.use(SnapshotPolicy())

    assert world.run().sealed == {Method.INFERRED: 1}


@pytest.mark.parametrize("batch", [1, 2, 99])
def test_a_dry_run_stores_nothing_and_forecasts_the_run(batch: int) -> None:
    """To the session, whatever the batches."""
    world = World(source())
    world.put(HOME.text, OTHER.text, PRIVATE, None, HOME.text, HOME.text, None)
    world.database.memory.session_documents["s3"] = HOME.text
    before = world.database.memory.sessions.copy()

    forecast = world.backfill.dry_run(RecordedProgress())

    assert world.database.memory.sessions == before
    assert not world.database.memory.records
    assert not world.database.memory.observations
    done = world.run(batch=batch)
    assert (forecast.judged, forecast.sealed, forecast.left_open, forecast.found) == (
        done.judged,
        done.sealed,
        done.left_open,
        done.found,
    )
    assert {each.session.session_id for each in forecast.samples} == {f"s{n}" for n in range(7)}


def test_the_address_is_found_in_events_before_documents() -> None:
    """The connect, else the earliest; what a client claimed does not count if there is any other."""
    world = World(source())
    world.put(None, None, None, None)
    memory = world.database.memory
    memory.raw_events["s0"] = [f"other {OTHER.text} -1", f"connect {HOME.text} 1", f"forward {OTHER.text} -2"]
    memory.raw_events["s1"] = [f"other {OTHER.text} 1", f"other {HOME.text} -1"]
    memory.raw_events["s2"] = ["other - 0"]
    memory.session_documents |= {"s0": OTHER.text, "s2": HOME.text, "s3": f"{HOME.text} {OTHER.text}"}

    report = world.run()

    assert [world.session(n).source_ip for n in range(4)] == [HOME, HOME, HOME, None]
    seen = [s.sighting.seen_at if s.sighting else None for s in memory.sessions.values()]
    assert seen[:3] == [NOON + DAY, NOON - DAY, NOON]
    assert (report.found, report.left_open) == (3, {Gap.AMBIGUOUS_IP: 1})
    assert memory.addresses[HOME].session_count == 3


@pytest.mark.parametrize("batches", range(8))
def test_an_interrupted_backfill_has_the_same_result_after_a_resume(batches: int) -> None:
    """Wherever it was stopped, no session is missed, and addresses are counted once."""
    whole, world = World(source()), World(source())
    for each in (whole, world):
        each.put(HOME.text, None, OTHER.text, None, HOME.text)
        each.database.memory.session_documents |= {"s1": HOME.text, "s3": OTHER.text}
    expected = whole.run(batch=1)

    first = world.run(batch=1, stop_after=batches)
    assert not first.is_done
    assert world.database.memory.runs[first.run] is RunState.INTERRUPTED
    done = world.backfill.resume(None, RecordedProgress(), throttle=Throttle(batch_size=1))

    assert done.run == first.run
    assert (done.judged, done.sealed, done.left_open) == (expected.judged, expected.sealed, expected.left_open)
    assert world.database.memory.sessions == whole.database.memory.sessions
    counts = [{a: k.session_count for a, k in w.database.memory.addresses.items()} for w in (whole, world)]
    assert counts[0] == counts[1]


def test_only_an_unfinished_backfill_with_the_same_options_is_resumed() -> None:
    """By its name, or the newest one."""
    world = World(source())
    world.put(HOME.text)
    with pytest.raises(NoSuchRun, match="no backfill to resume"):
        world.backfill.resume(None, RecordedProgress())
    stopped = world.run(stop_after=0)
    with pytest.raises(NoSuchRun, match="no backfill nothing"):
        world.backfill.resume("nothing", RecordedProgress())
    world.use(SnapshotPolicy(max_lag=DAY))
    with pytest.raises(NoSuchRun, match="other options"):
        world.backfill.resume(None, RecordedProgress())
    world.use(SnapshotPolicy())

    assert world.backfill.resume(stopped.run, RecordedProgress()).is_done
    with pytest.raises(NoSuchRun):
        world.backfill.resume(stopped.run, RecordedProgress())


def undo(world: World, run: str, *, is_dry_run: bool = False) -> UndoReport:
    return world.undo.undo(run, RecordedProgress(), is_dry_run=is_dry_run)


def test_undo_removes_exactly_the_rows_of_a_backfill() -> None:
    """Addresses, snapshots and counts; sessions sealed by other runs stay, and a second undo finds nothing."""
    world = World(source())
    world.put(HOME.text, None, OTHER.text, None)
    memory = world.database.memory
    memory.session_documents |= {"s1": HOME.text, "s3": OTHER.text}
    before = memory.sessions.copy()
    counts = {address: known.session_count for address, known in memory.addresses.items()}
    run = world.run().run
    world.put(HOME.text)
    other = world.run().run

    assert undo(world, run, is_dry_run=True).opened == 2
    report = undo(world, run)

    assert (report.opened, report.forgotten, report.sources) == (2, 1, ("a@2026-02-28T12:00",))
    assert [world.session(n)._replace(gap=None) for n in range(4)] == list(before.values())
    assert [world.session(n).gap for n in (0, 1, 3)] == [Gap.UNDONE] * 3
    assert world.session(4).is_sealed
    assert {a: memory.addresses[a].session_count for a in counts} == {**counts, HOME: counts[HOME] + 1}
    assert (memory.runs[run], memory.runs[other]) == (RunState.UNDONE, RunState.DONE)
    assert undo(world, run).opened == 0


def test_undone_sessions_are_evaluated_again_only_by_a_backfill() -> None:
    """Not by a late completion, whatever facts arrive."""
    world = World(source())
    world.put(HOME.text)
    undo(world, world.run().run)
    assert not Gap.UNDONE.is_retryable

    report = world.run()

    assert (report.judged, report.sealed) == (1, {Method.ASOF: 1})


def test_a_load_or_an_unknown_run_cannot_be_undone() -> None:
    """Only runs that completed sessions of earlier loads can be undone."""
    world = World(source())
    with world.database.transaction() as stores:
        stores.runs.begin("load", RunKind.LOAD, at=NOON)

    with pytest.raises(NoSuchRun, match="of the kind load"):
        undo(world, "load")
    with pytest.raises(NoSuchRun, match="there is no run"):
        undo(world, "nothing")


def test_an_interrupted_undo_can_be_repeated() -> None:
    """With the same command."""
    world = World(source())
    world.put(HOME.text, HOME.text)
    run = world.run().run

    stopped = world.undo.undo(run, RecordedProgress(), is_stopped=lambda: True)

    assert (stopped.is_done, world.database.memory.runs[run]) == (False, RunState.DONE)
    assert undo(world, run).opened == 2


def test_a_run_cannot_be_resumed_while_it_is_undone() -> None:
    """One process would seal what the other one opens."""
    world = World(source())
    world.put(HOME.text, HOME.text)
    run = world.backfill.run(RecordedProgress(), is_stopped=lambda: True).run
    refused: list[str] = []

    class Resuming(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            with pytest.raises(NoSuchRun, match="is being undone"):
                world.backfill.resume(None, RecordedProgress())
            refused.append(name)

    stopped = world.undo.undo(run, Resuming(), is_stopped=lambda: True)

    assert (refused, stopped.is_done) == (["undo"], False)
    assert world.backfill.resume(run, RecordedProgress()).is_done


def improve(world: World, *, is_dry_run: bool = False) -> ImproveReport:
    return world.improve.run(RecordedProgress(), is_dry_run=is_dry_run)


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_an_improvement_that_ends_by_an_error_is_a_failed_run(is_dry_run: bool) -> None:
    """A dry run leaves no run behind, and the error is passed on."""

    class Broken(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            raise RuntimeError("no terminal")

    world = World(source(day=5))
    world.put(HOME.text)
    world.run()
    before = dict(world.database.memory.runs)

    with pytest.raises(RuntimeError, match="no terminal"):
        world.improve.run(Broken(), is_dry_run=is_dry_run)

    new = [state for run, state in world.database.memory.runs.items() if run not in before]
    assert new == ([] if is_dry_run else [RunState.FAILED])


def test_improving_replaces_inferred_facts_by_facts_as_of_the_attack() -> None:
    """A table of the time became available; undoing the run restores the previous facts."""
    world = World(source(day=5))
    world.put(HOME.text, OTHER.text)
    world.run()
    held = world.session()
    world.source_registry.sources.append(source(day=-1, facts={HOME.text: IpFacts(asn=2, country="FR")}))
    with world.database.transaction() as stores:
        world.service.register_sources(stores)

    assert improve(world, is_dry_run=True).improved == {"inferred to asof": 1}
    assert world.session() == held
    report = improve(world)

    assert (report.looked_at, report.improved) == (1, {"inferred to asof": 1})
    better = world.session().snapshot
    assert better is not None
    assert (better.asn, better.method) == (2, Method.ASOF)
    assert improve(world).improved == {}
    assert undo(world, report.run).restored == 1
    assert world.session() == held


def test_an_improvement_adds_facts_and_removes_none() -> None:
    """More facts of the time of the attack."""
    world = World(source(facts={HOME.text: IpFacts(asn=1)}))
    world.put(HOME.text)
    world.run()
    world.source_registry.sources.append(source(day=-2, name="b", facts={HOME.text: IpFacts(country="DE")}))

    assert improve(world).improved == {"more facts": 1}


def test_undo_leaves_a_session_that_another_run_sealed_at_an_address_it_found() -> None:
    """It once removed the session from the count of its address at every call."""
    world = World(source(facts={}))
    world.put(None)
    memory = world.database.memory
    memory.session_documents["s0"] = HOME.text
    first = world.run().run
    world.source_registry.sources.append(source(name="b"))
    second = world.run(again=True).run
    assert world.session().is_sealed

    for _ in range(2):
        report = undo(world, first)
        assert (report.opened, report.forgotten) == (0, 0)
        assert memory.addresses[HOME].session_count == 1

    assert undo(world, second).opened == 1


def test_a_run_stops_when_another_process_resumes_or_undoes_it() -> None:
    """Two processes that continued one run once counted everything twice."""
    for take in ("resume", "undo"):
        world = World(source())
        world.put(HOME.text, HOME.text, HOME.text)
        looks = iter(range(9))

        def is_stopped(looks: Iterator[int] = looks, world: World = world, take: str = take) -> bool:
            if next(looks) == 1:
                if take == "resume":
                    world.backfill.resume(None, RecordedProgress())
                else:
                    undo(world, "run0")
            return False

        with pytest.raises(RunTaken):
            world.backfill.run(RecordedProgress(), throttle=Throttle(batch_size=1), is_stopped=is_stopped)

        state = {"resume": RunState.DONE, "undo": RunState.UNDONE}[take]
        assert world.database.memory.runs["run0"] is state
        assert [world.session(n).is_sealed for n in range(3)] == [take == "resume"] * 3


def test_sessions_that_the_database_refuses_to_improve_are_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are improved."""
    world = World(source(facts={HOME.text: IpFacts(asn=1)}))
    world.put(HOME.text, HOME.text)
    world.run()
    world.source_registry.sources.append(source(day=-2, name="b", facts={HOME.text: IpFacts(country="DE")}))
    replace_all = InMemoryAudit.replace

    def refuse(self: InMemoryAudit, snapshots: Mapping[str, IpSnapshot], **rest: Any) -> None:
        if "s1" in snapshots:
            raise StoreUnavailable("odd")
        replace_all(self, snapshots, **rest)

    monkeypatch.setattr(InMemoryAudit, "replace", refuse)

    report = improve(world)

    assert (report.improved, report.quarantined) == ({"more facts": 1}, {"s1": "odd"})


def raising(error: Exception) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


class Restarting(InMemoryDatabase):
    """A database that cannot be reached once, at its n-th transaction from now on."""

    left: int | None = None

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> Iterator[InMemoryStores]:
        self.fail_once()
        with super().transaction(connection, dry_run=dry_run, lock=lock) as stores:
            yield stores

    @contextmanager
    def view(self) -> Iterator[InMemoryStores]:
        self.fail_once()
        with super().view() as stores:
            yield stores

    def fail_once(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise StoreGone("the server restarts")


@pytest.mark.parametrize("command", ["backfill", "improve", "undo"])
def test_a_run_ends_whichever_transaction_a_restart_of_the_server_hits(command: str) -> None:
    """Every transaction is retried."""
    for moment in range(1, 30):
        database = Restarting()
        world = World(source(), database=database)
        world.put(HOME.text, OTHER.text)
        run = world.backfill.run(RecordedProgress()).run if command == "undo" else ""
        database.left = moment

        done = (
            world.undo.undo(run, RecordedProgress())
            if command == "undo"
            else getattr(world, command).run(RecordedProgress())
        )

        assert done.is_done
        if database.left > 0:
            assert moment > 4
            return
        assert RunState.RUNNING not in {record.state for record in database.memory.records.values()}


def staged(world: World) -> World:
    """Let another loader store so many sessions of known addresses that their verdicts are staged first."""
    world.put(HOME.text, OTHER.text)
    world.run()
    world.put(*[HOME.text] * 3, OTHER.text, "9.9.9.9", PRIVATE, None, *[HOME.text] * 9)
    world.use(SnapshotPolicy())  # another process
    return world


def test_verdicts_on_known_addresses_are_staged_and_the_rest_is_evaluated_in_python() -> None:
    """Where staging pays: the database then applies the verdicts."""
    world = World(source(), *(source(name=name) for name in "bcdef"))
    world.put(HOME.text, OTHER.text, "9.9.9.9")
    few, many = RecordedProgress(), RecordedProgress()
    world.run()
    world.put(HOME.text, OTHER.text, "9.9.9.9")
    world.backfill.run(few)
    world = staged(World(source()))

    report = world.backfill.run(many)

    assert report.sealed == {Method.ASOF: 12}
    assert report.left_open == {Gap.NOTHING_KNOWN: 2, Gap.NOT_ROUTABLE: 1, Gap.NO_SOURCE_IP: 1}
    assert [name for name, _ in few.stages] == ["never_judged", "undone", "learned", "count"]
    names = ["look_up", "compute", "apply", "never_judged", "undone", "learned", "count"]
    assert [name for name, _ in many.stages] == names
    assert many.stages_of_addresses == ["look_up", "compute", "count"]
    assert world.database.memory.staged == {}
    assert world.computers.is_closed


def test_known_addresses_are_looked_up_in_new_builds_before_their_verdicts_are_staged() -> None:
    """A package with new tables was installed since the last backfill."""
    world = staged(World(source(facts={})))
    world.source_registry.sources.append(source(name="b"))
    observed = RecordedProgress()

    report = world.backfill.run(observed)

    assert report.sealed == {Method.ASOF: 13}
    assert [name for name, _ in observed.stages][:3] == ["look_up", "compute", "apply"]


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("cores", [1, 3])
def test_a_forecast_with_staged_verdicts_equals_the_run(cores: int, *, is_new: bool) -> None:
    """In every number, also if a build is registered only by the run; and nothing stays staged."""
    world = World(source(facts={} if is_new else None), cores=cores)
    world.put(*[HOME.text] * 3, OTHER.text, "9.9.9.9", PRIVATE, None, *[HOME.text] * 9)
    with world.database.transaction() as stores:
        world.service.register_sources(stores)
        world.service.look_up(stores.inventory.page_outdated(after="", limit=99), stores)
    if is_new:
        world.source_registry.sources.append(source(name="b"))
    before = world.database.memory.sessions.copy()

    forecast = world.backfill.dry_run(RecordedProgress(), throttle=Throttle(batch_size=3))

    assert world.computers.addresses
    assert (world.database.memory.sessions, world.database.memory.staged) == (before, {})
    done = world.run(batch=3)
    results = [(r.judged, r.sealed, r.left_open, r.found, r.lost) for r in (forecast, done)]
    assert results[0] == results[1]
    assert forecast.samples


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("batches", range(12))
def test_a_backfill_with_staged_verdicts_has_the_same_result_after_a_resume(batches: int, cores: int) -> None:
    """Wherever it was stopped; verdicts that were staged are not computed again."""
    whole, world = staged(World(source())), staged(World(source(), cores=cores))
    expected = whole.run(batch=2)

    first = world.run(batch=2, stop_after=batches)
    assert not first.is_done
    done = world.backfill.resume(None, RecordedProgress(), throttle=Throttle(batch_size=2))

    assert (done.judged, done.sealed, done.left_open) == (expected.judged, expected.sealed, expected.left_open)
    assert world.database.memory.sessions == whole.database.memory.sessions
    counts = [{a: k.session_count for a, k in w.database.memory.addresses.items()} for w in (whole, world)]
    assert counts[0] == counts[1]
    assert world.computers.addresses == 4


def test_staged_verdicts_are_not_applied_after_a_build_was_retracted() -> None:
    """The sessions are evaluated one by one, from the facts that are left."""

    class Retracting(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            super().stage_begun(name, total, run=run, counts_sessions=counts_sessions)
            if name == "apply":
                with world.database.transaction() as stores:
                    stores.sources.retract_build(1, retracted_at=NOON)

    world = staged(World(source()))

    report = world.backfill.run(Retracting())

    assert (report.sealed, report.judged, world.computers.addresses) == ({}, 16, 4)


def test_verdicts_are_not_staged_where_they_cannot_be_applied() -> None:
    """An old server, or a table of partitions, has no storage order."""
    world, observed = staged(World(source())), RecordedProgress()
    world.database.stores.open_sessions.can_apply_staged = False

    assert world.backfill.run(observed).judged == 16

    assert observed.stages[0][0] == "never_judged"
    assert world.computers.addresses == 0


def test_verdicts_that_were_computed_during_a_retraction_are_not_staged() -> None:
    """The builds of another page differ from those at the beginning of the stage."""

    class Retracting(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            if name == "compute":
                with world.database.transaction() as stores:
                    stores.sources.retract_build(1, retracted_at=NOON)

    world = staged(World(source()))

    report = world.backfill.run(Retracting())

    assert (report.sealed, report.judged) == ({}, 16)


@pytest.mark.parametrize("loss", ["builds", "crash"])
def test_a_resumed_run_stages_verdicts_again_if_they_are_outdated_or_lost(loss: str) -> None:
    """A crash of the server deletes an unlogged table."""
    world = staged(World(source()))
    assert not world.run(stop_after=5).is_done
    if loss == "builds":
        learn_of_home(world)
    else:
        world.database.memory.staged.clear()

    done = world.backfill.resume(None, RecordedProgress())

    assert (done.is_done, world.computers.addresses) == (True, 8)
    assert world.database.memory.staged == {}


def test_the_staged_verdicts_of_an_undone_run_are_deleted() -> None:
    """It is not resumed."""
    world = staged(World(source()))
    run = world.run(stop_after=5).run
    assert run in world.database.memory.staged

    undo(world, run)

    assert world.database.memory.staged == {}


def test_the_forecast_of_the_log_is_that_of_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone is written, and rolled back."""
    positions = count(0, 1000)
    monkeypatch.setattr(InMemoryStores, "log_position", lambda _: next(positions))
    world = World(source())
    world.put(HOME.text, OTHER.text)

    forecast = world.backfill.dry_run(RecordedProgress())
    report = world.run()

    assert (forecast.written_bytes, report.written_bytes) == (500, None)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose finds were counted."""
    runs: list[str] = []
    count_found: Callable[..., None] = InMemoryCounts.count_found

    def noting(self: InMemoryCounts, run: str, within: KeyRange, **page: Any) -> None:
        runs.append(run)
        count_found(self, run, within, **page)

    monkeypatch.setattr(InMemoryCounts, "count_found", noting)
    return runs


def test_a_backfill_without_work_does_not_recount_addresses(counted: list[str]) -> None:
    """The recount would read all sessions of all addresses."""
    world = World(source())
    world.put(HOME.text, OTHER.text)

    first, second = world.run(), world.run()

    assert (set(counted), second.judged) == ({first.run}, 0)


def test_a_lock_conflict_during_the_count_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in any other stage."""
    count_found: Callable[..., None] = InMemoryCounts.count_found
    busy = iter([True])

    def counting(self: InMemoryCounts, run: str, within: KeyRange, **page: Any) -> None:
        if next(busy, False):
            raise StoreBusy("a deadlock")
        count_found(self, run, within, **page)

    monkeypatch.setattr(InMemoryCounts, "count_found", counting)
    world = World(source())
    world.put(HOME.text)

    assert world.run().is_done


def test_addresses_found_by_an_interrupted_run_are_counted_when_it_is_resumed(counted: list[str]) -> None:
    """Nothing is left to evaluate then, but the counters lack what the run found before."""

    class Interrupted(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            if name == COUNTING:
                raise KeyboardInterrupt

    world = World(source())
    world.put(HOME.text)
    with pytest.raises(KeyboardInterrupt):
        world.backfill.run(Interrupted())
    assert counted == []

    resumed = world.backfill.resume(None, RecordedProgress())

    assert (set(counted), resumed.judged) == ({resumed.run}, 1)


@pytest.mark.parametrize("command", ["backfill", "improve"])
def test_a_run_that_ctrl_c_ended_is_interrupted(command: str) -> None:
    """Only an error fails it."""

    class Pressed(RecordedProgress):
        def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
            raise KeyboardInterrupt

    world = World(source(day=5))
    world.put(HOME.text)
    work: BackfillSnapshots | ImproveSnapshots = world.backfill
    if command == "improve":
        world.run()
        work = world.improve
    before = dict(world.database.memory.runs)

    with pytest.raises(KeyboardInterrupt):
        work.run(Pressed())

    assert [state for run, state in world.database.memory.runs.items() if run not in before] == [RunState.INTERRUPTED]


def test_verdicts_are_not_staged_if_there_are_many_builds() -> None:
    """Each build begins another time span, and most of the spans have no session."""
    world = World(source(), *(source(-n, name="b") for n in range(12)))
    world.put(*[HOME.text] * 2)
    world.run()
    world.put(*[HOME.text] * 2)
    observed = RecordedProgress()

    world.backfill.run(observed)

    assert observed.stages[0] == ("never_judged", 2)
