"""Processes that compute verdict spans for a backfill."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread, main_thread

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.backfill.span_computer import ComputedSpans, SpanComputer, SpanRequest
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.ports.key_range import WHOLE
from snapshots.composition.span_processes import ProcessSettings, SpanProcess, SpanProcesses
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.verdict_spans import MIN_TIME
from tests.fakes import DictSource, FakeSourceRegistry, FixedClock
from tests.strategies import DAY, HOME, NOON, OTHER

pytestmark = pytest.mark.slow

REQUEST = SpanRequest("r", WHOLE, 10, MIN_TIME, NOON)


@pytest.fixture
def local(sql_url: str) -> Iterator[SpanComputer]:
    """Computes in this process, over a database with facts about two addresses."""
    database, reader, clock = SqlDatabase(sql_url), AsOfReader(), FixedClock()
    facts = {HOME.text: IpFacts(asn=1, country="DE"), OTHER.text: IpFacts(country="US")}
    lookups = Lookups(FakeSourceRegistry(DictSource("a", NOON - DAY, facts)), reader, clock)
    service = SnapshotService(database, lookups, reader, SnapshotPolicy(), clock)
    service.enrich(SessionAggregate.sighted(address.text, address.text, NOON) for address in (HOME, OTHER))
    yield SpanComputer(database, reader, SnapshotPolicy())
    database.close()


@pytest.fixture
def settings(sql_url: str) -> ProcessSettings:
    """The settings of processes that compute the same."""
    return sql_url, AsOfReader(), SnapshotPolicy()


def test_a_process_computes_the_same_spans_as_this_one(settings: ProcessSettings, local: SpanComputer) -> None:
    """Page by page."""
    process = SpanProcess(settings)
    try:
        computed = [process(REQUEST._replace(limit=limit)) for limit in (10, 1)]
    finally:
        process.close()

    assert computed == [local(REQUEST._replace(limit=limit)) for limit in (10, 1)]
    assert [each.addresses for each in computed if each is not None] == [2, 1]


class TwoCalls:
    """Two calls at the same time: the one from another thread computes here, until the one from this thread is done."""

    def __init__(self, settings: ProcessSettings, local: SpanComputer) -> None:
        self.local = local
        self.warnings: list[str] = []
        self.processes = SpanProcesses(settings, self.computed_here, self.warnings.append)

    def computed_here(self, request: SpanRequest) -> ComputedSpans:
        if current_thread() is not main_thread():
            self.is_waiting.set()
            assert self.may_end.wait(60)
        return self.local(request)

    def __call__(self) -> list[ComputedSpans]:
        self.is_waiting, self.may_end = Event(), Event()
        with ThreadPoolExecutor(1) as executor:
            first = executor.submit(self.processes, REQUEST)
            assert self.is_waiting.wait(60)
            second = self.processes(REQUEST)
            self.may_end.set()
            return [first.result(), second]


def test_a_killed_process_is_replaced(settings: ProcessSettings, local: SpanComputer) -> None:
    """Its work is done in this process; nothing is lost, and the backfill goes on with as many processes."""
    both = TwoCalls(settings, local)
    assert both() == both() == [local(REQUEST)] * 2
    (killed,) = both.processes.pids
    os.kill(killed, signal.SIGKILL)

    assert both() == [local(REQUEST)] * 2
    assert not both.processes.pids
    assert both() == [local(REQUEST)] * 2
    (pid,) = both.processes.pids
    both.processes.close()

    assert both.warnings == ["a process of the backfill ended; another one is started"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_cannot_compute_is_not_replaced(settings: ProcessSettings, local: SpanComputer) -> None:
    """For want of memory, for example."""
    both = TwoCalls(("mysql://nowhere", *settings[1:]), local)

    assert [both() for _ in range(3)] == [[local(REQUEST)] * 2] * 3
    assert not both.processes.pids
    assert len(both.warnings) == 1
