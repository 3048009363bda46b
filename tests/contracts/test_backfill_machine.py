"""Any interleaving of loading, learning, backfilling, interrupting, resuming and undoing."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.errors import NoSuchRun
from snapshots.app.ports.database import Database
from snapshots.app.ports.runs import RunState
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.app.backfill.test_batch_runner import RecordedProgress
from tests.app.backfill.test_run import World, source
from tests.fakes import InMemoryDatabase
from tests.strategies import HOME, NOON, OTHER

PLACES = [HOME.text, OTHER.text, "9.9.9.9", "10.0.0.1", None]
places = st.sampled_from(PLACES)


class Machine(RuleBasedStateMachine):
    """A database, and the expected state of each session."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.world = World(source(facts={HOME.text: IpFacts(asn=64500)}), database=database)
        self.addresses: dict[str, str | None] = {}
        self.known = {HOME.text}
        self.sealed: dict[str, IpSnapshot] = {}
        self.runs: list[str] = []
        self.of_run: dict[str, set[str]] = {}

    def stored(self) -> dict[str, SessionSummary]:
        with self.world.store.transaction() as stores:
            found = stores.sessions.find_summaries(dict.fromkeys(self.addresses, ()))
        return {session.session_id: session for sessions in found.values() for session in sessions}

    def note_new(self, run: str | None) -> None:
        """Record the newly sealed sessions and their run."""
        for name, session in self.stored().items():
            if session.snapshot is not None and name not in self.sealed:
                self.sealed[name] = session.snapshot
                self.of_run.setdefault(run or "", set()).add(name)

    @rule(found=st.lists(places, min_size=1, max_size=3))
    def another_loader_writes(self, found: list[str | None]) -> None:
        for place in found:
            self.addresses[f"s{self.world.count}"] = place
            self.world.put(place)

    @rule(place=st.sampled_from(PLACES[:4]))
    def we_load(self, place: str) -> None:
        name = f"s{self.world.count}"
        self.world.count += 1
        self.addresses[name] = place
        summary = SessionAggregate.sighted(name, place, NOON).summary()
        with self.world.store.transaction() as stores:
            (offered,) = self.world.service.offer([summary], stores)
            stores.counts.count_sessions([SessionChange(held=None, kept=offered)], seen_at=NOON)
            stores.sessions.save([offered], run="load", saved_at=self.world.clock.now())
        self.note_new(None)

    @rule(place=st.sampled_from(PLACES[1:3]))
    def a_table_is_imported(self, place: str) -> None:
        number = len(self.world.source_registry.sources)
        table = source(day=-number, name=f"t{number:03}", facts={place: IpFacts(asn=number)})
        self.world.source_registry.sources.append(table)
        self.known.add(place)
        with self.world.store.transaction() as stores:
            lookups = Lookups(self.world.source_registry, AsOfReader(), self.world.clock)
            build = lookups.register_sources(stores)[-1]
            page = stores.inventory.page_addresses(after="", limit=99)
            lookups.look_up(page, table, build, stores)

    @rule(batches=st.sampled_from([None, None, None, 1, 3]), again=st.booleans())
    def backfill(self, batches: int | None, *, again: bool) -> None:
        report = self.world.run(batch=1, stop_after=batches, again=again)
        self.runs.append(report.run)
        self.note_new(report.run)
        if report.is_done:
            self.everything_that_can_be_is_sealed()

    @rule(batches=st.none() | st.integers(0, 4))
    def resume(self, batches: int | None) -> None:
        left = iter([False] * batches) if batches is not None else None
        try:
            report = self.world.backfill.resume(
                None,
                RecordedProgress(),
                throttle=Throttle(batch_size=2),
                is_stopped=(lambda: next(left, True)) if left is not None else (lambda: False),
            )
        except NoSuchRun:
            return
        self.note_new(report.run)

    @precondition(lambda self: self.runs)
    @rule(session_filter=st.integers(0, 99))
    def undo(self, session_filter: int) -> None:
        telling = [run for run in self.runs if self.of_run.get(run)] or self.runs
        run = telling[session_filter % len(telling)]
        expected = self.of_run.pop(run, set())

        assert self.world.undo.undo(run, RecordedProgress()).opened == len(expected)

        after = self.stored()
        for name in expected:
            del self.sealed[name]
            assert (after[name].snapshot, after[name].gap) == (None, Gap.UNDONE)

    def everything_that_can_be_is_sealed(self) -> None:
        for name, session in self.stored().items():
            place = self.addresses[name]
            expected = (
                Gap.NO_SOURCE_IP
                if place is None
                else Gap.NOT_ROUTABLE
                if place.startswith("10.")
                else None
                if place in self.known
                else Gap.NOTHING_KNOWN
            )
            assert (session.is_sealed, session.gap) == (expected is None, expected), name

    @invariant()
    def what_is_sealed_stays(self) -> None:
        found = self.stored()
        assert {name: session.snapshot for name, session in found.items() if session.is_sealed} == self.sealed
        assert set(found) == set(self.addresses)

    @invariant()
    def the_inventory_counts_the_sessions(self) -> None:
        places = [place for place in self.addresses.values() if place is not None]
        with self.world.store.transaction() as stores:
            runs = stores.runs.latest(limit=99)
            if isinstance(self.world.store, InMemoryDatabase):
                counts = {a.text: k.session_count for a, k in self.world.store.memory.addresses.items()}
                assert counts == {place: places.count(place) for place in set(places)}
        assert {record.state for record in runs} <= {RunState.DONE, RunState.INTERRUPTED, RunState.UNDONE}


def check(make: Callable[[], Database], examples: int) -> None:
    run_state_machine_as_test(
        lambda: Machine(make()),  # type: ignore[arg-type]  # any callable that makes a machine
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[phase for phase in Phase if phase is not Phase.shrink],  # it would take minutes
        ),
    )


@pytest.mark.parametrize("examples", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_any_interleaving_of_commands_has_the_predicted_result_in_memory(examples: int) -> None:
    """Snapshots, gaps, counts and the states of runs."""
    check(InMemoryDatabase, examples)


@pytest.mark.slow
def test_any_interleaving_of_commands_has_the_predicted_result_on_sqlite() -> None:
    """Each time in a database of its own."""
    check(lambda: SqlDatabase("sqlite://"), 15)


@pytest.mark.slow
def test_any_interleaving_of_commands_has_the_predicted_result_on_a_server(postgresql: str) -> None:
    """On PostgreSQL, each time with new tables."""
    database = SqlDatabase(postgresql)

    def fresh() -> Database:
        database.migrate("base")
        database.migrate()
        return database

    check(fresh, 6)
    database.close()
