"""The tables."""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects import postgresql

from snapshots.adapters.sql.connection.datetimes import OwnMoment, UtcDateTime
from snapshots.domain.facts.validation import PSEUDO_COUNTRIES


def name(length: int) -> String:
    """Return a text type that sorts by bytes on both databases."""
    return String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


metadata = MetaData()

known_addresses = Table(
    "known_addresses",
    metadata,
    Column("ip_address", name(45), primary_key=True),
    Column("current_asn", BigInteger),
    Column("current_country", String(2)),
    Column("current_ip_type", String(16)),
    Column("current_asn_at", UtcDateTime),
    Column("current_country_at", UtcDateTime),
    Column("current_ip_type_at", UtcDateTime),
    Column("enrichment_updated_at", UtcDateTime),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("session_count", Integer, nullable=False, server_default=text("0")),
    Column("looked_up_until", Integer, nullable=False, server_default=text("0")),
    Column("learned_at", UtcDateTime),
    Column("newest_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("session_count >= 0", name="session_count_is_no_debt"),
)

Index("ix_known_addresses_learned_at", known_addresses.c.learned_at)

known_networks = Table(
    "known_networks",
    metadata,
    Column("asn_number", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_name", Text),
    Column("organization_name_at", UtcDateTime),
    Column("first_seen", UtcDateTime),
    Column("last_seen", UtcDateTime),
    Column("unique_ip_count", Integer, nullable=False, server_default=text("0")),
    Column("total_session_count", Integer, nullable=False, server_default=text("0")),
    *(Column(each, UtcDateTime, nullable=False) for each in ("created_at", "updated_at")),
)

ip_observations = Table(
    "ip_observations",
    metadata,
    Column("ip_address", name(45), ForeignKey("known_addresses.ip_address"), primary_key=True),
    Column("source", name(64), primary_key=True),
    Column("observed_at", OwnMoment, primary_key=True),
    Column("confirmed_until", OwnMoment, nullable=False),
    Column("learned_at", OwnMoment, nullable=False),
    Column("asn", BigInteger),
    Column("country", String(2)),
    Column("ip_types", String(64), nullable=False),
    sqlite_with_rowid=False,
)

fact_sources = Table(
    "fact_sources",
    metadata,
    Column("source", name(64), primary_key=True),
    Column("built_at", OwnMoment, primary_key=True),
    Column("number", Integer, nullable=False, server_default=text("0")),
    Column("form", String(32), nullable=False, server_default=""),
    Column("retracted_at", OwnMoment),
    Column("licence", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("origin", Text, nullable=False),
    Column("registered_at", OwnMoment, nullable=False),
    Column("digest", String(32)),  # of what never changes; NULL in what an older version registered
)

session_summaries = Table(
    "session_summaries",
    metadata,
    Column("session_id", name(64), primary_key=True),
    Column("logged_id", name(64)),
    Column("source_ip", name(45), ForeignKey("known_addresses.ip_address")),
    Column("source_port", Integer),
    Column("source_ip_rank", SmallInteger),
    Column("source_ip_seen_at", UtcDateTime),
    Column("source_ip_run", String(36)),
    Column("source_ip_was", name(45)),
    Column("first_event_at", UtcDateTime, nullable=False),
    Column("last_event_at", UtcDateTime, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("command_count", BigInteger, nullable=False),
    Column("file_downloads", BigInteger, nullable=False),
    Column("login_attempts", BigInteger, nullable=False),
    Column("forward_count", BigInteger, nullable=False, server_default=text("0")),
    Column("matcher", String(255)),
    Column("sensor_id", String(255)),
    Column("snapshot_asn", BigInteger),
    Column("snapshot_country", String(2)),
    Column("snapshot_ip_type", String(16)),
    Column("enrichment_at", UtcDateTime),
    Column("snapshot_method", String(16)),
    Column("snapshot_source", String(255)),
    Column("snapshot_run", String(36)),
    Column("snapshot_seal", String(32)),
    Column("snapshot_gap", String(20)),
    Column("gap_checked_at", UtcDateTime),
    Column("gap_run", String(36)),
    Column("counted_until", UtcDateTime),
    Column("protocol", String(16)),
    Column("client_version", String(255)),
    Column("hassh", String(32)),
    Column("username", String(255)),
    Column("password_hash", String(64)),
    Column("login_succeeded", Boolean),
    Column("command_signature", String(32)),
    Column("ssh_key_fingerprint", String(64)),
    Column("download_hash", String(64)),
    Column("duration_ms", BigInteger),
    Column("behaviour", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("event_fingerprints", LargeBinary, nullable=False),
    CheckConstraint(
        "(enrichment_at IS NULL AND snapshot_asn IS NULL AND snapshot_country IS NULL"
        " AND snapshot_ip_type IS NULL AND snapshot_method IS NULL)"
        " OR (enrichment_at IS NOT NULL AND snapshot_method IS NOT NULL AND source_ip IS NOT NULL AND"
        " (snapshot_asn IS NOT NULL OR snapshot_country IS NOT NULL OR snapshot_ip_type IS NOT NULL))",
        name="snapshot_is_whole",
    ),
    CheckConstraint("enrichment_at IS NULL OR snapshot_gap IS NULL", name="sealed_or_gap"),
)
Index("ix_session_summaries_source_ip", session_summaries.c.source_ip)
Index(
    "ix_session_summaries_logged_id",
    session_summaries.c.logged_id,
    sqlite_where=session_summaries.c.logged_id.is_not(None),
    postgresql_where=session_summaries.c.logged_id.is_not(None),
)
Index(
    "ix_session_summaries_open",
    session_summaries.c.session_id,
    session_summaries.c.snapshot_gap,
    sqlite_where=session_summaries.c.snapshot_gap.is_not(None),
    postgresql_where=session_summaries.c.snapshot_gap.is_not(None),
)

QUERY_INDEXES = {
    "asn_time": ("snapshot_asn", "first_event_at", "snapshot_method"),
    "country_type_time": ("snapshot_country", "snapshot_ip_type", "first_event_at", "snapshot_method"),
    "first_event_at": ("first_event_at", "session_id"),
    "hassh": ("hassh", "first_event_at"),
    "command_signature": ("command_signature", "first_event_at"),
    "ssh_key_fingerprint": ("ssh_key_fingerprint", "first_event_at"),
    "download_hash": ("download_hash", "first_event_at"),
}
"""Indexes that only questions need, by the end of their names; those of behaviour have only rows that show it."""

COUNTING_INDEXES = {
    "asn_method": ("snapshot_asn", "snapshot_method"),
    "country_method": ("snapshot_country", "snapshot_method"),
}
"""Those that PostgreSQL keeps so small, because equal entries are stored once, that it counts by them far faster."""

for _end, _columns in (QUERY_INDEXES | COUNTING_INDEXES).items():
    _which = session_summaries.c[_columns[0]].is_not(None) if _end == _columns[0] != "first_event_at" else None
    Index(
        f"ix_session_summaries_by_{_end}",
        *(session_summaries.c[column] for column in _columns),
        info={"for_queries": True} | ({"only_on": "postgresql"} if _end in COUNTING_INDEXES else {}),
        sqlite_where=_which,
        postgresql_where=_which,
    ).ddl_if(dialect="postgresql" if _end in COUNTING_INDEXES else None)

SNAPSHOT_COLUMNS: Sequence[str] = (
    "source_ip",
    "source_port",
    "source_ip_rank",
    "source_ip_seen_at",
    "snapshot_asn",
    "snapshot_country",
    "snapshot_ip_type",
    "enrichment_at",
    "snapshot_method",
    "snapshot_source",
    "snapshot_run",
    "snapshot_seal",
)
"""What a sealed row keeps for good, together."""

NO_COUNTRIES = ", ".join(f"'{code}'" for code in sorted(PSEUDO_COUNTRIES))

FACTS = {
    "snapshot_asn": "{row}snapshot_asn <> 0",
    "snapshot_country": f"upper({{row}}snapshot_country) NOT IN ({NO_COUNTRIES}, '')",
    "snapshot_ip_type": "{row}snapshot_ip_type NOT IN ('', 'null', '[]', '{{}}')",
}
"""When a column of facts states one: other loaders write pseudo codes, zeros and empty lists. {row} is a prefix."""

HOLDS_A_FACT = f"({' OR '.join(FACTS.values())})"
"""Whether a row is sealed, of ours or of another loader's."""


def is_sealed(row: str = "session_summaries.") -> ColumnElement[bool]:
    """Return the condition that a session holds its snapshot for good; never NULL."""
    return func.coalesce(literal_column(HOLDS_A_FACT.format(row=row), Boolean), false())


UNJUDGED = f"snapshot_gap IS NULL AND NOT coalesce({HOLDS_A_FACT}, FALSE)"
"""Whether nobody ever judged an open row: as another loader left it. Word for word the condition of an index."""

Index(
    "ix_session_summaries_unjudged",
    session_summaries.c.session_id,
    info={"only_on": "postgresql"},
    postgresql_where=text(UNJUDGED.format(row="")),
).ddl_if(dialect="postgresql")
INDEX_OF_UNJUDGED_ROWS = "ix_session_summaries_unjudged_rows"

Index(
    INDEX_OF_UNJUDGED_ROWS,
    session_summaries.c.snapshot_gap,  # NULL in every entry: they lie in the order of the rows, as a backfill goes
    info={"only_on": "sqlite"},
    sqlite_where=text(UNJUDGED.format(row="")),
).ddl_if(dialect="sqlite")


def states(fact: str) -> ColumnElement[bool]:
    """Return the condition that a session's column *fact* states something; never NULL."""
    return func.coalesce(literal_column(FACTS[fact].format(row="session_summaries."), Boolean), false())


event_lines = Table(
    "event_lines",
    metadata,
    Column("session_id", name(64), ForeignKey(session_summaries.c.session_id, ondelete="CASCADE"), primary_key=True),
    Column("part", BigInteger, primary_key=True, autoincrement=False),
    Column("run", String(36), nullable=False),
    Column("lines", Integer, nullable=False),
    Column("packed", LargeBinary, nullable=False),
)
"""Lines of the log, of sessions that were loaded with them: a row for what one batch read of one session."""

session_fingerprints = Table(
    "session_fingerprints",
    metadata,
    Column("session_id", name(64), ForeignKey(session_summaries.c.session_id, ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Fingerprints of long sessions that are not in `session_summaries.event_fingerprints`."""

snapshot_corrections = Table(
    "snapshot_corrections",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("session_id", name(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("run", String(36), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    *(
        # Another loader's type may be the text of a list.
        Column(f"{when}_{column}", Text if column == "snapshot_ip_type" else session_summaries.c[column].type)
        for when in ("old", "new")
        for column in SNAPSHOT_COLUMNS
    ),
    Column("digest", String(32)),  # of why and when; NULL in what an operator inserts by SQL
    CheckConstraint("length(reason) > 0", name="correction_has_a_reason"),
    CheckConstraint(
        "old_enrichment_at IS NOT NULL OR old_snapshot_asn IS NOT NULL OR old_snapshot_country IS NOT NULL"
        " OR old_snapshot_ip_type IS NOT NULL",
        name="correction_is_of_a_sealed_session",
    ),
    sqlite_autoincrement=True,
)
Index("ix_snapshot_corrections_session_id", snapshot_corrections.c.session_id, snapshot_corrections.c.id)

snapshot_prunings = Table(
    "snapshot_prunings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("before", OwnMoment, nullable=False),
    Column("run", String(36), nullable=False),
    Column("made_at", OwnMoment, nullable=False),
    Column("sessions", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("sealed_by_run", Text),  # a JSON object: how many sealed sessions of each run were deleted
    sqlite_autoincrement=True,
)

run_seals = Table(
    "run_seals",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("writer", BigInteger, primary_key=True, autoincrement=False),
    Column("sessions", BigInteger, nullable=False),
)
"""How many sessions each run sealed, by connection, because connections would wait for a common row."""

adoptions = Table(
    "adoptions",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("adopted_at", UtcDateTime, nullable=False),
    Column("version", String(16), nullable=False),
    Column("state_before", Text, nullable=False),
    CheckConstraint("id = 1", name="adopted_once"),
)
"""One row in a database that another loader made: what was there before, by which adopting it is undone."""

inventory_placeholders = Table(
    "inventory_placeholders",
    metadata,
    Column("ip_address", name(45), primary_key=True),
    Column("digest", String(32), nullable=False),
)
"""Rows without facts that we added to the inventory of an adopted database, for its foreign key."""

snapshot_put_backs = Table(
    "snapshot_put_backs",
    metadata,
    Column("session_id", name(64), primary_key=True),
    Column("times", BigInteger, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)
"""Sealed sessions of an adopted database that another loader tried to fill: the guard put them back."""

runs = Table(
    "runs",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("began_at", OwnMoment, nullable=False),
    Column("heard_at", OwnMoment, nullable=False),
    Column("ended_at", OwnMoment),
    Column("counts", Text),
    Column("settings", Text),
    Column("position", Text),
)

set_asides = Table(
    "set_asides",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("session_id", name(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("set_aside_at", UtcDateTime, nullable=False),
)
"""Sessions that a run could not judge or write, so that it went on without them."""

bookmarks = Table(
    "bookmarks",
    metadata,
    Column("head", String(32), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(32), primary_key=True),
    Column("source", Text, nullable=False),
    Column("run", String(36), nullable=False),
    Column("put_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("identity", String(32), primary_key=True),
    Column("source", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("run", String(36), nullable=False),
    Column("kept_at", OwnMoment, nullable=False),
)
