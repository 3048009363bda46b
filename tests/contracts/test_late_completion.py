"""Late completion, whatever the clocks of those say who load and import."""

from datetime import datetime, timedelta
from itertools import count

import pytest

from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.database import Database
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.session import EventKind
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.policy import SnapshotPolicy
from tests.app.load.test_loader import logged
from tests.fakes import DictSource, FakeSourceRegistry, ListSource, Processes, finder, runtime
from tests.strategies import DAY, HOME, NOON, OTHER

OFF = [(0, 0, 0), (2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (1440, -1440, 0), (0, 1, 2), (2, 1, 0)]
"""By how many minutes the clocks of three processes are off: one that loads, one that learns, one that loads later."""


class ClockOff:
    """Goes on a second each time that any is asked, and is off by some minutes."""

    ticks = count(1)

    def __init__(self, minutes: int = 0) -> None:
        self._off = timedelta(minutes=minutes)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=next(self.ticks)) + self._off


class Program:
    """A process that loads, with the tables that it has."""

    def __init__(self, database: Database, clock: ClockOff, name: str, *sources: DictSource) -> None:
        self.database, self.source_registry, reader = database, FakeSourceRegistry(*sources), AsOfReader()
        self.lookups = Lookups(self.source_registry, reader, clock)
        service = SnapshotService(database, self.lookups, reader, SnapshotPolicy(), clock)
        names = (f"{name}{n}" for n in count())
        completion = LateCompletion(
            database,
            VerdictApplier(service, finder()),
            runtime=runtime(clock, new_run=lambda: f"late-{next(names)}"),
        )
        self.loader = BulkLoader(
            database,
            service,
            completion,
            runtime=runtime(clock, new_run=lambda: next(names)),
            liveness=Processes(),
        )

    def load(self, session: str, mark: int, address: object = HOME) -> LoadReport:
        event = logged(session, mark, EventKind.CONNECT, address=address)
        return self.loader.load([ListSource(session, [event])], NoLoadObserver())

    def learn(self, source: DictSource) -> None:
        """Look every address up, as an import does that dies before it completes sessions."""
        self.source_registry.imported.append(source)
        with self.database.transaction() as stores:
            registered = stores.sources.register_build(source.build, registered_at=NOON)
            self.lookups.look_up([HOME], source, registered, stores)


EMPTY = DictSource("empty", NOON - DAY, {})
KNOWS = DictSource("a", NOON - DAY, {HOME.text: IpFacts(asn=1, country="DE")})


@pytest.mark.parametrize("off", OFF, ids=str)
def test_a_load_completes_sessions_with_new_facts_despite_clock_skew(
    database: Database, off: tuple[int, int, int]
) -> None:
    """Also after an import whose process died before it completed the sessions."""
    one, two, three = (
        Program(database, ClockOff(minutes), name, EMPTY) for minutes, name in zip(off, "abc", strict=True)
    )
    assert one.load("s", 1).left_open == 1
    assert two.load("t", 2, OTHER).completed == 0
    two.learn(KNOWS)

    report = three.load("u", 3, OTHER)

    assert report.completed == 1
    with database.transaction() as stores:
        (session,) = stores.sessions.find_summaries({"s": ()})["s"]
    assert session.snapshot is not None
    assert session.snapshot.asn == 1


def test_a_load_scans_only_facts_learned_since_the_previous_scan(database: Database) -> None:
    """The previous load recorded the time up to which it scanned."""
    program = Program(database, ClockOff(), "one", EMPTY)
    program.load("s", 1)
    with database.view() as stores:
        until = stores.inventory.learned_last()
        (load,) = stores.runs.latest(limit=9)
        assert until is not None
        assert load.settings["completed_until"] == until.isoformat()
        assert not stores.open_sessions.may_have_learned(since=until)
        assert not stores.open_sessions.may_have_learned(since=None)  # its gap was judged by that
    program.learn(KNOWS)
    with database.view() as stores:
        assert stores.open_sessions.may_have_learned(since=until)
        assert stores.open_sessions.may_have_learned(since=None)


def test_the_first_facts_of_an_address_complete_its_sessions(database: Database) -> None:
    """There was no source before."""
    assert Program(database, ClockOff(2), "one").load("s", 1).left_open == 1

    assert Program(database, ClockOff(), "two", KNOWS).load("t", 2).completed == 1


def test_after_a_large_import_all_open_sessions_are_scanned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is faster than a search by address."""
    monkeypatch.setattr("snapshots.adapters.sql.backfill.open_sessions.MOST_ADDRESSES", 0)
    program = Program(database, ClockOff(), "one", EMPTY)
    program.load("s", 1)
    program.learn(KNOWS)

    assert program.load("t", 2).completed == 1
