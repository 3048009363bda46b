"""What the commands work with."""

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
from snapshots.app.queries.inventory_reports import InventoryReports
from snapshots.app.queries.overview import Overview, OverviewMaker
from snapshots.app.queries.reports import Inspection, Reports
from snapshots.app.queries.session_queries import SessionQueries


class MetricsWriter(Protocol):
    """Counts what is done, and writes it for a monitor."""

    def load_observer(self, next_observer: LoadObserver) -> LoadObserver:
        """Return who counts a load, and tells another observer."""
        ...

    def work_observer(self, next_observer: BackfillObserver) -> BackfillObserver:
        """Return who counts long work, and tells another observer."""
        ...

    def ticking(self, is_stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Return what tells whether to stop, and writes the numbers now and then."""
        ...

    def write(self, inspection: Inspection | None = None) -> None:
        """Write the numbers, and what a verification found, if it was one."""
        ...


class LogsToLoad(Protocol):
    """The contents to load, and the files that were passed over."""

    @property
    def contents(self) -> Sequence[LogSource]:
        """Return what to read, the oldest first."""
        ...

    @property
    def skipped(self) -> Sequence[Path]:
        """Return the files in folders and patterns without Cowrie events."""
        ...

    @property
    def foreign(self) -> Mapping[str, Sequence[Path]]:
        """Return those of kinds that contain no log lines, by their kind and what to do."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """Return a message for each named file or folder that cannot be loaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """
    Everything behind the commands.

    Attributes:
        metrics: Returns what writes numbers for a monitor into a file.
        logged: Logs each batch of long work, and tells another observer.
        load: Loads contents and tells an observer.
        follow: Loads what is added to the logs that paths name, read as is said, until it is stopped; looks every so
            many seconds.
        find_logs: Finds the logs that paths name, to be read as is said.
        reports: Tells who attacked, and how much is known.
        session_queries: Answers which sessions, grouped by what.
        overview: Puts everything together that one look should tell.
        page: Returns an overview as a page.
        changes: Corrects and prunes sealed sessions, on the record.
        adoption: Takes over a database of cowrieprocessor.
        inventory: Answers questions about addresses.
        inventory_service: Imports, refreshes and withdraws what sources said.
        letters: Keeps the lines that could not be loaded.
        events: Gives back the events that were kept as they were logged.
        backfill: Gives stored sessions their snapshots.
        improve: Replaces snapshots by better ones.
        undo: Takes runs back.
        runs: Returns the runs that began last, so many at most.
        build_query_indexes: Builds the indexes that questions need, and others that are missing; returns their names.
        drop_query_indexes: Drops them, likewise.
        has_query_indexes: Tells whether they are there.
        refresh_statistics: Lets the database's planner look at the sessions anew.
        find_tables: Finds the files of facts that paths name.
        import_table: Imports a file under a name, a date and a type, each None to take the file's; returns the
            build's label, how many of its lines could not be read, and what was done.
        bundled_types: Returns the label of the bundled table of VPN, Tor and proxy addresses, and the last time at
            which they are used.
        now: Returns the present moment in UTC.
        copy: Copies the database to the one under another URL, and tells an observer.
        session_count: Returns how many sessions the tables hold, whatever version these have; None without
            tables of ours.
        migrate: Brings the tables to a version, lays sessions into so many partitions or none, and returns the version
            before and the one after.
        fleet: Returns a cluster, by its address and the settings of its engine.
        import_folder: Imports the sessions of a folder of Parquet files into the database.
        shown_database: The database without its password.
    """

    metrics: Callable[[Path], MetricsWriter]
    logged: Callable[[BackfillObserver], BackfillObserver]
    load: Callable[[Sequence[LogSource], LoadObserver], LoadReport]
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
    letters: DeadLetterQueue
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
    import_table: Callable[[Path, str | None, datetime | None, str | None, ProgressCallback], tuple[str, int, LookedUp]]
    bundled_types: Callable[[], tuple[str, datetime]]
    now: Callable[[], datetime]
    copy: Callable[[str, CopyObserver], Sequence[TableCopied]]
    session_count: Callable[[], int | None]
    migrate: Callable[[str, int | None], tuple[str | None, str | None]]
    fleet: Callable[[str, Mapping[str, str]], Fleet]
    import_folder: Callable[[str], LoadReport]
    shown_database: str


OpenApplication = Callable[[Settings], AbstractContextManager[Application]]
