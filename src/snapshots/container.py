"""The only file that knows every adapter: what is made of what."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dependency_injector import containers, providers

from snapshots.adapters.cli.application import Application
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import SystemClock, new_run, stopwatch
from snapshots.adapters.cowrie.decode import LineDecoder
from snapshots.adapters.cowrie.files import FoundLogs, find_logs
from snapshots.adapters.intel.bundled import BUNDLED, open_bundled
from snapshots.adapters.intel.mmdb import open_mmdb
from snapshots.adapters.intel.types import IporiginSource
from snapshots.adapters.sql.adoption import SqlAdoption
from snapshots.adapters.sql.copying import copy_database
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.reports import SqlReports
from snapshots.adapters.sql.trial import trial_server
from snapshots.adapters.telemetry.logs import LoggedLoad
from snapshots.app.audit import AuditedChanges
from snapshots.app.copying import CopyObserver, TableCopied
from snapshots.app.enrich import SnapshotService
from snapshots.app.lines import LogSource
from snapshots.app.load import BulkLoader, LoadReport
from snapshots.app.ports import FactSource
from snapshots.app.progress import LoadObserver
from snapshots.domain.policy import SnapshotPolicy
from snapshots.domain.reading import AsOfReader

TRIAL = "trial"
"""In place of a URL: a PostgreSQL server that lasts as long as the command."""


def _sources(settings: Settings) -> Sequence[FactSource]:
    """Open every source of facts, the most trusted first."""
    return [
        *(open_mmdb(path) for path in settings.mmdb),
        *(open_bundled(table) for table in BUNDLED),
        IporiginSource(),
    ]


def _reader(settings: Settings, sources: Sequence[FactSource]) -> AsOfReader:
    return AsOfReader(
        precedence=tuple(source.build.name for source in sources),
        max_lag=settings.max_lag,
        max_type_lag=settings.max_type_lag,
    )


def _policy(settings: Settings) -> SnapshotPolicy:
    return SnapshotPolicy(requires=settings.requires, max_lag=settings.max_lag)


class Container(containers.DeclarativeContainer):
    """Makes each thing when it is first asked for."""

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)
    database = providers.Singleton(SqlDatabase, url=settings.provided.db)
    sources = providers.Singleton(_sources, settings=settings)
    reader = providers.Singleton(_reader, settings=settings, sources=sources)
    policy = providers.Singleton(_policy, settings=settings)
    service = providers.Singleton(
        SnapshotService, database=database, sources=sources, reader=reader, policy=policy, clock=clock
    )
    loader = providers.Singleton(
        BulkLoader,
        database=database,
        service=service,
        clock=clock,
        stopwatch=providers.Object(stopwatch),
        new_run=providers.Object(new_run),
    )
    changes = providers.Singleton(AuditedChanges, database=database, clock=clock, new_run=providers.Object(new_run))
    adoption = providers.Singleton(SqlAdoption, database=database, clock=clock)
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

    database = container.database()
    try:
        yield Application(
            load=load,
            find_logs=find,
            reports=container.reports(),
            changes=container.changes(),
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
