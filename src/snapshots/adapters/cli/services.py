"""The application as the commands see it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # commands import only what they use
    from snapshots.adapters.cli.settings import Settings
    from snapshots.app.admin.adoption import Adoption
    from snapshots.app.admin.backup import BackUpDatabase
    from snapshots.app.admin.copying import CopyObserver, TableCopied
    from snapshots.app.admin.corrections import AuditedChanges
    from snapshots.app.admin.migration import SchemaState
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
    from snapshots.app.ports.runs import RunKind, RunRecord
    from snapshots.app.queries.comparisons.news import NewsMaker
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
class ServeOptions:
    """
    How the live page is served.

    Attributes:
        version: Version of the program.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        token: What a browser must present; None for no token.
        host_names: Names by which the page is reached, besides loopback and, with a token or a proxy, IP addresses.
        is_behind_proxy: Whether a proxy forwards the requests, and decides who may send them.
        shows_passwords: Whether stored texts of passwords are shown, and not only very common ones.
        tty: The folder of Cowrie's recordings of terminals; None for no replay.
        max_streams: Maximum number of open live feeds.
    """

    version: str
    host: str = "127.0.0.1"
    port: int = 8417
    token: str | None = field(default=None, repr=False)
    host_names: tuple[str, ...] = ()
    is_behind_proxy: bool = False
    shows_passwords: bool = False
    tty: Path | None = None
    max_streams: int = 100


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


class Application(Protocol):
    """The use cases and queries that commands call. Each is made, and its code imported, when it is first used."""

    @property
    def reports(self) -> Reports:
        """Report, coverage, explanation and verification."""
        ...

    @property
    def session_queries(self) -> SessionQueries:
        """Counts and lists of sessions."""
        ...

    @property
    def overview(self) -> OverviewMaker:
        """Everything that the HTML report shows."""
        ...

    @property
    def news(self) -> NewsMaker:
        """What appeared for the first time, grew, fell or moved."""
        ...

    @property
    def changes(self) -> AuditedChanges:
        """Corrects and deletes sealed sessions, with audit rows."""
        ...

    @property
    def adoption(self) -> Adoption:
        """Prepares databases of cowrieprocessor."""
        ...

    @property
    def backup(self) -> BackUpDatabase:
        """Backs up the database."""
        ...

    @property
    def inventory(self) -> InventoryReports:
        """Reports about addresses."""
        ...

    @property
    def inventory_service(self) -> InventoryService:
        """Imports, refreshes and retracts facts about addresses."""
        ...

    @property
    def dead_letter_queue(self) -> DeadLetterQueue:
        """Dead letters."""
        ...

    @property
    def events(self) -> StoredEvents:
        """Stored events."""
        ...

    @property
    def backfill(self) -> BackfillSnapshots:
        """Computes snapshots of stored sessions."""
        ...

    @property
    def improve(self) -> ImproveSnapshots:
        """Replaces snapshots by better ones."""
        ...

    @property
    def undo(self) -> UndoRun:
        """Undoes runs."""
        ...

    @property
    def fact_validity(self) -> FactValidity:
        """Which kinds of facts have expired for new attacks."""
        ...

    @property
    def shown_database(self) -> str:
        """The database without its password."""
        ...

    def metrics(self, path: Path) -> MetricsWriter:
        """Return a writer of metrics to a file."""
        ...

    def logged(self, observer: BackfillObserver) -> BackfillObserver:
        """Return an observer that logs each batch and forwards to another observer."""
        ...

    def prepare(self) -> None:
        """Make the tables of a new database."""
        ...

    def load(self, found: LogsToLoad, observer: LoadObserver) -> LoadReport:
        """Load logs."""
        ...

    def follow(
        self,
        paths: Sequence[str],
        options: LineOptions,
        observer: LoadObserver,
        is_stopped: Callable[[], bool],
        every: float,
    ) -> LoadReport:
        """Load what is appended to the logs at some paths, polling every so many seconds, until it is stopped."""
        ...

    def find_logs(self, paths: Sequence[str], options: LineOptions) -> LogsToLoad:
        """Find the logs at some paths."""
        ...

    def page(self, overview: Overview) -> str:
        """Render an overview as an HTML page."""
        ...

    def runs(self, limit: int, kinds: Collection[RunKind]) -> Sequence[RunRecord]:
        """Return the most recent runs of some kinds, at most so many."""
        ...

    def run_names(self, beginning: str, limit: int) -> Sequence[str]:
        """Return the names of at most so many runs that begin like this, in order."""
        ...

    def build_query_indexes(self) -> Sequence[str]:
        """Build missing indexes, and return their names."""
        ...

    def drop_query_indexes(self) -> Sequence[str]:
        """Drop the indexes that only queries need, and return their names."""
        ...

    def has_query_indexes(self) -> bool:
        """Whether these indexes exist."""
        ...

    def refresh_statistics(self) -> None:
        """Refresh the statistics of the database's query planner."""
        ...

    def find_tables(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Find the tables of facts at some paths."""
        ...

    def tables_at(self, location: str, store: Path | None) -> Sequence[Path]:
        """Return the tables at a URL, a file or a folder that are not registered yet.

        Args:
            location: Where to look; a URL is downloaded.
            store: The folder for downloads; None for the one of the user.
        """
        ...

    def delete_expired_tables(self, store: Path | None) -> None:
        """Delete replaced downloads in a folder whose license asks for it."""
        ...

    def write_stated_types(self, store: Path | None) -> Path | None:
        """Write the types that networks state into a folder, and return the path; None without their package."""
        ...

    def import_table(self, path: Path, options: TableOptions, on_progress: ProgressCallback) -> TableImported:
        """Import a table."""
        ...

    def serve(self, options: ServeOptions, on_listening: Callable[[str], None], is_stopped: Callable[[], bool]) -> None:
        """Serve the live page until it is stopped; *on_listening* receives its URL."""
        ...

    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...

    def copy(self, url: str, observer: CopyObserver) -> Sequence[TableCopied]:
        """Copy the database to another URL."""
        ...

    def schema_state(self) -> SchemaState:
        """Compare the tables, of any version, with those that this program needs."""
        ...

    def migrate(self, to: str, partitions: int | None) -> tuple[str | None, str | None]:
        """Migrate the tables to a schema version, and return the versions before and after.

        Args:
            to: The version.
            partitions: Number of partitions; None to keep it.
        """
        ...

    def fleet(self, master: str, spark: Mapping[str, str]) -> Fleet:
        """Return a Spark cluster by its URL and settings."""
        ...

    def import_folder(self, path: str) -> LoadReport:
        """Import the sessions of a folder of Parquet files into the database."""
        ...


class OpenApplication(Protocol):
    """Opens the application, and closes its database at the end of the block."""

    def __call__(self, settings: Settings) -> AbstractContextManager[Application]:
        """Open the application with these settings."""
        ...
