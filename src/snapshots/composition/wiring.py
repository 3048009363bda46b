"""The only file that knows every adapter: what is made of what."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from secrets import randbelow

from dependency_injector import containers, providers

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import SystemClock, new_run, pause, stopwatch
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.salvage import parts_of, salvaged
from snapshots.adapters.intel.cowrieprocessor_documents import addresses_in_document, facts_in_document
from snapshots.adapters.intel.source_registry import FileSourceRegistry
from snapshots.adapters.process import CurrentProcess
from snapshots.adapters.sql.adopt.adoption import SqlAdoption
from snapshots.adapters.sql.connection.lock_waits import WaitPolicy
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.health import HealthLimits, SqlHealth
from snapshots.adapters.sql.queries.inventory_reports import SqlInventoryReports
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.adapters.sql.server_clock import ServerClock
from snapshots.adapters.telemetry.logs import warn
from snapshots.app.admin.corrections import AuditedChanges
from snapshots.app.backfill.batch_runner import BatchRunner
from snapshots.app.backfill.improve import ImproveSnapshots
from snapshots.app.backfill.prefetch import ReadAhead
from snapshots.app.backfill.run import BackfillSnapshots
from snapshots.app.backfill.undo import UndoRun
from snapshots.app.backfill.worker import SPAN, ParallelWorker
from snapshots.app.enrich.address_recovery import AddressFinder
from snapshots.app.enrich.apply_verdicts import FoundPage, VerdictApplier
from snapshots.app.enrich.inventory import InventoryService
from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.load.dead_letter_replay import DeadLetterQueue
from snapshots.app.load.follow import DeltaLoader
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.stored_events import StoredEvents
from snapshots.app.ports.database import Clock
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent
from snapshots.app.queries.overview import OverviewMaker
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.session import SessionEvent
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_LAG, AsOfReader
from snapshots.domain.snapshot.freshness import FreshnessPolicy
from snapshots.domain.snapshot.policy import SnapshotPolicy

TRIAL = "trial"
"""In place of a URL: a PostgreSQL server that lasts as long as the command."""


def _ahead(database: SqlDatabase) -> ReadAhead[FoundPage]:
    """Return what reads while something is written, if the database lets it."""
    return ReadAhead(None if database.has_one_connection else ThreadPoolExecutor(1, thread_name_prefix="ahead"))


def _far_end(settings: Settings, database: SqlDatabase, clock: Clock, span: int) -> ParallelWorker:
    """Return what helps where the database lets two write at once."""

    @contextmanager
    def own() -> Iterator[tuple[SqlDatabase, SqlHealth]]:
        another = SqlDatabase(settings.db, addresses_in_document, wait_policy(settings))
        try:
            with another.transaction():
                pass  # the first one is nobody's help
            yield another, SqlHealth(another, _limits(settings))
        finally:
            another.close()

    is_possible = database.engine.dialect.name == "postgresql"
    executor = ThreadPoolExecutor(1, thread_name_prefix="far-end") if is_possible else None
    return ParallelWorker(executor, own, clock=clock, stopwatch=stopwatch, span=span)


def _source_registry(settings: Settings) -> FileSourceRegistry:
    return FileSourceRegistry(settings.mmdb, warn)


def _reader(settings: Settings, source_registry: FileSourceRegistry) -> AsOfReader:
    """Trust the operator's files first, then what was imported, then what comes with the program."""
    names = [source.build.name for source in source_registry.current()]
    own = len(settings.mmdb)
    return replace(_bounded_reader(settings), precedence=tuple(names[:own]), fallbacks=tuple(names[own:]))


def _bounded_reader(settings: Settings) -> AsOfReader:
    """Return a reader with the limits of the settings, without opening sources for their names."""
    return AsOfReader(
        asn_precedence=settings.prefer_for_asn,
        country_precedence=settings.prefer_for_country,
        network_max_age=NETWORK_MAX_AGE if settings.max_age is None else settings.max_age,
        max_lag=settings.max_lag,
        type_max_lag=TYPE_MAX_LAG if settings.max_type_lag is None else dict.fromkeys(IpType, settings.max_type_lag),
    )


def _policy(settings: Settings) -> SnapshotPolicy:
    return SnapshotPolicy(requires=settings.requires, max_lag=settings.max_lag)


def wait_policy(settings: Settings) -> WaitPolicy:
    """Return how long statements wait for locks, and who is told."""
    return WaitPolicy(lock_timeout=settings.lock_timeout_seconds, tell=warn)


def _limits(settings: Settings) -> HealthLimits:
    return HealthLimits(
        replication_lag=settings.max_replication_lag,
        lock_waits=settings.lock_waits,
        transaction_age=settings.max_transaction,
    )


_decoder = LineDecoder(LineOptions(keeps_lines=True))


def _parts_of(line: bytes) -> Sequence[LogEvent | BadLine]:
    """Read a stored line as a line of a log is read."""
    return parts_of(_decoder, salvaged(line), start=1)


def _line_in(line: bytes) -> LogEvent | None:
    """Decode a line that was stored as one event, without padding from a power loss or an editor."""
    found = _decoder.decode(salvaged(line))
    return found if isinstance(found, LogEvent) else None


def _event_in(text: str) -> SessionEvent | None:
    """Read an event that another loader stored."""
    found = _line_in(text.encode("utf-8", "surrogatepass"))
    return found.event if found is not None else None


def _freshness(settings: Settings) -> FreshnessPolicy:
    return FreshnessPolicy(
        fresh_for=settings.fresh_for,
        fresh_for_fast=settings.fresh_for_fast,
        network_max_age=NETWORK_MAX_AGE if settings.max_age is None else settings.max_age,
    )


class Container(containers.DeclarativeContainer):
    """Makes each thing when it is first asked for."""

    settings = providers.Dependency(instance_of=Settings)
    own_clock = providers.Singleton(SystemClock)
    naming = providers.Object(new_run)
    database = providers.Singleton(
        SqlDatabase,
        url=settings.provided.db,
        addresses_in=providers.Object(addresses_in_document),
        policy=providers.Singleton(wait_policy, settings=settings),
    )
    clock = providers.Singleton(ServerClock, database=database, own=own_clock)
    source_registry = providers.Singleton(_source_registry, settings=settings)
    reader = providers.Singleton(_reader, settings=settings, source_registry=source_registry)
    policy = providers.Singleton(_policy, settings=settings)
    freshness = providers.Singleton(_freshness, settings=settings)
    lookups = providers.Singleton(
        Lookups,
        source_registry=source_registry,
        reader=reader,
        clock=clock,
        facts_in=providers.Object(facts_in_document),
    )
    service = providers.Singleton(
        SnapshotService, database=database, lookups=lookups, reader=reader, policy=policy, clock=clock
    )
    finder = providers.Singleton(
        AddressFinder, event_in=providers.Object(_event_in), addresses_in=providers.Object(addresses_in_document)
    )
    verdict_applier = providers.Singleton(VerdictApplier, service=service, finder=finder)
    completion = providers.Singleton(
        LateCompletion, database=database, verdict_applier=verdict_applier, clock=clock, new_run=naming
    )
    health = providers.Singleton(SqlHealth, database=database, limits=providers.Singleton(_limits, settings=settings))
    span = providers.Object(SPAN)
    steering = providers.Singleton(
        BatchRunner,
        database=database,
        health=health,
        clock=clock,
        stopwatch=providers.Object(stopwatch),
        sleep=providers.Object(pause),
    )
    backfill = providers.Singleton(
        BackfillSnapshots,
        database=database,
        service=service,
        verdict_applier=verdict_applier,
        steering=steering,
        clock=clock,
        stopwatch=providers.Object(stopwatch),
        new_run=naming,
        ahead=providers.Singleton(_ahead, database=database),
        far_end=providers.Singleton(_far_end, settings=settings, database=database, clock=clock, span=span),
    )
    improve = providers.Singleton(
        ImproveSnapshots,
        database=database,
        service=service,
        policy=policy,
        steering=steering,
        clock=clock,
        new_run=naming,
    )
    undo = providers.Singleton(UndoRun, database=database, steering=steering, clock=clock, new_run=naming)
    inventory_service = providers.Singleton(
        InventoryService,
        database=database,
        lookups=lookups,
        completion=completion,
        freshness=freshness,
        clock=clock,
        new_run=naming,
    )
    presence = providers.Singleton(CurrentProcess)
    loader = providers.Singleton(
        BulkLoader,
        database=database,
        service=service,
        completion=completion,
        clock=clock,
        stopwatch=providers.Object(stopwatch),
        new_run=naming,
        sleep=providers.Object(pause),
        presence=presence,
        tell=providers.Object(warn),
    )
    follower = providers.Singleton(
        DeltaLoader,
        database=database,
        loader=loader,
        service=service,
        completion=completion,
        clock=clock,
        stopwatch=providers.Object(stopwatch),
        new_run=naming,
        sleep=providers.Object(pause),
        presence=presence,
        tell=providers.Object(warn),
    )
    letters = providers.Singleton(
        DeadLetterQueue, database=database, loader=loader, parts_of=providers.Object(_parts_of)
    )
    events = providers.Singleton(StoredEvents, database=database, event_in=providers.Object(_line_in))
    changes = providers.Singleton(AuditedChanges, database=database, clock=clock, new_run=naming)
    adoption = providers.Singleton(SqlAdoption, database=database, clock=clock)
    inventory_reports = providers.Singleton(SqlInventoryReports, database=database, freshness=freshness)
    session_queries = providers.Singleton(SqlSessionQueries, database=database, clock=clock)
    reports = providers.Singleton(
        SqlReports,
        database=database,
        reader=providers.Factory(_bounded_reader, settings=settings),
        choose=providers.Object(randbelow),
        clock=clock,
    )
    overview = providers.Singleton(
        OverviewMaker, reports=reports, session_queries=session_queries, inventory=inventory_reports, clock=clock
    )
