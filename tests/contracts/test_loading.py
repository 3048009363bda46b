"""What is stored after lines were loaded in batches of any size and in any number of loads."""

from collections.abc import Collection, Mapping, Sequence
from itertools import count, groupby
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.app.load.batch import BatchSize, LoadReport
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import LogEvent
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.event_record import record_of
from snapshots.domain.session.session import EventKind, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from tests.fakes import (
    DictSource,
    FakeSourceRegistry,
    InMemoryDatabase,
    ListSource,
    Processes,
    late_completion,
    runtime,
    snapshot_service,
)
from tests.strategies import HOME, NOON, events, moments, odd_moments

pytestmark = pytest.mark.slow

NUMBERS = count(1)
FACTS = {HOME.text: IpFacts(asn=15169, country="US")}


class Lines(NamedTuple):
    """Events of a few reused ids, and where they are cut."""

    lines: Sequence[tuple[str, SessionEvent]]
    loads: Sequence[int]
    batch_size: int


@st.composite
def cut_lines(draw: st.DrawFn) -> Lines:
    lines = draw(
        st.lists(st.tuples(st.sampled_from("aaab"), events(times=moments | odd_moments)), min_size=1, max_size=12)
    )
    loads = draw(st.lists(st.integers(0, 2), min_size=len(lines), max_size=len(lines)))
    return Lines(lines, sorted(loads), draw(st.integers(1, 5)))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cut=cut_lines(), random=st.randoms(use_true_random=False))
def test_every_event_is_stored_once_for_any_split_into_loads_and_batches(
    database: Database, cut: Lines, random: Random
) -> None:
    """The stored events of an id are those that were read; reading them again in another order finds no new ones."""
    _load_and_load_again(InMemoryDatabase() if isinstance(database, InMemoryDatabase) else database, cut, random)


def test_every_event_of_a_long_session_is_stored_once(database: Database) -> None:
    """With more events than its row can list, in several loads, and with a second session of the same ID."""
    random = Random(1)
    events = [SessionEvent(n * 2**55 + 1, NOON, EventKind.OTHER, HOME) for n in range(400)]
    connects = [SessionEvent(n, NOON, EventKind.CONNECT, HOME, n) for n in (2, 3)]
    lines = [("a", event) for event in random.sample([*events, *connects], k=402)]

    _load_and_load_again(database, Lines(lines, [n // 150 for n in range(402)], 60), random)


def _load_and_load_again(database: Database, cut: Lines, random: Random) -> None:
    number = next(NUMBERS)
    lines = [LogEvent(f"{name}{number}", record_of(event)) for name, event in cut.lines]
    for load, part in groupby(zip(cut.loads, lines, strict=True), key=lambda each: each[0]):
        _load(database, f"{number}/{load}", [line for _, line in part], cut.batch_size)
    again = _load(database, f"{number}/again", random.sample(lines, k=len(lines)), cut.batch_size)

    read: dict[str, set[int]] = {}
    for line in lines:
        read.setdefault(line.logged_id, set()).add(line.event.fingerprint)
    stored = _stored(database, read)
    assert {name: {mark for s in found for mark in s.fingerprints} for name, found in stored.items()} == read
    assert {name: sum(s.event_count for s in found) for name, found in stored.items()} == {
        name: len(marks) for name, marks in read.items()
    }
    assert _attempts(database, stored) == {
        name: len({line.event.fingerprint for line in lines if line.logged_id == name and _is_login(line)})
        for name in stored
    }
    assert (again.events, again.sessions_added) == (0, 0)


def _is_login(line: LogEvent) -> bool:
    return line.event.kind is EventKind.LOGIN


def _attempts(database: Database, stored: Mapping[str, Sequence[SessionSummary]]) -> Mapping[str, int]:
    """Return the login attempts of all sessions of each logged ID."""
    with database.transaction() as stores:
        found = stores.sessions.logins_of([s.session_id for sessions in stored.values() for s in sessions])
    return {
        name: sum(tally.attempts for s in sessions for tally in found.get(s.session_id, ()))
        for name, sessions in stored.items()
    }


def _load(database: Database, name: str, lines: Sequence[LogEvent], batch_size: int) -> LoadReport:
    service = snapshot_service(database, FakeSourceRegistry(DictSource("a", NOON, FACTS)))
    loader = BulkLoader(
        database,
        service,
        late_completion(database, service),
        runtime=runtime(new_run=lambda: f"run {name}"),
        liveness=Processes(),
        size=BatchSize(lines=batch_size),
    )
    return loader.load([ListSource(name, lines)], NoLoadObserver())


def _stored(database: Database, events: Mapping[str, Collection[int]]) -> Mapping[str, Sequence[SessionSummary]]:
    with database.transaction() as stores:
        return stores.sessions.find_summaries(events)
