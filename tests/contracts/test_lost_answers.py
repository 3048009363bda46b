"""A load that loses its connection during a commit: the commit succeeds, and only its answer does not arrive."""

from collections.abc import Iterator
from contextlib import contextmanager

from snapshots.app.errors import StoreGone
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.database import Database, Stores, WriteLock
from snapshots.app.ports.log_source import BadLine, LogEvent, Reason
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.event_record import record_of
from snapshots.domain.session.session import EventKind, SessionEvent
from tests.fakes import (
    DictSource,
    FakeSourceRegistry,
    ListSource,
    Processes,
    late_completion,
    runtime,
    snapshot_service,
)
from tests.strategies import HOME, NOON


class LosesAnswer:
    """A database that commits every transaction, and reports one of them as a lost connection."""

    def __init__(self, database: Database, lost: int) -> None:
        self.view, self.give_up = database.view, database.give_up
        self._transaction = database.transaction
        self._until_lost = lost

    @property
    def has_lost(self) -> bool:
        return self._until_lost <= 0

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> Iterator[Stores]:
        with self._transaction(connection, dry_run=dry_run, lock=lock) as stores:
            yield stores
        self._until_lost -= 1
        if self._until_lost == 0:
            raise StoreGone("the connection was lost")


def load_and_lose(database: Database, lost: int) -> bool:
    """Load a log in a run of its own without the answer to one commit; return False if there are fewer commits."""
    lossy = LosesAnswer(database, lost)
    service = snapshot_service(lossy, FakeSourceRegistry(DictSource("a", NOON, {HOME.text: IpFacts(asn=15169)})))
    completion = late_completion(lossy, service)
    loader = BulkLoader(lossy, service, completion, runtime=runtime(new_run=lambda: f"run{lost}"), liveness=Processes())
    lines: list[LogEvent | BadLine] = [
        LogEvent(f"connected{lost}", record_of(SessionEvent(1, NOON, EventKind.CONNECT, HOME))),
        LogEvent(f"waiting{lost}", record_of(SessionEvent(2, NOON, EventKind.OTHER, HOME))),
        BadLine(Reason.NOT_JSON, b"%d" % lost, lost),
    ]
    loader.load([ListSource(f"log{lost}", lines)], NoLoadObserver())
    return lossy.has_lost


def test_a_load_is_complete_whichever_answer_is_lost(database: Database) -> None:
    """The transaction is repeated: nothing is counted twice, and no row collides with that of the first attempt."""
    loads = 1
    while load_and_lose(database, loads):
        loads += 1

    assert loads > 5, "a load has at least a beginning, a batch, waiting sessions, an end and a completion"
    names = [f"{kind}{n}" for kind in ("connected", "waiting") for n in range(1, loads + 1)]
    with database.transaction() as stores:
        found = stores.sessions.find_summaries(dict.fromkeys(names, ()))
        assert [(s.event_count, s.is_sealed) for name in names for s in found[name]] == [(1, True)] * 2 * loads
        assert len(stores.dead_letters.page(after="", limit=99)) == loads
        runs = [(run.kind, run.state) for run in stores.runs.latest(limit=99)]
        assert runs == [(RunKind.LOAD, RunState.DONE)] * loads
        assert stores.inventory.count_addresses() == 1
