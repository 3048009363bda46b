"""Which rows of sessions are sealed, and by which columns."""

from collections.abc import Sequence

from sqlalchemy import Boolean, ColumnElement, false, func, literal_column

from snapshots.domain.facts.validation import PSEUDO_COUNTRIES

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


def states(fact: str) -> ColumnElement[bool]:
    """Return the condition that a session's column *fact* states something; never NULL."""
    return func.coalesce(literal_column(FACTS[fact].format(row="session_summaries."), Boolean), false())
