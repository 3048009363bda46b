"""Open the application for commands."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from snapshots.adapters.cli.settings import Settings
from snapshots.composition.wiring import Container, wait_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from pathlib import Path

    from snapshots.adapters.cli.services import (
        Application,
        LogsToLoad,
        MetricsWriter,
        ServeOptions,
        TableImported,
        TableOptions,
    )
    from snapshots.app.admin.adoption import Adoption
    from snapshots.app.admin.backup import BackUpDatabase
    from snapshots.app.admin.copying import CopyObserver, TableCopied
    from snapshots.app.admin.corrections import AuditedChanges
    from snapshots.app.admin.migration import SchemaState
    from snapshots.app.backfill.improve import ImproveSnapshots
    from snapshots.app.backfill.progress import BackfillObserver
    from snapshots.app.backfill.run import BackfillSnapshots
    from snapshots.app.backfill.undo import UndoRun
    from snapshots.app.enrich.inventory import InventoryService, ProgressCallback
    from snapshots.app.load.batch import LoadReport
    from snapshots.app.load.cluster import Fleet
    from snapshots.app.load.dead_letter_replay import DeadLetterQueue
    from snapshots.app.load.progress import LoadObserver
    from snapshots.app.load.stored_events import StoredEvents
    from snapshots.app.ports.log_source import LineOptions
    from snapshots.app.ports.runs import RunKind, RunRecord
    from snapshots.app.queries.comparisons.news import NewsMaker
    from snapshots.app.queries.inventory_reports import InventoryReports
    from snapshots.app.queries.overview import Overview, OverviewMaker
    from snapshots.app.queries.reports import Reports
    from snapshots.app.queries.session_queries import SessionQueries
    from snapshots.app.queries.validity import FactValidity

SITE_NICENESS = 15
"""Priority of the site: on one busy core, three of its threads take at most a tenth of what a loader needs."""

TRIAL = "trial"
"""Value of --db for a temporary PostgreSQL server that runs as long as the command."""


class CommandApplication:
    """
    The application of commands: see `Application`.

    What only some commands use is imported there: a command starts in the time that its own imports take.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._container = Container(settings=settings)
        self._database = self._container.database()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def reports(self) -> Reports:
        """Report, coverage, explanation and verification."""
        return self._container.reports()

    @property
    def session_queries(self) -> SessionQueries:
        """Counts and lists of sessions."""
        return self._container.session_queries()

    @property
    def overview(self) -> OverviewMaker:
        """Everything that the HTML report shows."""
        return self._container.overview()

    @property
    def news(self) -> NewsMaker:
        """What appeared for the first time, grew, fell or moved."""
        return self._container.news()

    @property
    def changes(self) -> AuditedChanges:
        """Corrects and deletes sealed sessions, with audit rows."""
        return self._container.audited_changes()

    @property
    def adoption(self) -> Adoption:
        """Prepares databases of cowrieprocessor."""
        return self._container.adoption()

    @property
    def backup(self) -> BackUpDatabase:
        """Backs up the database."""
        return self._container.backup()

    @property
    def inventory(self) -> InventoryReports:
        """Reports about addresses."""
        return self._container.inventory_reports()

    @property
    def inventory_service(self) -> InventoryService:
        """Imports, refreshes and retracts facts about addresses."""
        return self._container.inventory_service()

    @property
    def dead_letter_queue(self) -> DeadLetterQueue:
        """Dead letters."""
        return self._container.dead_letters()

    @property
    def events(self) -> StoredEvents:
        """Stored events."""
        return self._container.stored_events()

    @property
    def backfill(self) -> BackfillSnapshots:
        """Computes snapshots of stored sessions."""
        return self._container.backfill()

    @property
    def improve(self) -> ImproveSnapshots:
        """Replaces snapshots by better ones."""
        return self._container.improve()

    @property
    def undo(self) -> UndoRun:
        """Undoes runs."""
        return self._container.undo()

    @property
    def fact_validity(self) -> FactValidity:
        """Which kinds of facts have expired for new attacks."""
        return self._container.fact_validity()

    @property
    def shown_database(self) -> str:
        """The database without its password."""
        return str(self._database)

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return self._container.clock().now()

    def metrics(self, path: Path) -> MetricsWriter:
        """Return a writer of metrics to a file."""
        from snapshots.adapters.clock import stopwatch
        from snapshots.adapters.telemetry.logs import warn
        from snapshots.adapters.telemetry.metrics import MetricsFile

        return MetricsFile(path, self.reports, self.fact_validity, stopwatch=stopwatch, warn=warn)

    def data_version(self) -> str:
        """Return a text that changes with each change that is committed to the database."""
        return self._database.data_version()

    def metrics_text(self) -> bytes:
        """Return the metrics of the database in the text format of Prometheus."""
        from snapshots.adapters.telemetry.metrics import database_metrics

        return database_metrics(self.reports, self.fact_validity)

    def serve(self, options: ServeOptions, on_listening: Callable[[str], None], is_stopped: Callable[[], bool]) -> None:
        """Serve the live page until it is stopped."""
        from snapshots.app.errors import PackageMissing
        from snapshots.app.pip_install import install_extra

        try:
            from snapshots.adapters.web.server import serve
        except ModuleNotFoundError as exc:
            raise PackageMissing(f"serve needs the extra serve ({exc}): {install_extra('serve')}") from exc
        self._container.overview()  # makes all queries before several threads ask for them
        self._container.news()
        with suppress(OSError):  # of this thread and those that it starts: a loader has priority, also in this process
            os.setpriority(os.PRIO_PROCESS, 0, SITE_NICENESS)
        serve(self, options, on_listening, is_stopped)

    def logged(self, observer: BackfillObserver) -> BackfillObserver:
        """Return an observer that logs each batch and forwards to another observer."""
        from snapshots.adapters.telemetry.logs import LoggedWork

        return LoggedWork(observer)

    def prepare(self) -> None:
        """Make the tables of a new database."""
        with self._database.transaction():
            pass

    def load(self, found: LogsToLoad, observer: LoadObserver) -> LoadReport:
        """Load logs."""
        from snapshots.adapters.telemetry.logs import LoggedLoad

        return self._container.loader().load(found.contents, LoggedLoad(observer), unchanged=found.unchanged)

    def follow(
        self,
        paths: Sequence[str],
        options: LineOptions,
        observer: LoadObserver,
        is_stopped: Callable[[], bool],
        every: float,
    ) -> LoadReport:
        """Load what is appended to the logs at some paths, until it is stopped."""
        from snapshots.adapters.cowrie.files.watch import FolderWatch
        from snapshots.adapters.cowrie.lines.decode import LineDecoder
        from snapshots.adapters.telemetry.logs import LoggedLoad, warn

        watch = FolderWatch(paths, LineDecoder(options), warn, self._own_files)
        return self._container.follower().follow(watch, LoggedLoad(observer), is_stopped, every=every)

    def find_logs(self, paths: Sequence[str], options: LineOptions) -> LogsToLoad:
        """Find the logs at some paths."""
        from snapshots.adapters.cowrie.files.find_logs import find_logs
        from snapshots.adapters.cowrie.lines.decode import LineDecoder

        loaded, now = self._container.loader().loaded, self._container.own_clock().now()
        return find_logs(paths, LineDecoder(options), self._own_files, loaded=loaded, searched_at=now)

    @property
    def _own_files(self) -> Callable[[], AbstractSet[tuple[int, int]]]:
        from functools import partial

        from snapshots.adapters.sql.connection.sqlite_file import identities_of

        return partial(identities_of, self._database.engine.url)

    def page(self, overview: Overview) -> str:
        """Render an overview as an HTML page."""
        from snapshots.adapters.html.page import page_of
        from snapshots.version import __version__

        return page_of(overview, version=__version__)

    def runs(self, limit: int, kinds: Collection[RunKind]) -> Sequence[RunRecord]:
        """Return the most recent runs of some kinds, at most so many."""
        with self._database.view() as stores:
            return stores.runs.latest(limit=limit, kinds=kinds)

    def run_names(self, beginning: str, limit: int) -> Sequence[str]:
        """Return the names of at most so many runs that begin like this, in order."""
        with self._database.view() as stores:
            return stores.runs.names(beginning, limit=limit)

    def build_query_indexes(self) -> Sequence[str]:
        """Build missing indexes, and return their names."""
        return self._database.build_query_indexes()

    def drop_query_indexes(self) -> Sequence[str]:
        """Drop the indexes that only queries need, and return their names."""
        return self._database.drop_query_indexes()

    def has_query_indexes(self) -> bool:
        """Whether these indexes exist."""
        return self._database.has_query_indexes()

    def refresh_statistics(self) -> None:
        """Refresh the statistics of the database's query planner."""
        self._database.refresh_statistics()

    def find_tables(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Find the tables of facts at some paths."""
        from snapshots.adapters.intel.open_table import tables_below
        from snapshots.app.errors import NothingToRead

        found = [file for path in paths for file in (tables_below(path) if path.is_dir() else [path])]
        if not found:
            raise NothingToRead(f"there is no table in {', '.join(str(path) for path in paths)}")
        return found

    def tables_at(self, location: str, store: Path | None) -> Sequence[Path]:
        """Return the tables at a location that are not registered; a downloaded one may confirm its facts until now."""
        from pathlib import Path

        from snapshots.adapters.intel.download import TABLE_STORE, download, is_url, url_of_today
        from snapshots.adapters.intel.unpack import sha256_of

        if is_url(location):
            now = self.now()
            return [download(url_of_today(location, now), store or TABLE_STORE, now)]
        paths = self.find_tables([Path(location)])
        with self._database.view() as stores:
            known = {each.build.sha256 for each in stores.sources.registered() if not each.is_retracted}
        return [path for path in paths if sha256_of(path) not in known]

    def delete_expired_tables(self, store: Path | None) -> None:
        """Delete replaced downloads in a folder whose license asks for it."""
        from snapshots.adapters.intel.download import TABLE_STORE, delete_expired_downloads

        delete_expired_downloads(store or TABLE_STORE, self.now())

    def write_stated_types(self, store: Path | None) -> Path | None:
        """Write the types that networks state into a folder, and return the path; None without their package."""
        from snapshots.adapters.intel.download import TABLE_STORE
        from snapshots.adapters.intel.stated_types import write_stated_types

        return write_stated_types(store or TABLE_STORE)

    def import_table(self, path: Path, options: TableOptions, on_progress: ProgressCallback) -> TableImported:
        """Import a table."""
        from snapshots.adapters.cli.services import TableImported
        from snapshots.adapters.intel.layouts.detect import BY_NAME
        from snapshots.adapters.intel.open_table import ImportOptions, open_table
        from snapshots.app.errors import SettingRefused

        if options.layout is not None and options.layout not in BY_NAME:
            raise SettingRefused(f"there is no layout {options.layout!r}; the layouts are {', '.join(BY_NAME)}")
        source = open_table(
            path,
            ImportOptions(name=options.name, as_of=options.as_of, ip_type=options.ip_type, layout=options.layout),
        )
        lookups = self.inventory_service.import_table(
            source, on_progress, is_forced=options.is_forced, is_confirmed=options.is_confirmed
        )
        return TableImported(unused=source.unused, lookups=lookups)

    def copy(self, url: str, observer: CopyObserver) -> Sequence[TableCopied]:
        """Copy the database to another URL."""
        from snapshots.adapters.sql.adopt.copying import copy_database
        from snapshots.adapters.sql.database import SqlDatabase

        with closing(SqlDatabase(url, policy=wait_policy(self._settings))) as target:
            return copy_database(self._database, target, observer)

    def schema_state(self) -> SchemaState:
        """Compare the tables, of any version, with those that this program needs."""
        return self._database.schema_state()

    def migrate(self, to: str, partitions: int | None) -> tuple[str | None, str | None]:
        """Migrate the tables to a schema version, and return the versions before and after."""
        return self._database.migrate(to, partitions=partitions)

    def fleet(self, master: str, spark: Mapping[str, str]) -> Fleet:
        """Return a Spark cluster by its URL and settings."""
        from snapshots.app.errors import PackageMissing
        from snapshots.app.pip_install import install_extra

        try:
            from snapshots.composition.spark_driver import SparkFleet
        except ModuleNotFoundError as exc:
            raise PackageMissing(f"fleet needs Java 17 and the extra spark ({exc}): {install_extra('spark')}") from exc
        return SparkFleet(self._settings, master, spark)

    def import_folder(self, path: str) -> LoadReport:
        """Import the sessions of a folder of Parquet files into the database."""
        from snapshots.adapters.spark.read_folder import StoredFolder
        from snapshots.adapters.sql.adopt.part_database import session_columns, summary_of

        return self._container.session_import().load(StoredFolder(path, tuple(session_columns()), summary_of))


@contextmanager
def open_application(settings: Settings) -> Iterator[Application]:
    """Open the application, and close its database at the end of the block."""
    if settings.db == TRIAL:
        from snapshots.adapters.sql.connection.temporary_server import trial_server

        with trial_server() as url, open_application(settings.model_copy(update={"db": url})) as application:
            yield application
        return
    with closing(CommandApplication(settings)) as opened:
        yield opened
