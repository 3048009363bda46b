"""The only file that knows every adapter: what is made of what."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from dependency_injector import containers, providers

from snapshots.adapters.cli.application import Application
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import SystemClock, new_run, pause, stopwatch
from snapshots.adapters.cowrie.decode import LineDecoder
from snapshots.adapters.cowrie.files import FoundLogs, find_logs
from snapshots.adapters.intel.enrichment import facts_in_document
from snapshots.adapters.intel.shelf import SourceShelf
from snapshots.adapters.intel.tables import Wish, open_table, tables_below
from snapshots.adapters.sql.adoption import SqlAdoption
from snapshots.adapters.sql.copying import copy_database
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.inventory_reports import SqlInventoryReports
from snapshots.adapters.sql.reports import SqlReports
from snapshots.adapters.sql.trial import trial_server
from snapshots.adapters.telemetry.logs import LoggedLoad, warn
from snapshots.app.audit import AuditedChanges
from snapshots.app.complete import LateCompletion
from snapshots.app.copying import CopyObserver, TableCopied
from snapshots.app.enrich import SnapshotService
from snapshots.app.errors import NothingToRead
from snapshots.app.inventory import InventoryKeeper, LookedUp, Told
from snapshots.app.lines import LogSource
from snapshots.app.load import BulkLoader, LoadReport
from snapshots.app.lookup import Lookups
from snapshots.app.progress import LoadObserver
from snapshots.domain.freshness import FreshnessPolicy
from snapshots.domain.ip_type import IpType
from snapshots.domain.policy import SnapshotPolicy
from snapshots.domain.reading import NETWORK_MAX_AGE, AsOfReader

TRIAL = "trial"
"""In place of a URL: a PostgreSQL server that lasts as long as the command."""


def _shelf(settings: Settings) -> SourceShelf:
    return SourceShelf(settings.mmdb, warn)


def _reader(settings: Settings, shelf: SourceShelf) -> AsOfReader:
    """Trust the operator's files first, then what was imported, then what comes with the program."""
    names = [source.build.name for source in shelf.current()]
    own = len(settings.mmdb)
    return AsOfReader(
        precedence=tuple(names[:own]),
        fallbacks=tuple(names[own:]),
        asn_precedence=settings.prefer_for_asn,
        country_precedence=settings.prefer_for_country,
        network_max_age=settings.max_age or NETWORK_MAX_AGE,
        max_lag=settings.max_lag,
        max_type_lag=settings.max_type_lag,
    )


def _policy(settings: Settings) -> SnapshotPolicy:
    return SnapshotPolicy(requires=settings.requires, max_lag=settings.max_lag)


def _freshness(settings: Settings) -> FreshnessPolicy:
    return FreshnessPolicy(
        fresh_for=settings.fresh_for,
        fresh_for_fast=settings.fresh_for_fast,
        network_max_age=settings.max_age or NETWORK_MAX_AGE,
    )


class Container(containers.DeclarativeContainer):
    """Makes each thing when it is first asked for."""

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)
    database = providers.Singleton(SqlDatabase, url=settings.provided.db)
    shelf = providers.Singleton(_shelf, settings=settings)
    reader = providers.Singleton(_reader, settings=settings, shelf=shelf)
    policy = providers.Singleton(_policy, settings=settings)
    freshness = providers.Singleton(_freshness, settings=settings)
    lookups = providers.Singleton(
        Lookups, shelf=shelf, reader=reader, clock=clock, facts_in=providers.Object(facts_in_document)
    )
    service = providers.Singleton(
        SnapshotService, database=database, lookups=lookups, reader=reader, policy=policy, clock=clock
    )
    completion = providers.Singleton(
        LateCompletion, database=database, service=service, clock=clock, new_run=providers.Object(new_run)
    )
    keeper = providers.Singleton(
        InventoryKeeper,
        database=database,
        lookups=lookups,
        completion=completion,
        freshness=freshness,
        clock=clock,
        new_run=providers.Object(new_run),
    )
    loader = providers.Singleton(
        BulkLoader,
        database=database,
        service=service,
        completion=completion,
        clock=clock,
        stopwatch=providers.Object(stopwatch),
        new_run=providers.Object(new_run),
        sleep=providers.Object(pause),
    )
    changes = providers.Singleton(AuditedChanges, database=database, clock=clock, new_run=providers.Object(new_run))
    adoption = providers.Singleton(SqlAdoption, database=database, clock=clock)
    inventory_reports = providers.Singleton(SqlInventoryReports, database=database, freshness=freshness)
    reports = providers.Singleton(SqlReports, database=database, reader=providers.Factory(AsOfReader))


@contextmanager
def open_application(settings: Settings) -> Iterator[Application]:
    """Open what the commands work with, and close its database at the end of the block."""
    if settings.db == TRIAL:
        with trial_server() as url, open_application(settings.model_copy(update={"db": url})) as application:
            yield application
        return
    container = Container(settings=settings)

    def load(sources: Sequence[LogSource], observer: LoadObserver) -> LoadReport:
        return container.loader().load(sources, LoggedLoad(observer))

    def find(paths: Sequence[str], sensor: str | None) -> FoundLogs:
        return find_logs(paths, LineDecoder(sensor))

    def copy(url: str, observer: CopyObserver) -> Sequence[TableCopied]:
        target = SqlDatabase(url)
        try:
            return copy_database(database, target, observer)
        finally:
            target.close()

    def find_tables(paths: Sequence[Path]) -> Sequence[Path]:
        found = [file for path in paths for file in (tables_below(path) if path.is_dir() else [path])]
        if not found:
            raise NothingToRead(f"there is no table in {', '.join(str(path) for path in paths)}")
        return found

    def import_table(
        path: Path, name: str | None, as_of: datetime | None, ip_type: str | None, told: Told
    ) -> tuple[str, int, LookedUp]:
        source = open_table(path, Wish(name=name, as_of=as_of, ip_type=IpType(ip_type.upper()) if ip_type else None))
        return source.build.label, source.unread, container.keeper().import_table(source, told)

    database = container.database()
    try:
        yield Application(
            load=load,
            find_logs=find,
            reports=container.reports(),
            changes=container.changes(),
            inventory=container.inventory_reports(),
            keeper=container.keeper(),
            find_tables=find_tables,
            import_table=import_table,
            now=container.clock().now,
            copy=copy,
            adoption=container.adoption(),
            migrate=database.migrate,
            shown_database=str(database),
        )
    finally:
        database.close()


@contextmanager
def open_service(url: str, **settings: object) -> Iterator[SnapshotService]:
    """
    Open the service that gives snapshots to the sessions of another loader.

    Args:
        url: The database that holds the inventory, such as "sqlite:///snapshots.db". Its tables are
            made if they are not there.
        settings: `mmdb`, `requires`, `max_lag_days` and `max_type_lag_days`, as for `snapshots load`.

    Yields:
        The service; its database is closed at the end of the block.

    Raises:
        SettingRefused: A setting cannot be used.
    """
    container = Container(settings=Settings.of(db=url, **settings))
    try:
        yield container.service()
    finally:
        container.database().close()
