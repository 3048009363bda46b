"""Add the date of each newest fact of an address, to separate current facts from older ones."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FACTS = ("current_asn", "current_country", "current_ip_type")
OWN = """
    SELECT max(o.confirmed_until) FROM ip_observations o
    WHERE o.ip_address = known_addresses.ip_address AND NOT EXISTS (
        SELECT 1 FROM fact_sources r
        WHERE r.source = o.source AND r.built_at = o.observed_at AND r.retracted_at IS NOT NULL)
"""
ABLE = "o.source IN (SELECT f.source FROM ip_observations f WHERE f.ip_address = known_addresses.ip_address AND"


def upgrade() -> None:
    """Add the columns, and fill them from the observations."""
    for fact in FACTS:
        op.add_column("known_addresses", sa.Column(f"{fact}_at", sa.DateTime(timezone=True)))
    _date("current_asn", stated="o.asn = current_asn", able="f.asn IS NOT NULL")
    _date("current_country", stated="o.country = current_country", able="f.country IS NOT NULL")
    stated_type = "' ' || o.ip_types || ' ' LIKE '% ' || current_ip_type || ' %'"
    _date("current_ip_type", stated=stated_type, able="f.ip_types <> ''")


def _date(fact: str, *, stated: str, able: str) -> None:
    """
    Set the date of the newest value of a fact.

    Args:
        fact: Its column.
        stated: The condition that an observation `o` states it.
        able: The condition that an observation `f` proves that its source can state it.
    """
    known = f"({OWN} AND {stated})"
    not_known = f"coalesce(({OWN} AND {ABLE} {able})), newest_at)"
    answer = f"CASE WHEN {fact} IS NOT NULL THEN {known} ELSE {not_known} END"
    op.execute(f"UPDATE known_addresses SET {fact}_at = {answer} WHERE newest_at IS NOT NULL")  # noqa: S608 - ours


def downgrade() -> None:
    """Drop the columns."""
    for fact in FACTS:
        op.drop_column("known_addresses", f"{fact}_at")
