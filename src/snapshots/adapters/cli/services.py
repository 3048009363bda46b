"""The application as the commands see it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from snapshots.adapters.cli.settings import Settings
from snapshots.app.admin.adoption import Adoption
from snapshots.app.admin.copying import CopyObserver, TableCopied
from snapshots.app.admin.corrections import AuditedChanges
from snapshots.app.backfill.improve import ImproveSnapshots
from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.backfill.run import BackfillSnapshots
from snapshots.app.backfill.undo import UndoRun
from snapshots.app.enrich.inventory import InventoryService, LookedUp, ProgressCallback
from snapshots.app.load.batch import LoadReport
from snapshots.app.load.cluster import Fleet
from snapshots.app.load.dead_letter_replay import DeadLetterQueue
from snapshots.app.load.progress import LoadObserver
from snapshots.app.load.stored_events import StoredEvents
from snapshots.app.ports.log_source import LineOptions, LogSource
from snapshots.app.ports.runs import RunRecord
from snapshots.app.queries.inspection import Inspection
from snapshots.app.queries.inventory_reports import InventoryReports
from snapshots.app.queries.overview import Overview, OverviewMaker
from snapshots.app.queries.reports import Reports
from snapshots.app.queries.session_queries import SessionQueries
from snapshots.app.queries.validity import FactValidity
from snapshots.domain.facts.ip_type import IpType


class MetricsWriter(Protocol):
    """Collects metrics, and writes them to a file."""

    def load_observer(self, next_observer: LoadObserver) -> LoadObserver:
        """Return an observer of a load that counts and forwards to another observer."""
        ...

    def work_observer(self, next_observer: BackfillObserver) -> BackfillObserver:
        """Return an observer of a backfill that counts and forwards to another observer."""
        ...

    def ticking(self, is_stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Return a wrapper of *is_stopped* that writes the metrics at most once a minute."""
        ...

    def write(self, inspection: Inspection | None = None) -> None:
        """Write the metrics; *inspection* is the result of `verify`."""
        ...


class LogsToLoad(Protocol):
    """The logs to load, and the files that are skipped."""

    @property
    def contents(self) -> Sequence[LogSource]:
        """Return the logs, the oldest first."""
        ...

    @property
    def skipped(self) -> Sequence[Path]:
        """Return the files in folders and patterns without Cowrie events."""
        ...

    @property
    def foreign(self) -> Mapping[str, Sequence[Path]]:
        """Return the skipped files by the reason, which states the kind of file and what to do."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """Return a message for each named file or folder that cannot be loaded."""
        ...

    @property
    def unchanged(self) -> int:
        """Return the number of files that are unchanged since they were loaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """
    Options of the import of a table; None for what the table states itself.

    Attributes:
        name: The name of the source.
        as_of: The date of the table, in UTC.
        ip_type: The type of all addresses.
        layout: The name of the layout.
        is_forced: Whether a table that fails the checks is imported all the same.
        is_confirmed: Whether the operator confirmed that a list types many addresses.
    """

    name: str | None = None
    as_of: datetime | None = None
    ip_type: IpType | None = None
    layout: str | None = None
    is_forced: bool = False
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableImported:
    """
    Result of the import of a table.

    Attributes:
        unused: Numbers of rows that are not used, by the reason.
        lookups: Result of the look-ups.
    """

    unused: Mapping[str, int]
    lookups: LookedUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """
    The use cases and queries that commands call.

    Attributes:
        metrics: Returns a writer of metrics to a file.
        logged: Returns an observer that logs each batch and forwards to another observer.
        load: Loads logs.
        follow: Loads what is appended to the logs at some paths, polling every so many seconds, until it is stopped.
        find_logs: Finds the logs at some paths.
        reports: Report, coverage, explanation and verification.
        session_queries: Counts and lists of sessions.
        overview: Everything that the HTML report shows.
        page: Renders an overview as an HTML page.
        changes: Corrects and deletes sealed sessions, with audit rows.
        adoption: Prepares databases of cowrieprocessor.
        inventory: Reports about addresses.
        inventory_service: Imports, refreshes and retracts facts about addresses.
        dead_letter_queue: Dead letters.
        events: Stored events.
        backfill: Computes snapshots of stored sessions.
        improve: Replaces snapshots by better ones.
        undo: Undoes runs.
        runs: Returns the most recent runs, at most so many.
        build_query_indexes: Builds missing indexes; returns their names.
        drop_query_indexes: Drops the indexes that only queries need; returns their names.
        has_query_indexes: Whether these indexes exist.
        refresh_statistics: Refreshes the statistics of the database's query planner.
        find_tables: Finds the tables of facts at some paths.
        import_table: Imports a table.
        tables_at: Returns the tables at a URL, a file or a folder that are not registered yet; a URL is downloaded into
            a folder, None for the one of the user.
        delete_expired_tables: Deletes replaced downloads in a folder whose license asks for it.
        write_stated_types: Writes the types that networks state, if their package is installed, into a folder, and
            returns the path of the table.
        fact_validity: Which kinds of facts have expired for new attacks.
        now: Returns the current time in UTC.
        copy: Copies the database to another URL.
        session_count: Returns the number of sessions, whatever the schema version is; None without tables of ours.
        migrate: Migrates the tables to a schema version, with a number of partitions or None; returns the versions
            before and after.
        fleet: Returns a Spark cluster by its URL and settings.
        import_folder: Imports the sessions of a folder of Parquet files into the database.
        shown_database: The database without its password.
    """

    metrics: Callable[[Path], MetricsWriter]
    logged: Callable[[BackfillObserver], BackfillObserver]
    load: Callable[[LogsToLoad, LoadObserver], LoadReport]
    follow: Callable[[Sequence[str], LineOptions, LoadObserver, Callable[[], bool], float], LoadReport]
    find_logs: Callable[[Sequence[str], LineOptions], LogsToLoad]
    reports: Reports
    session_queries: SessionQueries
    overview: OverviewMaker
    page: Callable[[Overview], str]
    changes: AuditedChanges
    adoption: Adoption
    inventory: InventoryReports
    inventory_service: InventoryService
    dead_letter_queue: DeadLetterQueue
    events: StoredEvents
    backfill: BackfillSnapshots
    improve: ImproveSnapshots
    undo: UndoRun
    runs: Callable[[int], Sequence[RunRecord]]
    build_query_indexes: Callable[[], Sequence[str]]
    drop_query_indexes: Callable[[], Sequence[str]]
    has_query_indexes: Callable[[], bool]
    refresh_statistics: Callable[[], None]
    find_tables: Callable[[Sequence[Path]], Sequence[Path]]
    tables_at: Callable[[str, Path | None], Sequence[Path]]
    delete_expired_tables: Callable[[Path | None], None]
    write_stated_types: Callable[[Path | None], Path | None]
    import_table: Callable[[Path, TableOptions, ProgressCallback], TableImported]
    fact_validity: FactValidity
    now: Callable[[], datetime]
    copy: Callable[[str, CopyObserver], Sequence[TableCopied]]
    session_count: Callable[[], int | None]
    migrate: Callable[[str, int | None], tuple[str | None, str | None]]
    fleet: Callable[[str, Mapping[str, str]], Fleet]
    import_folder: Callable[[str], LoadReport]
    shown_database: str


OpenApplication = Callable[[Settings], AbstractContextManager[Application]]
