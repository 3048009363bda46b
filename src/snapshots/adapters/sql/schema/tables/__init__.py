"""The tables."""

from snapshots.adapters.sql.schema.tables.addresses import (
    fact_sources,
    inventory_placeholders,
    ip_observations,
    known_addresses,
    known_networks,
)
from snapshots.adapters.sql.schema.tables.audit import (
    adoptions,
    run_seals,
    snapshot_corrections,
    snapshot_prunings,
    snapshot_put_backs,
)
from snapshots.adapters.sql.schema.tables.columns import metadata, name
from snapshots.adapters.sql.schema.tables.logins import credentials, passwords, session_logins
from snapshots.adapters.sql.schema.tables.run_records import bookmarks, dead_letters, quarantined_sessions, runs
from snapshots.adapters.sql.schema.tables.sealed_rows import (
    FACTS,
    FOUND_COLUMNS,
    HOLDS_A_FACT,
    SNAPSHOT_COLUMNS,
    UNJUDGED,
    is_sealed,
    states,
)
from snapshots.adapters.sql.schema.tables.sessions import (
    COUNTING_INDEXES,
    QUERY_INDEXES,
    UNJUDGED_ROWS_INDEX,
    event_lines,
    session_fingerprints,
    session_summaries,
)

__all__ = [
    "COUNTING_INDEXES",
    "FACTS",
    "FOUND_COLUMNS",
    "HOLDS_A_FACT",
    "QUERY_INDEXES",
    "SNAPSHOT_COLUMNS",
    "UNJUDGED",
    "UNJUDGED_ROWS_INDEX",
    "adoptions",
    "bookmarks",
    "credentials",
    "dead_letters",
    "event_lines",
    "fact_sources",
    "inventory_placeholders",
    "ip_observations",
    "is_sealed",
    "known_addresses",
    "known_networks",
    "metadata",
    "name",
    "passwords",
    "quarantined_sessions",
    "run_seals",
    "runs",
    "session_fingerprints",
    "session_logins",
    "session_summaries",
    "snapshot_corrections",
    "snapshot_prunings",
    "snapshot_put_backs",
    "states",
]
