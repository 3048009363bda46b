"""Stores over one connection, in one transaction."""

from functools import cached_property

from sqlalchemy import Connection

from snapshots.adapters.sql.backfill.open_sessions import SqlOpenSessions
from snapshots.adapters.sql.backfill.undo import SqlRunUndo
from snapshots.adapters.sql.backfill.verdict_spans import SqlVerdictSpans
from snapshots.adapters.sql.connection.dialects.storage import log_position
from snapshots.adapters.sql.schema.features import OURS, SchemaFeatures
from snapshots.adapters.sql.stores.address_counters import SqlInventoryCounts
from snapshots.adapters.sql.stores.bookmarks import SqlBookmarks
from snapshots.adapters.sql.stores.corrections import SqlAudit
from snapshots.adapters.sql.stores.dead_letters import SqlDeadLetters
from snapshots.adapters.sql.stores.event_lines import SqlEventLines
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.adapters.sql.stores.inventory import SqlIpInventory
from snapshots.adapters.sql.stores.runs import SqlRuns
from snapshots.adapters.sql.stores.sessions import SqlSessionStore


class SqlStores:
    """All stores, over one connection."""

    def __init__(self, connection: Connection, features: SchemaFeatures = OURS) -> None:
        self._connection = connection
        self._features = features

    @property
    def connection(self) -> Connection:
        """Return the connection, with its transaction."""
        return self._connection

    @property
    def largest_asn(self) -> int:
        """Return the largest AS number that a session can hold."""
        return self._features.largest_asn

    @cached_property
    def inventory(self) -> SqlIpInventory:
        """Return the addresses."""
        return SqlIpInventory(self._connection, self.sources, self._features)

    @cached_property
    def counts(self) -> SqlInventoryCounts:
        """Return the counters of addresses and networks."""
        return SqlInventoryCounts(self._connection)

    @cached_property
    def sources(self) -> SqlFactSources:
        """Return the builds of sources."""
        return SqlFactSources(self._connection)

    @cached_property
    def sessions(self) -> SqlSessionStore:
        """Return the sessions."""
        return SqlSessionStore(self._connection, self._features)

    @cached_property
    def open_sessions(self) -> SqlOpenSessions:
        """Return the sessions without a snapshot."""
        return SqlOpenSessions(self._connection, self.audit, self._features)

    @cached_property
    def verdict_spans(self) -> SqlVerdictSpans:
        """Return the staged verdicts."""
        return SqlVerdictSpans(self._connection)

    @cached_property
    def dead_letters(self) -> SqlDeadLetters:
        """Return the lines that could not be loaded."""
        return SqlDeadLetters(self._connection)

    @cached_property
    def event_lines(self) -> SqlEventLines:
        """Return the stored event lines."""
        return SqlEventLines(self._connection)

    @cached_property
    def bookmarks(self) -> SqlBookmarks:
        """Return how far log files were read."""
        return SqlBookmarks(self._connection)

    @cached_property
    def runs(self) -> SqlRuns:
        """Return the runs."""
        return SqlRuns(self._connection)

    @cached_property
    def audit(self) -> SqlAudit:
        """Return corrections and prunings of sealed sessions."""
        return SqlAudit(self._connection, self._features)

    @cached_property
    def run_undo(self) -> SqlRunUndo:
        """Return the undo of runs."""
        return SqlRunUndo(self._connection, self.audit, self._features)

    def log_position(self) -> int | None:
        """Return the position of the write-ahead log in bytes; None on SQLite."""
        return log_position(self._connection)
