"""Build every object from the settings; the only module that imports all adapters, each when it is first used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dependency_injector import containers, providers

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import SystemClock, new_run, pause, stopwatch
from snapshots.adapters.process import CurrentProcess
from snapshots.composition import backfill_wiring, load_wiring

if TYPE_CHECKING:
    from snapshots.adapters.intel.source_registry import FileSourceRegistry
    from snapshots.adapters.sql.adopt.adoption import SqlAdoption
    from snapshots.adapters.sql.connection.lock_waits import WaitPolicy
    from snapshots.adapters.sql.database import SqlDatabase
    from snapshots.adapters.sql.queries.inventory_reports import SqlInventoryReports
    from snapshots.adapters.sql.queries.reports import SqlReports
    from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
    from snapshots.app.admin.backup import BackUpDatabase
    from snapshots.app.admin.corrections import AuditedChanges
    from snapshots.app.enrich.address_recovery import AddressFinder
    from snapshots.app.enrich.apply_verdicts import VerdictApplier
    from snapshots.app.enrich.inventory import InventoryService
    from snapshots.app.enrich.late_completion import LateCompletion
    from snapshots.app.enrich.lookup import Lookups
    from snapshots.app.enrich.service import SnapshotService
    from snapshots.app.ports.runtime import Clock, Runtime
    from snapshots.app.queries.comparisons.news import NewsMaker
    from snapshots.app.queries.overview import OverviewMaker
    from snapshots.app.queries.validity import FactValidity
    from snapshots.domain.snapshot.as_of import AsOfReader
    from snapshots.domain.snapshot.freshness import FreshnessPolicy
    from snapshots.domain.snapshot.policy import SnapshotPolicy


def wait_policy(settings: Settings) -> WaitPolicy:
    """Return how long statements wait for locks, and where long waits are reported."""
    from snapshots.adapters.sql.connection.lock_waits import WaitPolicy
    from snapshots.adapters.telemetry.logs import warn

    return WaitPolicy(lock_timeout=settings.lock_timeout_seconds, report=warn)


def _bounded_reader(container: Container) -> AsOfReader:
    """Return a reader with the limits of the settings, without opening sources of addresses for their names."""
    from snapshots.adapters.intel.network_types import open_network_types
    from snapshots.domain.facts.ip_type import IpType
    from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_LAG, AsOfReader

    settings = container.settings()
    return AsOfReader(
        network_types=open_network_types(settings.network_types),
        asn_precedence=settings.prefer_for_asn,
        country_precedence=settings.prefer_for_country,
        network_max_age=NETWORK_MAX_AGE if settings.max_age is None else settings.max_age,
        max_lag=settings.max_lag,
        type_max_lag=TYPE_MAX_LAG if settings.max_type_lag is None else dict.fromkeys(IpType, settings.max_type_lag),
    )


def _database(container: Container) -> SqlDatabase:
    from snapshots.adapters.intel.cowrieprocessor_documents import addresses_in_document
    from snapshots.adapters.sql.connection.reading_only import ReadingOnly
    from snapshots.adapters.sql.database import SqlDatabase

    settings = container.settings()
    reading_only = ReadingOnly(settings.query_seconds) if settings.query_seconds is not None else None
    return SqlDatabase(settings.db, addresses_in_document, wait_policy(settings), reading_only)


def _clock(container: Container) -> Clock:
    from snapshots.adapters.sql.server_clock import ServerClock

    return ServerClock(container.database(), container.own_clock())


def _runtime(container: Container) -> Runtime:
    from snapshots.app.ports.runtime import Runtime

    return Runtime(clock=container.clock(), stopwatch=stopwatch, sleep=pause, new_run=container.new_run())


def _source_registry(container: Container) -> FileSourceRegistry:
    from snapshots.adapters.intel.source_registry import FileSourceRegistry
    from snapshots.adapters.telemetry.logs import warn

    networks = container.bounded_reader().network_types
    return FileSourceRegistry(container.settings().mmdb, warn, container.own_clock().now, networks=networks)


def _reader(container: Container) -> AsOfReader:
    """Trust the operator's files first, then imported tables, then the bundled tables."""
    settings = container.settings()
    names = [source.build.name for source in container.source_registry().current()]
    own = len(settings.mmdb)
    return replace(container.bounded_reader(), precedence=tuple(names[:own]), fallbacks=tuple(names[own:]))


def _policy(container: Container) -> SnapshotPolicy:
    from snapshots.domain.snapshot.policy import SnapshotPolicy

    settings = container.settings()
    return SnapshotPolicy(requires=settings.requires, max_lag=settings.max_lag)


def _freshness(container: Container) -> FreshnessPolicy:
    from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE
    from snapshots.domain.snapshot.freshness import FreshnessPolicy

    settings = container.settings()
    return FreshnessPolicy(
        fresh_for=settings.fresh_for,
        fresh_for_fast=settings.fresh_for_fast,
        network_max_age=NETWORK_MAX_AGE if settings.max_age is None else settings.max_age,
    )


def _lookups(container: Container) -> Lookups:
    from snapshots.adapters.intel.cowrieprocessor_documents import facts_in_document
    from snapshots.adapters.telemetry.logs import warn
    from snapshots.app.enrich.lookup import Lookups

    return Lookups(container.source_registry(), container.reader(), container.clock(), facts_in_document, warn)


def _service(container: Container) -> SnapshotService:
    from snapshots.app.enrich.service import SnapshotService

    return SnapshotService(
        container.database(), container.lookups(), container.reader(), container.policy(), container.clock()
    )


def _finder(_container: Container) -> AddressFinder:
    from snapshots.adapters.cowrie.lines.stored_lines import event_of_another_loader
    from snapshots.adapters.intel.cowrieprocessor_documents import addresses_in_document
    from snapshots.app.enrich.address_recovery import AddressFinder

    return AddressFinder(event_of_another_loader, addresses_in_document)


def _verdict_applier(container: Container) -> VerdictApplier:
    from snapshots.app.enrich.apply_verdicts import VerdictApplier

    return VerdictApplier(container.service(), container.finder())


def _completion(container: Container) -> LateCompletion:
    from snapshots.app.enrich.late_completion import LateCompletion

    return LateCompletion(container.database(), container.verdict_applier(), runtime=container.runtime())


def _inventory_service(container: Container) -> InventoryService:
    from snapshots.adapters.telemetry.logs import warn
    from snapshots.app.enrich.build_checks import BuildChecks
    from snapshots.app.enrich.inventory import InventoryService

    return InventoryService(
        container.database(),
        container.lookups(),
        BuildChecks(container.source_registry()),
        container.completion(),
        container.freshness(),
        runtime=container.runtime(),
        warn=warn,
    )


def _audited_changes(container: Container) -> AuditedChanges:
    from snapshots.app.admin.corrections import AuditedChanges

    return AuditedChanges(container.database(), runtime=container.runtime())


def _adoption(container: Container) -> SqlAdoption:
    from snapshots.adapters.sql.adopt.adoption import SqlAdoption

    return SqlAdoption(container.database(), container.clock())


def _backup(container: Container) -> BackUpDatabase:

    from snapshots.app.admin.backup import BackUpDatabase

    database = container.database()
    if database.engine.dialect.name == "postgresql":
        from snapshots.adapters.sql.backup.postgresql_copies import PostgresqlCopies

        return BackUpDatabase(PostgresqlCopies(database, container.settings().lock_timeout_seconds))
    from snapshots.adapters.sql.backup.sqlite_copies import SqliteCopies

    return BackUpDatabase(SqliteCopies(database, lambda: container.bounded_reader().network_types))


def _inventory_reports(container: Container) -> SqlInventoryReports:
    from snapshots.adapters.sql.queries.inventory_reports import SqlInventoryReports

    return SqlInventoryReports(container.database(), container.freshness())


def _fact_validity(container: Container) -> FactValidity:
    from snapshots.adapters.intel.bundled import KINDS
    from snapshots.app.queries.validity import FactValidity

    return FactValidity(container.inventory_reports(), container.bounded_reader(), KINDS)


def _session_queries(container: Container) -> SqlSessionQueries:
    from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries

    return SqlSessionQueries(container.database(), container.clock())


def _reports(container: Container) -> SqlReports:

    from snapshots.adapters.sql.queries.reports import SqlReports

    return SqlReports(container.database(), container.bounded_reader(), clock=container.clock())


def _overview(container: Container) -> OverviewMaker:
    from snapshots.app.queries.overview import OverviewMaker

    return OverviewMaker(
        container.reports(),
        container.session_queries(),
        container.inventory_reports(),
        container.fact_validity(),
        container.clock(),
    )


def _news(container: Container) -> NewsMaker:
    from snapshots.app.queries.comparisons.news import NewsMaker

    return NewsMaker(container.session_queries(), container.clock())


class Container(containers.DeclarativeContainer):
    """
    Makes each object once, when it is first requested.

    Every factory takes the container and not a list of providers, so that mypy checks its calls.
    """

    __self__ = providers.Self["Container"]()

    settings = providers.Dependency(instance_of=Settings)
    own_clock = providers.Singleton(SystemClock)
    new_run = providers.Object(new_run)
    process = providers.Singleton(CurrentProcess)

    database = providers.Singleton(_database, __self__)
    clock = providers.Singleton(_clock, __self__)
    runtime = providers.Singleton(_runtime, __self__)
    bounded_reader = providers.Singleton(_bounded_reader, __self__)
    source_registry = providers.Singleton(_source_registry, __self__)
    reader = providers.Singleton(_reader, __self__)
    policy = providers.Singleton(_policy, __self__)
    freshness = providers.Singleton(_freshness, __self__)
    lookups = providers.Singleton(_lookups, __self__)
    service = providers.Singleton(_service, __self__)
    finder = providers.Singleton(_finder, __self__)
    verdict_applier = providers.Singleton(_verdict_applier, __self__)
    completion = providers.Singleton(_completion, __self__)

    health = providers.Singleton(backfill_wiring.health, __self__)
    batch_runner = providers.Singleton(backfill_wiring.batch_runner, __self__)
    span_computers = providers.Singleton(backfill_wiring.span_computers, __self__)
    backfill = providers.Singleton(backfill_wiring.backfill, __self__)
    improve = providers.Singleton(backfill_wiring.improve, __self__)
    undo = providers.Singleton(backfill_wiring.undo, __self__)

    loader = providers.Singleton(load_wiring.loader, __self__)
    session_import = providers.Singleton(load_wiring.session_import, __self__)
    follower = providers.Singleton(load_wiring.follower, __self__)
    dead_letters = providers.Singleton(load_wiring.dead_letters, __self__)
    stored_events = providers.Singleton(load_wiring.stored_events, __self__)

    inventory_service = providers.Singleton(_inventory_service, __self__)
    audited_changes = providers.Singleton(_audited_changes, __self__)
    adoption = providers.Singleton(_adoption, __self__)
    backup = providers.Singleton(_backup, __self__)

    inventory_reports = providers.Singleton(_inventory_reports, __self__)
    fact_validity = providers.Singleton(_fact_validity, __self__)
    session_queries = providers.Singleton(_session_queries, __self__)
    reports = providers.Singleton(_reports, __self__)
    overview = providers.Singleton(_overview, __self__)
    news = providers.Singleton(_news, __self__)
