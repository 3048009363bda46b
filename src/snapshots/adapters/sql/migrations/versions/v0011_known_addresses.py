"""Store address data in tables that no other loader uses."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

RENAMED = {"ip_inventory": "known_addresses", "asn_inventory": "known_networks"}
COLUMNS = {
    "ip_inventory": (
        "ip_address, current_asn, current_country, current_ip_type, first_seen, last_seen, session_count,"
        " looked_up_until, learned_at, newest_at, created_at, updated_at"
    ),
    "asn_inventory": (
        "asn_number, organization_name, first_seen, last_seen, unique_ip_count, total_session_count, created_at,"
        " updated_at"
    ),
}


def name(length: int) -> "sa.types.TypeEngine[str]":
    return sa.String(length=length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def moment() -> "sa.DateTime":
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "inventory_placeholders",
        sa.Column("ip_address", name(45), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("ip_address"),
    )
    adopted = op.get_bind().execute(sa.text("SELECT state_before, adopted_at FROM adoptions")).first()
    before: dict[str, list[str]] = json.loads(adopted[0])["columns"] if adopted is not None else {}
    op.drop_index("ix_ip_inventory_learned_at", table_name="ip_inventory", if_exists=True)
    if adopted is not None and "ip_inventory" in before:
        _take_out(before, adopted[1])
        return
    for old, new in RENAMED.items():
        op.rename_table(old, new)


def _take_out(before: dict[str, list[str]], adopted_at: Any) -> None:
    """
    Move our data out of the inventory of another loader, and restore its previous values where they can be derived.

    Overwritten first_seen, last_seen, session_count and network names cannot be restored.
    """
    _make_tables()
    bind = op.get_bind()
    for old, new in RENAMED.items():
        # Rows of the other loader alone are copied by the next refresh.
        which = "WHERE looked_up_until > 0 OR learned_at IS NOT NULL" if old == "ip_inventory" else ""
        op.execute(f"INSERT INTO {new} ({COLUMNS[old]}) SELECT {COLUMNS[old]} FROM {old} {which}")  # noqa: S608 - constants
    _point_observations_to("known_addresses")
    _put_back_networks_of_addresses(bind)
    is_ours = (
        "created_at >= :adopted_at AND enrichment_updated_at IS NULL AND CAST(enrichment AS TEXT) = '{}'"
        " AND (looked_up_until > 0 OR learned_at IS NOT NULL)"
    )
    is_unused = ""
    if bind.dialect.name == "postgresql":
        is_unused = " AND NOT EXISTS (SELECT FROM session_summaries s WHERE s.source_ip = ip_inventory.ip_address)"
    at = {"adopted_at": adopted_at}
    bind.execute(sa.text(f"DELETE FROM ip_inventory WHERE {is_ours}{is_unused}"), at)  # noqa: S608 - constants
    kept: list[str] = []
    if bind.dialect.name == "postgresql":
        emptied = f"UPDATE ip_inventory SET current_asn = NULL, session_count = 0 WHERE {is_ours} RETURNING ip_address"  # noqa: S608 - constants
        kept = list(bind.execute(sa.text(emptied), at).scalars())
    for table in RENAMED:
        there = {column["name"] for column in sa.inspect(bind).get_columns(table)}
        added = [column for column in COLUMNS[table].split(", ") if column in there - set(before.get(table, there))]
        for column in added:
            op.drop_column(table, column)
    if kept:
        bind.execute(
            sa.text(
                "INSERT INTO inventory_placeholders (ip_address, digest)"
                " SELECT ip_address, md5(record_send(ip_inventory)) FROM ip_inventory WHERE ip_address = :address"
            ),
            [{"address": address} for address in kept],
        )
    op.execute(_networks_that_nothing_needs(bind, adopted_at))


def _put_back_networks_of_addresses(bind: sa.Connection) -> None:
    """Restore current_asn from the other loader's document where we overwrote it."""
    query = "SELECT ip_address, CAST(enrichment AS TEXT), current_asn FROM ip_inventory WHERE newest_at IS NOT NULL"
    listed = set(bind.execute(sa.text("SELECT asn_number FROM asn_inventory")).scalars())
    changed = [
        {"address": address, "asn": asn}
        for address, document, current in bind.execute(sa.text(query)).all()
        if (asn := _asn_in(document, listed)) != current
    ]
    if changed:
        bind.execute(sa.text("UPDATE ip_inventory SET current_asn = :asn WHERE ip_address = :address"), changed)


def _asn_in(document: str, listed: set[int]) -> int | None:
    """Return the AS number that its enrichment copies from a document: of MaxMind, else of Cymru."""
    try:
        content = json.loads(document)
    except ValueError:
        return None
    for source in ("maxmind", "cymru"):
        found = content.get(source) if isinstance(content, dict) else None
        asn = found.get("asn") if isinstance(found, dict) else None
        if isinstance(asn, int | str) and str(asn).isdecimal() and int(asn) in listed:
            return int(asn)
    return None


def _networks_that_nothing_needs(bind: sa.Connection, adopted_at: Any) -> "sa.TextClause":
    """Return the statement that deletes networks that were added since the adoption and have only a name."""
    there = {column["name"] for column in sa.inspect(bind).get_columns("asn_inventory")}
    empty = [column for column in ("organization_country", "registry", "rir_registry", "asn_type") if column in there]
    conditions = ["created_at >= :adopted_at", *(f"{column} IS NULL" for column in empty)]
    if "enrichment" in there:
        conditions.append("CAST(enrichment AS TEXT) = '{}'")
    conditions.append("asn_number NOT IN (SELECT current_asn FROM ip_inventory WHERE current_asn IS NOT NULL)")
    statement = sa.text(f"DELETE FROM asn_inventory WHERE {' AND '.join(conditions)}")  # noqa: S608 - constants
    return statement.bindparams(adopted_at=adopted_at)


def _make_tables() -> None:
    op.create_table(
        "known_addresses",
        sa.Column("ip_address", name(45), nullable=False),
        sa.Column("current_asn", sa.BigInteger(), nullable=True),
        sa.Column("current_country", sa.String(length=2), nullable=True),
        sa.Column("current_ip_type", sa.String(length=16), nullable=True),
        sa.Column("enrichment_updated_at", moment(), nullable=True),
        sa.Column("first_seen", moment(), nullable=False),
        sa.Column("last_seen", moment(), nullable=False),
        sa.Column("session_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("looked_up_until", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("learned_at", moment(), nullable=True),
        sa.Column("newest_at", moment(), nullable=True),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.CheckConstraint("session_count >= 0", name="session_count_is_no_debt"),
        sa.PrimaryKeyConstraint("ip_address"),
    )
    op.create_table(
        "known_networks",
        sa.Column("asn_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_name", sa.Text(), nullable=True),
        sa.Column("first_seen", moment(), nullable=True),
        sa.Column("last_seen", moment(), nullable=True),
        sa.Column("unique_ip_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("total_session_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("asn_number"),
    )


def _point_observations_to(table: str) -> None:
    """Point the foreign key of observations to another table."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("ip_observations_ip_address_fkey", "ip_observations", type_="foreignkey")
        op.create_foreign_key(
            "ip_observations_ip_address_fkey", "ip_observations", table, ["ip_address"], ["ip_address"]
        )
        return
    made = op.get_bind().execute(sa.text("SELECT sql FROM sqlite_master WHERE name = 'ip_observations'")).scalar_one()
    op.execute("ALTER TABLE ip_observations RENAME TO ip_observations_before")
    op.get_bind().exec_driver_sql(str(made).replace("ip_inventory", table))
    op.execute("INSERT INTO ip_observations SELECT * FROM ip_observations_before")
    op.drop_table("ip_observations_before")


def downgrade() -> None:
    op.drop_index("ix_known_addresses_learned_at", table_name="known_addresses", if_exists=True)
    for old, new in RENAMED.items():
        op.rename_table(new, old)
    op.drop_table("inventory_placeholders")
