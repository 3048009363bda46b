"""Detect how the tables of an adopted database differ from our definitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    func,
    select,
)
from sqlalchemy import inspect as inspected
from sqlalchemy.types import TypeEngine

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.schema.tables import adoptions, session_summaries
from snapshots.domain.facts.validation import LARGEST_ASN

LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignInventory:
    """
    Another loader's tables of addresses and networks, which are only read.

    Attributes:
        addresses: Its table of addresses, with the columns that we read and those required in a new row.
        networks: Its table of networks and their names; None if there is none.
        is_referenced: Whether a foreign key of the sessions references *addresses*.
    """

    addresses: Table
    networks: Table | None
    is_referenced: bool


@dataclass(frozen=True, slots=True)
class SchemaFeatures:
    """
    How the tables of one database differ from our definitions.

    Attributes:
        tables: Tables with additional columns that require a value, by name.
        largest_asn: The largest AS number that the sessions table can store.
        others: The inventory of another loader; None if there is none.
        has_session_documents: Whether sessions have a column with the other loader's enrichment.
        raw_events: The table of raw events, with the columns that we read; None if there is none.
    """

    tables: Mapping[str, Table] = field(default_factory=lambda: MappingProxyType({}))
    largest_asn: int = LARGEST_ASN
    others: ForeignInventory | None = None
    has_session_documents: bool = False
    raw_events: Table | None = None

    def into(self, table: Table) -> Table:
        """Return the table to insert rows into: *table*, or one with defaults for additional required columns."""
        return self.tables.get(table.name, table)


OURS = SchemaFeatures()


def features_of(connection: Connection) -> SchemaFeatures:
    """Inspect the tables of an adopted database; return OURS for a database of our own."""
    if connection.execute(select(adoptions.c.id)).scalar() is None:
        return OURS
    found = inspected(connection).get_columns(session_summaries.name)
    narrow = connection.dialect.name == "postgresql" and is_narrow(found, "snapshot_asn")
    return SchemaFeatures(
        tables={session_summaries.name: _wider(found)},
        largest_asn=LARGEST_INTEGER if narrow else LARGEST_ASN,
        others=foreign_inventory_of(connection),
        has_session_documents=any(column["name"] == "enrichment" for column in found),
        raw_events=_raw_events(connection),
    )


def _wider(found: Sequence[Any]) -> Table:
    """Return the sessions table with every column that requires a value in a new row."""
    filled = {c["name"]: c["type"] for c in found if requires_value(c)}
    ours = {column.name: column for column in session_summaries.columns}
    # Columns with a default in our tables get a value too: another loader's table may have no default.
    left = [name for name in filled if name not in ours or ours[name].server_default is not None]
    kinds = {name: column.type for name, column in ours.items()} | {name: filled[name] for name in left}
    return Table(
        session_summaries.name,
        MetaData(),
        *(
            Column(name, kind, default=empty_value(kind))
            if name in left
            else Column(name, kind, primary_key=ours[name].primary_key)
            for name, kind in kinds.items()
        ),
    )


READ_OF_ADDRESSES: Mapping[str, TypeEngine[Any]] = {
    "ip_address": String(45),
    "first_seen": UtcDateTime(),
    "last_seen": UtcDateTime(),
    "enrichment_updated_at": UtcDateTime(),
    "created_at": UtcDateTime(),
}


def foreign_inventory_of(connection: Connection) -> ForeignInventory | None:
    """Reflect another loader's tables of addresses and networks in a database that is or will be adopted."""
    inspector = inspected(connection)
    if not inspector.has_table("ip_inventory"):
        return None
    found = {column["name"]: column for column in inspector.get_columns("ip_inventory")}
    if not {*READ_OF_ADDRESSES, "enrichment"} <= set(found):
        return None
    given = [name for name, column in found.items() if requires_value(column) and name not in READ_OF_ADDRESSES]
    addresses = Table(
        "ip_inventory",
        MetaData(),
        *(Column(name, kind) for name, kind in READ_OF_ADDRESSES.items()),
        *(
            Column(name, found[name]["type"])
            for name in dict.fromkeys(("enrichment", "session_count", *given))
            if name in found
        ),
    )
    networks = None
    if inspector.has_table("asn_inventory"):
        networks = Table(
            "asn_inventory", MetaData(), Column("asn_number", BigInteger), Column("organization_name", Text)
        )
    is_referenced = connection.dialect.name == "postgresql" and any(
        key["referred_table"] == addresses.name and key["constrained_columns"] == ["source_ip"]
        for key in inspector.get_foreign_keys(session_summaries.name)
    )
    return ForeignInventory(addresses=addresses, networks=networks, is_referenced=is_referenced)


def _raw_events(connection: Connection) -> Table | None:
    """Return the table of raw events, if it has the columns to read the events of a session."""
    inspector = inspected(connection)
    if not inspector.has_table("raw_events"):
        return None
    columns = {column["name"] for column in inspector.get_columns("raw_events")}
    if not {"session_id", "payload"} <= columns:
        return None
    read = [Column(name, String) for name in ("session_id", "payload", "event_type") if name in columns]
    return Table("raw_events", MetaData(), *read)


def is_narrow(columns: Any, name: str) -> bool:
    """Whether a reflected column has 32 bits: PostgreSQL names it INTEGER then."""
    return any(column["name"] == name and str(column["type"]).upper() == "INTEGER" for column in columns)


def requires_value(column: Any) -> bool:
    """Whether a reflected column requires a value in each new row."""
    fills_itself = column["default"] is not None or column.get("computed") or column.get("identity")
    return not column["nullable"] and not fills_itself


def empty_value(kind: TypeEngine[Any]) -> object:
    """Return an empty value of a type; None for an unknown type."""
    for known, value in (
        (JSON, {}),
        (Boolean, False),
        (Integer | Numeric, 0),
        (Date | DateTime, func.now()),
        (String, ""),
    ):
        if isinstance(kind, known):
            return value
    return None
