"""What a database has that our definitions do not say, because another loader made its tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    JSON,
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
    func,
    select,
)
from sqlalchemy import inspect as inspected
from sqlalchemy.types import TypeEngine

from snapshots.adapters.sql.tables import adoptions, asn_inventory, ip_inventory, session_summaries
from snapshots.domain.snapshot import LARGEST_ASN

LARGEST_INTEGER = 2**31 - 1
ASN_COLUMNS = ((session_summaries, "snapshot_asn"), (ip_inventory, "current_asn"), (asn_inventory, "asn_number"))


@dataclass(frozen=True, slots=True)
class Shape:
    """
    How rows are inserted into the tables of one database.

    Attributes:
        tables: Tables with columns beside ours that must be given a value, by name.
        narrow: Tables whose column of AS numbers has 32 bits, with a sign.
        has_documents: Whether addresses have a document of another loader's enrichment.
        has_session_documents: Whether sessions have one.
        raw_events: The table of raw events, with those of its columns that are read; None if there is none.
    """

    tables: Mapping[str, Table] = field(default_factory=lambda: MappingProxyType({}))
    narrow: frozenset[str] = frozenset()
    has_documents: bool = False
    has_session_documents: bool = False
    raw_events: Table | None = None

    def into(self, table: Table) -> Table:
        """Return what to insert rows of *table* into: itself, or a wider one that fills what it must."""
        return self.tables.get(table.name, table)

    def largest_asn(self, table: Table) -> int:
        """Return the largest AS number that a table's column holds."""
        return LARGEST_INTEGER if table.name in self.narrow else LARGEST_ASN


OURS = Shape()


def shape_of(connection: Connection) -> Shape:
    """Look at the tables of an adopted database; those of our own have no surprises."""
    if connection.execute(select(adoptions.c.id)).scalar() is None:
        return OURS
    inspector = inspected(connection)
    found = {table.name: inspector.get_columns(table.name) for table, _ in ASN_COLUMNS}
    wider = {}
    for table, _ in ASN_COLUMNS:
        filled = {c["name"]: c["type"] for c in found[table.name] if must_be_given(c)}
        ours = {column.name: column for column in table.columns}
        # A column that ours leaves to the database is given a value too: another loader's table may have no default.
        left = [name for name in filled if name not in ours or ours[name].server_default is not None]
        kinds = {name: column.type for name, column in ours.items()} | {name: filled[name] for name in left}
        wider[table.name] = Table(
            table.name,
            MetaData(),
            *(
                Column(name, kind, default=nothing(kind))
                if name in left
                else Column(name, kind, primary_key=ours[name].primary_key)
                for name, kind in kinds.items()
            ),
        )
    narrow = {
        table.name
        for table, name in ASN_COLUMNS
        if connection.dialect.name == "postgresql" and is_narrow(found[table.name], name)
    }
    has_documents, has_session_documents = (
        any(column["name"] == "enrichment" for column in found[table.name])
        for table in (ip_inventory, session_summaries)
    )
    return Shape(wider, frozenset(narrow), has_documents, has_session_documents, _raw_events(connection))


def _raw_events(connection: Connection) -> Table | None:
    """Return the table of raw events, if it can be asked for the events of a session."""
    inspector = inspected(connection)
    if not inspector.has_table("raw_events"):
        return None
    columns = {column["name"] for column in inspector.get_columns("raw_events")}
    if not {"session_id", "payload"} <= columns:
        return None
    read = [Column(name, String) for name in ("session_id", "payload", "event_type") if name in columns]
    return Table("raw_events", MetaData(), *read)


def is_narrow(columns: Any, name: str) -> bool:
    """Whether a reflected column of AS numbers has 32 bits: only then is it called INTEGER on PostgreSQL."""
    return any(column["name"] == name and str(column["type"]).upper() == "INTEGER" for column in columns)


def must_be_given(column: Any) -> bool:
    """Whether a reflected column takes no row without a value for it."""
    fills_itself = column["default"] is not None or column.get("computed") or column.get("identity")
    return not column["nullable"] and not fills_itself


def nothing(kind: TypeEngine[Any]) -> object:
    """Return the value of a type that says nothing; None for a type of which none is known."""
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
