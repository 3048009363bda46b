"""Conditions for sealed session rows, and the columns that a seal protects."""

from collections.abc import Sequence

from sqlalchemy import Boolean, ColumnElement, false, func, literal_column

from snapshots.domain.facts.validation import PSEUDO_COUNTRIES

FOUND_COLUMNS = ("source_ip_run", "source_ip_was")
"""Columns that keep how the address of a session was found, for undo."""

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
"""Columns that never change in a sealed row, except by a correction."""

NO_COUNTRIES = ", ".join(f"'{code}'" for code in sorted(PSEUDO_COUNTRIES))

FACTS = {
    "snapshot_asn": "{row}snapshot_asn <> 0",
    "snapshot_country": f"upper({{row}}snapshot_country) NOT IN ({NO_COUNTRIES}, '')",
    "snapshot_ip_type": "{row}snapshot_ip_type NOT IN ('', 'null', '[]', '{{}}')",
}
"""Conditions that a column holds a fact: other loaders write pseudo codes, zeros and empty lists. {row} is a prefix."""

HOLDS_A_FACT = f"({' OR '.join(FACTS.values())})"
"""SQL condition that a row is sealed, by us or by another loader."""


def is_sealed(row: str = "session_summaries.") -> ColumnElement[bool]:
    """Return the condition that a session is sealed; never NULL."""
    return func.coalesce(literal_column(HOLDS_A_FACT.format(row=row), Boolean), false())


UNJUDGED = f"snapshot_gap IS NULL AND NOT coalesce({HOLDS_A_FACT}, FALSE)"
"""SQL condition that an open row was never judged, as another loader leaves it. An index has the same text."""


def states(fact: str) -> ColumnElement[bool]:
    """Return the condition that the column *fact* of a session holds a fact; never NULL."""
    return func.coalesce(literal_column(FACTS[fact].format(row="session_summaries."), Boolean), false())
