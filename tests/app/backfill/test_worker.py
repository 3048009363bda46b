"""The second worker of a backfill, on a real PostgreSQL server."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dependency_injector import providers
from sqlalchemy import create_engine, make_url, text

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.backfill.open_sessions import SqlOpenSessions
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.stores.address_counters import SqlInventoryCounts
from snapshots.app.backfill import ordered_commit, stages, worker
from snapshots.app.backfill.ordered_commit import OrderedCommit
from snapshots.app.backfill.progress import NoProgress
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.enrich import apply_verdicts
from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.errors import NoSuchRun, RunTaken, StoreBusy, StoreGone, StoreUnavailable
from snapshots.app.ports.database import Stores, WriteLock
from snapshots.app.ports.open_sessions import KeyRange, OpenCase, OpenPage, PushdownResult
from snapshots.app.ports.runs import RunState
from snapshots.composition.wiring import Container
from snapshots.domain.snapshot.verdict_cache import Verdicts
from tests.conftest import NUMBERS
from tests.cowrieprocessor import AdoptableSchema
from tests.strategies import NOON

pytestmark = pytest.mark.slow

SESSIONS = 8_000
SPAN = 1_000
ADDRESSES = [f"8.8.{n // 200}.{n % 200 + 1}" for n in range(2_000)]
SHORT = Throttle(seconds=0.03)
"""Batches of a few hundred sessions."""


def fill(url: str) -> None:
    """Adopt a database of sessions with documents, and addresses that are in the bundled tables."""
    engine = create_engine(url)
    chance = random.Random(11)
    with engine.begin() as connection:
        AdoptableSchema(dialect="postgresql").make(connection)
        connection.execute(
            text(
                "INSERT INTO ip_inventory (ip_address, first_seen, last_seen, session_count, enrichment)"
                " VALUES (:a, :t, :t, 0, '{}')"
            ),
            [{"a": address, "t": NOON} for address in ADDRESSES],
        )
        rows = [
            {
                "s": f"{n:05}",
                "t": NOON + timedelta(minutes=n),
                "d": json.dumps({"session": {chance.choice(ADDRESSES): {}}}),
            }
            for n in range(SESSIONS)
        ]
        connection.execute(
            text(
                "INSERT INTO session_summaries (session_id, first_event_at, last_event_at, event_count, command_count,"
                " file_downloads, login_attempts, ssh_key_injections, unique_ssh_keys, vt_flagged, dshield_flagged,"
                " enrichment, created_at, updated_at) VALUES (:s, :t, :t, 1, 0, 0, 0, 0, 0, false, false, :d, :t, :t)"
            ),
            rows,
        )
    engine.dispose()
    container = opened(url)
    container.adoption().adopt(widen=False)
    container.database().close()


def opened(url: str, span: int = SPAN) -> Container:
    """Open the program at a database, with spans of another size."""
    container = Container(settings=Settings.of(db=url))
    container.span.override(providers.Object(span))
    return container


Copied = Callable[[str], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def copied(server: str) -> Iterator[Copied]:
    """Makes copies of a database: of "strange" addresses, or of "known" ones."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")

    @contextmanager
    def copy(original: str) -> Iterator[str]:
        name = f"snapshots_{original}_{os.getpid()}_{next(NUMBERS)}"
        template = {"new": "template0"}.get(original, f"snapshots_{original}_{os.getpid()}")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    with copy("new") as url:
        fill(url)
        for original in ("strange", "known"):
            with engine.connect() as connection:
                source = make_url(url).database
                connection.execute(text(f"CREATE DATABASE snapshots_{original}_{os.getpid()} TEMPLATE {source}"))
            container = opened(url)
            container.inventory_service().refresh(lambda *_: None)
            container.database().close()
        yield copy
        with engine.connect() as connection:
            for original in ("strange", "known"):
                connection.execute(text(f"DROP DATABASE snapshots_{original}_{os.getpid()} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def url(request: pytest.FixtureRequest, copied: Copied) -> Iterator[str]:
    with copied(getattr(request, "param", "known")) as url:
        yield url


@pytest.fixture
def container(url: str) -> Iterator[Container]:
    container = opened(url)
    yield container
    container.database().close()


@pytest.fixture
def settled_by(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Sessions with a verdict by thread; the main worker waits until the second one has started."""
    settled, has_begun = Counter[str](), threading.Event()
    waits = iter([0.3] * 6)
    apply_cached = SqlOpenSessions.apply_cached

    def counting(self: SqlOpenSessions, *args: Any, **more: Any) -> PushdownResult | None:
        done = apply_cached(self, *args, **more)
        name = threading.current_thread().name.partition("_")[0]
        settled[name] += done.verdicts.total() if done else 0
        if settled["second-worker"]:
            has_begun.set()
        if name != "second-worker":
            has_begun.wait(next(waits, 0.0))
        return done

    monkeypatch.setattr(SqlOpenSessions, "apply_cached", counting)
    return settled


def rows(url: str, table: str = "session_summaries") -> list[tuple[Any, ...]]:
    """Return the rows that must be equal whichever worker wrote them."""
    columns = {
        "session_summaries": "session_id, source_ip, source_ip_seen_at, snapshot_asn, snapshot_country, enrichment_at,"
        " snapshot_method, snapshot_source, snapshot_gap, source_ip_was",
        "known_addresses": "ip_address, session_count, first_seen, last_seen",
    }[table]
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY 1"))]
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def expected(copied: Copied) -> "Expected":
    """The rows after a backfill by one worker."""
    with copied("strange") as url:
        alone = opened(url, span=SESSIONS)
        report = alone.backfill().run(NoProgress())
        alone.database().close()
        assert sum(report.sealed.values()) == SESSIONS
        return rows(url), rows(url, "known_addresses")


Expected = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def is_as_expected(url: str, expected: Expected) -> bool:
    return (rows(url), rows(url, "known_addresses")) == expected


@pytest.mark.parametrize("url", ["strange", "known"], indirect=True)
def test_two_workers_write_the_same_rows_as_one(
    container: Container,
    url: str,
    expected: Expected,
    settled_by: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With verdicts computed in advance or on demand; each session counts once."""
    monkeypatch.setattr(apply_verdicts, "PRECOMPUTED_ADDRESSES", 20)  # many batches of verdicts

    report = container.backfill().run(NoProgress(), throttle=SHORT)

    assert is_as_expected(url, expected)
    assert (report.judged, sum(report.sealed.values()), report.lost, report.is_done) == (SESSIONS, SESSIONS, 0, True)
    with container.database().view() as stores:
        record = stores.runs.find(report.run)
    assert record is not None
    assert (record.counts["judged"], record.counts["found"]) == (SESSIONS, SESSIONS)
    assert settled_by["second-worker"]


def test_the_second_worker_applies_verdicts_while_others_are_computed(
    container: Container,
    url: str,
    expected: Expected,
    settled_by: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It revisits ranges with addresses whose verdict was missing, when all verdicts are cached."""
    monkeypatch.setattr(apply_verdicts, "PRECOMPUTED_ADDRESSES", 20)
    precompute, applied = VerdictApplier.precompute, []

    def slowly(self: VerdictApplier, *args: Any, **more: Any) -> tuple[str, int]:
        until = time.monotonic() + 0.1
        done = precompute(self, *args, **more)
        while time.monotonic() < until:
            time.sleep(0.01)
        applied.append(settled_by["second-worker"])
        return done

    monkeypatch.setattr(VerdictApplier, "precompute", slowly)
    once_more: list[int] = []
    page = SqlOpenSessions.page

    def noting(self: SqlOpenSessions, case: OpenCase, **more: Any) -> OpenPage:
        found = page(self, case, **more)
        once_more.append(len(found.sessions))
        return found

    monkeypatch.setattr(SqlOpenSessions, "page", noting)

    report = container.backfill().run(NoProgress(), throttle=SHORT)

    assert is_as_expected(url, expected)
    assert (report.judged, report.lost, report.is_done) == (SESSIONS, 0, True)
    assert 0 < applied[-1] < settled_by["second-worker"] < SESSIONS
    assert sum(once_more) == 0


@pytest.mark.parametrize(
    "throttle", [Throttle(rate=1e6), Throttle(batch_size=1000)], ids=["with a rate", "with a size of batches"]
)
def test_a_rate_or_a_batch_size_disables_the_second_worker(
    container: Container, url: str, expected: Expected, settled_by: Counter[str], throttle: Throttle
) -> None:
    """Two workers would be twice as fast as asked."""
    container.backfill().run(NoProgress(), throttle=throttle)

    assert is_as_expected(url, expected)
    assert not settled_by["second-worker"]


@pytest.mark.parametrize("error", [StoreUnavailable("a check failed"), StoreBusy("a deadlock")])
def test_ranges_on_which_the_second_worker_fails_are_left_to_the_main_worker(
    container: Container, url: str, expected: Expected, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """After a row that the database refuses, or a lock conflict that persists."""
    settled = SqlOpenSessions.apply_cached
    monkeypatch.setattr(worker, "retry", lambda act, _rest: act())

    def failing(self: SqlOpenSessions, *args: Any, **more: Any) -> PushdownResult | None:
        if threading.current_thread().name.startswith("second-worker"):
            raise error
        return settled(self, *args, **more)

    monkeypatch.setattr(SqlOpenSessions, "apply_cached", failing)

    report = container.backfill().run(NoProgress(), throttle=SHORT)

    assert (report.judged, report.lost, report.is_done) == (SESSIONS, 0, True)
    assert is_as_expected(url, expected)


def test_an_unexpected_error_of_the_second_worker_is_raised_and_the_run_can_be_resumed(
    container: Container, url: str, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main worker does not hide a defect, and everything stored is right."""
    settled = SqlOpenSessions.apply_cached
    failed = threading.Event()

    def defective(self: SqlOpenSessions, *args: Any, **more: Any) -> PushdownResult | None:
        if threading.current_thread().name.startswith("second-worker"):
            failed.set()
            raise ZeroDivisionError
        done = settled(self, *args, **more)
        if not failed.is_set():
            failed.wait(0.3)
        return done

    with monkeypatch.context() as defect:
        defect.setattr(SqlOpenSessions, "apply_cached", defective)
        with pytest.raises(ZeroDivisionError):
            container.backfill().run(NoProgress(), throttle=SHORT)

    report = container.backfill().resume(None, NoProgress())

    assert (report.judged, report.is_done) == (SESSIONS, True)
    assert is_as_expected(url, expected)


@pytest.mark.parametrize("batches", [1, 2, 3, 4])
def test_a_backfill_with_two_workers_can_be_stopped_and_resumed(
    container: Container, url: str, expected: Expected, batches: int
) -> None:
    """The current batches of both are committed and counted once."""
    left = iter([False] * batches)

    stopped = container.backfill().run(NoProgress(), throttle=SHORT, is_stopped=lambda: next(left, True))
    done = container.backfill().resume(stopped.run, NoProgress())

    assert not stopped.is_done
    assert (done.judged, done.lost, done.is_done) == (SESSIONS, 0, True)
    assert is_as_expected(url, expected)


COUNTED = 90
"""So few addresses of the two thousand are counted in one transaction."""


@pytest.fixture
def counted_by(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many pages of addresses each thread counted."""
    counted = Counter[str]()
    count_found = SqlInventoryCounts.count_found

    def counting(self: SqlInventoryCounts, run: str, **page: Any) -> None:
        count_found(self, run, **page)
        counted[threading.current_thread().name.partition("_")[0]] += 1

    monkeypatch.setattr(SqlInventoryCounts, "count_found", counting)
    monkeypatch.setattr(stages, "COUNTED", COUNTED)
    return counted


def test_both_workers_count_found_addresses_in_alternate_pages(
    container: Container, url: str, expected: Expected, counted_by: Counter[str]
) -> None:
    """Every second page of addresses each."""
    container.backfill().run(NoProgress(), throttle=SHORT)

    pages = -(-len(ADDRESSES) // COUNTED)
    assert is_as_expected(url, expected)
    assert counted_by.total() == pages
    assert counted_by["second-worker"] == pages // 2


@pytest.mark.parametrize(
    "failure",
    [
        ("second-worker", StoreBusy("a deadlock")),
        ("second-worker", StoreUnavailable("a check failed")),
        ("MainThread", StoreBusy("a deadlock")),
        ("MainThread", StoreUnavailable("a check failed")),
    ],
)
def test_a_failed_batch_is_repeated_with_the_batch_after_it(
    container: Container,
    url: str,
    expected: Expected,
    monkeypatch: pytest.MonkeyPatch,
    failure: tuple[str, Exception],
) -> None:
    """The batch of the second worker is rolled back with that of the main worker."""
    monkeypatch.setattr(stages, "COUNTED", COUNTED)
    thread, error = failure
    count_found, fails = SqlInventoryCounts.count_found, iter([False, True, True])

    def failing(self: SqlInventoryCounts, run: str, **page: Any) -> None:
        count_found(self, run, **page)
        if threading.current_thread().name.startswith(thread) and next(fails, False):
            raise error

    monkeypatch.setattr(SqlInventoryCounts, "count_found", failing)

    container.backfill().run(NoProgress(), throttle=SHORT)

    assert is_as_expected(url, expected)
    assert next(fails, "both were met") == "both were met"


@pytest.mark.parametrize("pages", [1, 2, 5])
def test_counting_by_two_workers_can_be_stopped_and_resumed(
    container: Container, url: str, expected: Expected, counted_by: Counter[str], pages: int
) -> None:
    """It resumes after the last page of either."""
    report = container.backfill().run(
        NoProgress(), throttle=SHORT, is_stopped=lambda: counted_by["MainThread"] >= pages
    )
    assert not report.is_done
    assert counted_by.total() == 2 * pages

    container.backfill().resume(None, NoProgress())

    assert is_as_expected(url, expected)


def test_another_writer_gets_the_lock_between_batches(
    container: Container, url: str, expected: Expected, counted_by: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main worker takes no lock while the second one waits for it, or the three would deadlock."""
    other, waiting, written = SqlDatabase(url), threading.Event(), threading.Event()
    count_found = SqlInventoryCounts.count_found

    def write() -> None:
        waiting.set()
        with other.transaction():
            written.set()

    def counting(self: SqlInventoryCounts, run: str, **page: Any) -> None:
        if not waiting.is_set():
            threading.Thread(target=write).start()
            waiting.wait(30)
            time.sleep(0.2)
        count_found(self, run, **page)

    monkeypatch.setattr(SqlInventoryCounts, "count_found", counting)

    container.backfill().run(NoProgress(), throttle=SHORT)
    written.wait(30)
    other.close()

    assert is_as_expected(url, expected)
    assert counted_by["second-worker"]


def test_a_transaction_that_blocks_one_batch_and_waits_for_the_other_completes(
    container: Container, url: str, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction of another loader and both workers form a cycle that the server cannot detect."""
    monkeypatch.setattr(ordered_commit, "COMMIT_TIMEOUT", 0.5)
    monkeypatch.setattr(stages, "COUNTED", COUNTED)
    engine, threads = create_engine(url), list[threading.Thread]()
    addresses, held, counted = sorted(ADDRESSES), threading.Event(), threading.Event()
    count_found = SqlInventoryCounts.count_found
    touch = text("UPDATE known_addresses SET updated_at = updated_at WHERE ip_address = :a")

    def another() -> None:
        with engine.begin() as connection:
            connection.execute(touch, {"a": addresses[3 * COUNTED]})
            held.set()
            counted.wait(30)
            connection.execute(touch, {"a": addresses[4 * COUNTED + 1]})

    def counting(self: SqlInventoryCounts, run: str, *, after: str, **page: Any) -> None:
        is_second_worker = threading.current_thread().name.startswith("second-worker")
        if after == addresses[2 * COUNTED - 1] and not threads:
            threads.append(threading.Thread(target=another))
            threads[0].start()
            held.wait(30)
        count_found(self, run, after=after, **page)
        if is_second_worker and threads:
            counted.set()

    monkeypatch.setattr(SqlInventoryCounts, "count_found", counting)

    container.backfill().run(NoProgress(), throttle=SHORT)
    threads[0].join(30)
    engine.dispose()

    assert is_as_expected(url, expected)
    assert counted.is_set()


def test_a_batch_with_an_unknown_commit_state_is_not_counted_twice(
    container: Container, url: str, expected: Expected, counted_by: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server restarts between COMMIT and its reply; the stored checkpoint decides."""
    done = OrderedCommit._run

    def unanswered(self: OrderedCommit, after: str) -> str:
        done(self, after)
        raise StoreGone("the server closed the connection")

    monkeypatch.setattr(OrderedCommit, "_run", unanswered)

    container.backfill().run(NoProgress(), throttle=SHORT)

    assert is_as_expected(url, expected)
    assert counted_by["second-worker"]


def test_near_the_end_the_main_worker_still_avoids_rows_of_the_second(container: Container, url: str) -> None:
    """In key order, which is used for few rows, it would lock rows of the second worker."""
    engine = create_engine(url)
    with engine.begin() as connection:
        judged = "UPDATE session_summaries SET snapshot_gap = 'undone' WHERE session_id BETWEEN '00003' AND '07995'"
        connection.execute(text(judged))
    engine.dispose()

    def left(stores: Stores) -> int | None:
        done = stores.open_sessions.apply_cached(Verdicts(1, ()), run="r", after="", limit=99)
        return done.left if done is not None else None

    with container.database().transaction() as stores:
        by_names = left(stores)
        stores.open_sessions.limit_to(KeyRange("", "@(1,0)"))
        by_places = left(stores)

    assert (by_names, by_places) == (None, 3)


def test_both_workers_pause_while_the_database_is_overloaded(
    container: Container, url: str, expected: Expected, settled_by: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checks by itself, and continues after the overload."""
    looks = Counter[str]()

    def trouble(_: object) -> str:
        name = threading.current_thread().name.partition("_")[0]
        looks[name] += 1
        return "a replica is behind" if name == "second-worker" and looks[name] < 3 else ""

    monkeypatch.setattr("snapshots.adapters.sql.health.SqlHealth.trouble", trouble)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.001)

    container.backfill().run(NoProgress(), throttle=SHORT)

    assert is_as_expected(url, expected)
    assert looks["second-worker"] >= 3
    assert settled_by["second-worker"]


def test_both_workers_stop_when_another_process_takes_over_the_run(
    container: Container, url: str, expected: Expected, settled_by: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker writes nothing for a run that another process resumed."""
    other, engine = opened(url, span=SESSIONS), create_engine(url)
    settled = SqlOpenSessions.apply_cached
    taken_over = threading.Event()

    def taking_over(self: SqlOpenSessions, *args: Any, **more: Any) -> PushdownResult | None:
        if (
            threading.current_thread() is threading.main_thread()
            and settled_by["second-worker"]
            and not taken_over.is_set()
        ):
            taken_over.set()
            with engine.begin() as connection:
                connection.execute(text('UPDATE runs SET settings = \'{"owner": "another"}\''))
            time.sleep(0.5)  # the second worker starts its next batch
        return settled(self, *args, **more)

    monkeypatch.setattr(SqlOpenSessions, "apply_cached", taking_over)
    with pytest.raises(RunTaken):
        container.backfill().run(NoProgress(), throttle=SHORT)
    with container.database().transaction() as stores:
        (record,) = stores.runs.latest(limit=1)
        assert record.state is RunState.RUNNING
        stores.runs.end(record.run, RunState.INTERRUPTED, at=NOON)
        stores.runs.add_settings(record.run, {"rules": container.backfill()._rules()})

    report = other.backfill().resume(record.run, NoProgress())
    other.database().close()
    engine.dispose()

    assert is_as_expected(url, expected)
    assert report.judged == SESSIONS


PROGRAM = """
import sys
from tests.app.backfill.test_worker import COUNTED, SHORT, opened
from snapshots.app.backfill import stages
from snapshots.app.backfill.progress import NoProgress
stages.COUNTED = COUNTED
backfill = opened(sys.argv[1]).backfill()
print("ready", flush=True)
backfill.run(NoProgress(), throttle=SHORT)
"""


def test_a_backfill_killed_at_any_time_has_the_same_result_after_a_resume(copied: Copied, expected: Expected) -> None:
    """No session is missed, and each is counted once."""
    chance = random.Random(3)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    for _ in range(int(os.environ.get("SNAPSHOTS_KILLS", "2"))):
        with copied("known") as url:
            command = [sys.executable, "-c", PROGRAM, url]
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(1.4 * chance.random())
                child.send_signal(signal.SIGKILL)

            container = opened(url)
            with suppress(NoSuchRun):
                container.backfill().resume(None, NoProgress(), throttle=SHORT)
            container.backfill().run(NoProgress())
            with container.database().view() as stores:
                counts = sum((Counter(record.counts) for record in stores.runs.latest(limit=99)), Counter[str]())
            container.database().close()

            assert is_as_expected(url, expected)
            assert (counts["judged"], counts["lost"]) == (SESSIONS, 0)


def test_a_second_worker_writes_in_parallel_with_the_leader_and_other_writers_wait(postgresql: str) -> None:
    """The leader and its second worker write at the same time; another leader waits for both."""
    database = SqlDatabase(postgresql)
    with database.transaction():
        pass
    entered: list[str] = []

    def enter(lock: WriteLock) -> threading.Thread:
        def write() -> None:
            with database.transaction(lock=lock):
                entered.append(lock.value)

        thread = threading.Thread(target=write)
        thread.start()
        return thread

    with database.transaction(lock=WriteLock.LEADER):
        enter(WriteLock.WORKER).join(30)
        assert entered == ["worker"]
        waiting = enter(WriteLock.LEADER)
        waiting.join(0.3)
        assert entered == ["worker"]
    waiting.join(30)
    with database.transaction(lock=WriteLock.WORKER):
        enter(WriteLock.LEADER).join(30)
        waiting = enter(WriteLock.EXCLUSIVE)
        waiting.join(0.3)
        assert entered == ["worker", "leader", "leader"]
    waiting.join(30)
    assert entered == ["worker", "leader", "leader", "exclusive"]
    database.close()


OBSERVING = """
INSERT INTO ip_observations (ip_address, source, observed_at, confirmed_until, learned_at, country, ip_types)
SELECT ip_address, 'enrichment', :noon, :noon, :now, 'AQ', '' FROM known_addresses"""


def test_facts_learned_by_another_process_are_used_at_once(
    container: Container, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker applies no outdated verdicts, until new ones are published."""
    engine = create_engine(url)
    apply_cached = SqlOpenSessions.apply_cached
    learned_in: list[int] = []
    second_worker_began, learned = threading.Event(), threading.Event()

    def learning(self: SqlOpenSessions, *args: Any, **more: Any) -> PushdownResult | None:
        is_second_worker = threading.current_thread().name.startswith("second-worker")
        done = apply_cached(self, *args, **more)
        if (
            not is_second_worker and second_worker_began.is_set() and not learned.is_set()
        ):  # the second worker has time to use old verdicts
            learned.wait(30)
            time.sleep(0.2)
        if is_second_worker and not learned_in:
            second_worker_began.set()
            with engine.begin() as connection:
                for statement in (
                    OBSERVING,
                    "UPDATE known_addresses SET learned_at = :now WHERE :noon < :now",
                ):
                    values = {"noon": NOON - timedelta(days=1), "now": datetime.now(UTC)}
                    connection.execute(text(statement), values)
                learned_in.append(connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one())
            learned.set()
        return done

    monkeypatch.setattr(SqlOpenSessions, "apply_cached", learning)

    report = container.backfill().run(NoProgress(), throttle=SHORT)

    with engine.connect() as connection:
        written = "SELECT snapshot_country, count(*) FROM session_summaries WHERE xmin::text::bigint > :id GROUP BY 1"
        later = dict(map(tuple, connection.execute(text(written), {"id": learned_in[0]})))
    engine.dispose()
    assert report.judged == SESSIONS
    assert set(later) == {"AQ"}
    assert later["AQ"] > SPAN


def test_with_constantly_new_facts_no_worker_waits_forever(
    container: Container, url: str, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the last batch of the main worker, when no error is raised."""
    engine = create_engine(url)
    apply_cached = SqlOpenSessions.apply_cached

    def learning(self: SqlOpenSessions, *args: Any, **more: Any) -> PushdownResult | None:
        done = apply_cached(self, *args, **more)
        with engine.begin() as connection:
            one = "UPDATE known_addresses SET learned_at = clock_timestamp() WHERE ip_address = :a"
            connection.execute(text(one), {"a": ADDRESSES[0]})
        return done

    monkeypatch.setattr(SqlOpenSessions, "apply_cached", learning)

    report = container.backfill().run(NoProgress(), throttle=SHORT)
    engine.dispose()

    assert (report.judged, report.is_done) == (SESSIONS, True)
    assert is_as_expected(url, expected)
