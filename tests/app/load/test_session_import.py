"""Importing the sessions of a folder, over stores in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from snapshots.app.load.session_import import SessionImport
from snapshots.app.ports.log_source import Reason
from snapshots.app.ports.logs import DeadLetter
from snapshots.app.ports.runs import RunState
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from tests.app.load.test_loader import FACTS, loader
from tests.fakes import DictSource, FakeSourceRegistry, InMemoryDatabase, runtime, snapshot_service
from tests.strategies import HOME, NOON

DEAD_LETTER = DeadLetter(identity="ab", source="cowrie.json", offset=7, reason=Reason.NOT_JSON, payload=b"x")


@dataclass
class ListFolder:
    """A folder with some pages."""

    pages: Sequence[Sequence[SessionSummary]]
    dead_letter_pages: Sequence[Sequence[DeadLetter]] = field(default_factory=list)
    name: str = "lake"

    def sessions(self) -> Sequence[Sequence[SessionSummary]]:
        return self.pages

    def dead_letters(self) -> Sequence[Sequence[DeadLetter]]:
        return self.dead_letter_pages


def summary(name: str, *fingerprints: int) -> SessionSummary:
    events = [SessionEvent(each, NOON, EventKind.CONNECT, HOME, 1, "pot", None) for each in fingerprints]
    return SessionAggregate.of(name, events).summary(name)._replace(gap=Gap.NEVER_LOOKED_UP)


def importing(database: InMemoryDatabase) -> SessionImport:
    service = snapshot_service(database, FakeSourceRegistry(DictSource("a", NOON, FACTS)))
    return SessionImport(database, service, loader(database), runtime=runtime())


def test_sessions_and_dead_letters_are_stored_in_a_run() -> None:
    """Open sessions receive their snapshot, because their address is looked up as in a load."""
    database = InMemoryDatabase()

    report = importing(database).load(ListFolder([[summary("a", 1, 2)], [summary("b", 3)]], [[DEAD_LETTER]]))

    assert (report.events, report.sessions_added, report.sealed, report.left_open) == (3, 2, 2, 0)
    assert (report.dead_letters, report.problems) == (1, ())
    assert database.memory.runs == {report.run: RunState.DONE}
    assert database.memory.sessions["a"].fingerprints == {1, 2}


def test_a_repeated_import_changes_nothing() -> None:
    """So an interrupted import is completed by repeating it."""
    database = InMemoryDatabase()
    folder = ListFolder([[summary("a", 1, 2)]], [[DEAD_LETTER]])
    importing(database).load(folder)
    before = dict(database.memory.sessions)

    report = importing(database).load(folder)

    assert (report.events, report.repeated, report.dead_letters, report.known_dead_letters) == (0, 2, 0, 1)
    assert report.problems == ()
    assert database.memory.sessions == before


def test_a_session_stored_with_other_events_is_a_problem() -> None:
    """The stored one stays, and the message states what to do; a superset of the folder's events is fine."""
    database = InMemoryDatabase()
    importing(database).load(ListFolder([[summary("a", 1), summary("b", 2, 3)]]))

    report = importing(database).load(ListFolder([[summary("a", 1, 4), summary("b", 2)]]))

    (problem,) = report.problems
    assert problem.startswith("1 sessions of lake were not imported")
    assert "snapshots load" in problem
    assert database.memory.sessions["a"].fingerprints == {1}
    assert (report.events, report.repeated) == (0, 1)
