"""Open the application for commands, and the service for other loaders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from snapshots.adapters.cli.services import Application, LogsToLoad, MetricsWriter, TableImported, TableOptions
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import stopwatch
from snapshots.adapters.cowrie.files.find_logs import FoundLogs, find_logs
from snapshots.adapters.cowrie.files.watch import FolderWatch
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.intel.download import TABLE_STORE, delete_expired_downloads, download, is_url, url_of_today
from snapshots.adapters.intel.layouts.detect import BY_NAME
from snapshots.adapters.intel.open_table import ImportOptions, open_table, tables_below
from snapshots.adapters.intel.stated_types import write_stated_types
from snapshots.adapters.intel.unpack import sha256_of
from snapshots.adapters.sql.connection.sqlite_file import identities_of
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.telemetry.logs import LoggedLoad, LoggedWork, warn
from snapshots.app.admin.copying import CopyObserver, TableCopied
from snapshots.app.enrich.inventory import ProgressCallback
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import NothingToRead, PackageMissing, SettingRefused
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.cluster import Fleet
from snapshots.app.load.progress import LoadObserver
from snapshots.app.pip_install import INSTALL_SPARK
from snapshots.app.ports.log_source import LineOptions
from snapshots.app.ports.runs import RunRecord
from snapshots.app.queries.overview import Overview
from snapshots.composition.wiring import Container, wait_policy

TRIAL = "trial"
"""Value of --db for a temporary PostgreSQL server that runs as long as the command."""


@contextmanager
def open_application(settings: Settings) -> Iterator[Application]:
    """
    Open the application, and close its database at the end of the block.

    What only some commands use, such as templates and metrics, is imported there, because it takes long.
    """
    if settings.db == TRIAL:
        from snapshots.adapters.sql.connection.temporary_server import trial_server  # noqa: PLC0415 - see above

        with trial_server() as url, open_application(settings.model_copy(update={"db": url})) as application:
            yield application
        return
    container = Container(settings=settings)

    def load(found: LogsToLoad, observer: LoadObserver) -> LoadReport:
        return container.loader().load(found.contents, LoggedLoad(observer), unchanged=found.unchanged)

    def follow(
        paths: Sequence[str],
        options: LineOptions,
        observer: LoadObserver,
        is_stopped: Callable[[], bool],
        every: float,
    ) -> LoadReport:
        watch = FolderWatch(paths, LineDecoder(options), warn, own)
        return container.follower().follow(watch, LoggedLoad(observer), is_stopped, every=every)

    def find(paths: Sequence[str], options: LineOptions) -> FoundLogs:
        loaded, now = container.loader().loaded, container.own_clock().now()
        return find_logs(paths, LineDecoder(options), own, loaded=loaded, searched_at=now)

    def copy(url: str, observer: CopyObserver) -> Sequence[TableCopied]:
        from snapshots.adapters.sql.adopt.copying import copy_database  # noqa: PLC0415 - see above

        target = SqlDatabase(url, policy=wait_policy(settings))
        try:
            return copy_database(database, target, observer)
        finally:
            target.close()

    def import_table(path: Path, options: TableOptions, on_progress: ProgressCallback) -> TableImported:
        wanted = ImportOptions(
            name=options.name, as_of=options.as_of, ip_type=options.ip_type, layout=_known_layout(options.layout)
        )
        source = open_table(path, wanted)
        lookups = container.inventory_service().import_table(
            source, on_progress, is_forced=options.is_forced, is_confirmed=options.is_confirmed
        )
        return TableImported(unused=source.unused, lookups=lookups)

    def import_folder(path: str) -> LoadReport:
        from snapshots.adapters.spark.read_folder import StoredFolder  # noqa: PLC0415 - see above
        from snapshots.adapters.sql.adopt.part_database import session_columns  # noqa: PLC0415 - see above
        from snapshots.adapters.sql.rows.row_decoder import summary_in  # noqa: PLC0415 - see above

        return container.session_import().load(StoredFolder(path, tuple(session_columns()), summary_in))

    def page(overview: Overview) -> str:
        from snapshots.adapters.html.page import page_of  # noqa: PLC0415 - see above

        return page_of(overview, version=version("snapshots"))

    def metrics(path: Path) -> MetricsWriter:
        from snapshots.adapters.telemetry.metrics import MetricsFile  # noqa: PLC0415 - see above

        return MetricsFile(path, container.reports(), container.fact_validity(), stopwatch=stopwatch, warn=warn)

    database = container.database()
    own = partial(identities_of, database.engine.url)
    try:
        yield Application(
            metrics=metrics,
            logged=LoggedWork,
            load=load,
            follow=follow,
            find_logs=find,
            reports=container.reports(),
            session_queries=container.session_queries(),
            overview=container.overview(),
            page=page,
            changes=container.audited_changes(),
            inventory=container.inventory_reports(),
            inventory_service=container.inventory_service(),
            dead_letter_queue=container.dead_letters(),
            events=container.stored_events(),
            backfill=container.backfill(),
            improve=container.improve(),
            undo=container.undo(),
            runs=lambda limit: _runs(database, limit),
            build_query_indexes=database.build_query_indexes,
            drop_query_indexes=database.drop_query_indexes,
            has_query_indexes=database.has_query_indexes,
            refresh_statistics=database.refresh_statistics,
            find_tables=_find_tables,
            import_table=import_table,
            tables_at=partial(_new_tables_at, container),
            delete_expired_tables=lambda store: delete_expired_downloads(store or TABLE_STORE, container.clock().now()),
            write_stated_types=lambda store: write_stated_types(store or TABLE_STORE),
            fact_validity=container.fact_validity(),
            now=container.clock().now,
            copy=copy,
            adoption=container.adoption(),
            session_count=database.session_count,
            migrate=lambda to, partitions: database.migrate(to, partitions=partitions),
            fleet=partial(_fleet, settings),
            import_folder=import_folder,
            shown_database=str(database),
        )
    finally:
        database.close()


def _find_tables(paths: Sequence[Path]) -> Sequence[Path]:
    found = [file for path in paths for file in (tables_below(path) if path.is_dir() else [path])]
    if not found:
        raise NothingToRead(f"there is no table in {', '.join(str(path) for path in paths)}")
    return found


def _new_tables_at(container: Container, location: str, store: Path | None) -> Sequence[Path]:
    """Return the tables at a location that are not registered; a downloaded one may confirm its facts until now."""
    if is_url(location):
        now = container.clock().now()
        return [download(url_of_today(location, now), store or TABLE_STORE, now)]
    paths = _find_tables([Path(location)])
    with container.database().view() as stores:
        known = {each.build.sha256 for each in stores.sources.registered() if not each.is_retracted}
    return [path for path in paths if sha256_of(path) not in known]


def _fleet(settings: Settings, master: str, spark: Mapping[str, str]) -> Fleet:
    try:
        from snapshots.composition.spark_driver import SparkFleet  # noqa: PLC0415 - what it needs is an extra
    except ModuleNotFoundError as exc:
        raise PackageMissing(f"fleet needs Spark ({exc}): {INSTALL_SPARK}") from exc
    return SparkFleet(settings, master, spark)


def _known_layout(name: str | None) -> str | None:
    if name is not None and name not in BY_NAME:
        raise SettingRefused(f"there is no layout {name!r}; the layouts are {', '.join(BY_NAME)}")
    return name


def _runs(database: SqlDatabase, limit: int) -> Sequence[RunRecord]:
    with database.view() as stores:
        return stores.runs.latest(limit=limit)


@contextmanager
def open_service(url: str, **settings: object) -> Iterator[SnapshotService]:
    """
    Open the service that computes snapshots for the sessions of another loader.

    Args:
        url: The database that holds the inventory, such as "sqlite:///snapshots.db". Missing tables are created.
        settings: `mmdb`, `requires`, `max_lag_days` and `max_type_lag_days`, as for `snapshots load`.

    Yields:
        The service; its database is closed at the end of the block.

    Raises:
        SettingRefused: A setting has an invalid value.
    """
    container = Container(settings=Settings.of(db=url, **settings))
    try:
        yield container.service()
    finally:
        container.database().close()
