"""What a database has that our definitions do not say, because another loader made its tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, DateTime, Integer, MetaData, Numeric, Table, func, select
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
    """

    tables: Mapping[str, Table] = field(default_factory=lambda: MappingProxyType({}))
    narrow: frozenset[str] = frozenset()

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
        filled = {c["name"]: c["type"] for c in found[table.name] if _must_be_given(c)}
        ours = {column.name: column for column in table.columns}
        # A column that ours leaves to the database is given a value too: another loader's table may have no default.
        left = [name for name in filled if name not in ours or ours[name].server_default is not None]
        kinds = {name: column.type for name, column in ours.items()} | {name: filled[name] for name in left}
        wider[table.name] = Table(
            table.name,
            MetaData(),
            *(
                Column(name, kind, default=_nothing(kind))
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
    return Shape(wider, frozenset(narrow))


def is_narrow(columns: Any, name: str) -> bool:
    """Whether a reflected column of AS numbers has 32 bits: only then is it called INTEGER on PostgreSQL."""
    return any(column["name"] == name and str(column["type"]).upper() == "INTEGER" for column in columns)


def _must_be_given(column: Any) -> bool:
    return not column["nullable"] and column["default"] is None and not column.get("computed")


def _nothing(kind: TypeEngine[Any]) -> object:
    """Return the value of a type that says nothing."""
    if isinstance(kind, JSON):
        return {}
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Integer | Numeric):
        return 0
    return func.now() if isinstance(kind, DateTime) else ""
