"""Processes that compute verdict spans for a backfill."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.backfill.span_computer import ComputedSpans, SpanComputer, SpanRequest
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.ports.key_range import WHOLE
from snapshots.composition.span_process import SpanProcessSettings
from snapshots.composition.span_processes import SpanProcess, SpanProcesses
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
def settings(sql_url: str) -> SpanProcessSettings:
    """The settings of processes that compute the same."""
    return SpanProcessSettings(sql_url, AsOfReader(), SnapshotPolicy())


def test_a_process_computes_the_same_spans_as_this_one(settings: SpanProcessSettings, local: SpanComputer) -> None:
    """Page by page."""
    warnings: list[str] = []
    process = SpanProcess(settings, local, warnings.append)
    try:
        computed = [process(REQUEST._replace(limit=limit)) for limit in (10, 1)]
    finally:
        process.close()

    assert computed == [local(REQUEST._replace(limit=limit)) for limit in (10, 1)]
    assert [each.addresses for each in computed] == [2, 1]


def test_work_of_a_killed_process_is_done_in_this_one(settings: SpanProcessSettings, local: SpanComputer) -> None:
    """Nothing is lost, and the backfill goes on."""
    warnings: list[str] = []
    process = SpanProcess(settings, local, warnings.append)
    assert process(REQUEST).addresses == 2
    os.kill(process.pid, signal.SIGKILL)

    assert [process(REQUEST) for _ in range(2)] == [local(REQUEST)] * 2
    process.close()
    assert len(warnings) == 1


def test_callers_at_the_same_time_have_a_process_each(settings: SpanProcessSettings, local: SpanComputer) -> None:
    """The first one computes in this process; idle processes are used again, and all of them end."""
    processes, together = SpanProcesses(settings, local, pytest.fail), Barrier(3)

    def compute() -> ComputedSpans:
        with processes.borrowed() as computer:
            together.wait(30)
            return computer(REQUEST)

    with ThreadPoolExecutor(3) as executor:
        for _ in range(2):
            computed = [each.result() for each in [executor.submit(compute) for _ in range(3)]]
            assert computed == [local(REQUEST)] * 3
    pids = processes.pids
    assert len(pids) == 2
    processes.close()

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with processes.borrowed() as computer:
        assert computer(REQUEST).addresses == 2
