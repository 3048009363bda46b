"""Check that the tables have the columns and constraints that the program relies on."""

import re
from collections.abc import Iterator

from sqlalchemy import CheckConstraint, Connection, Table, inspect, select, text

from snapshots.adapters.sql.schema.tables import adoptions, metadata, session_summaries


def missing_columns(connection: Connection) -> Iterator[str]:
    """Yield the tables that are missing or replaced by views, and the missing columns."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in there:
            yield f"the table {table.name} is missing"
            continue
        found = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in found:
                yield f"the column {column.name} of {table.name} is missing"


def missing_constraints(connection: Connection) -> Iterator[str]:
    """Yield the CHECK constraints that are missing or changed; an adopted sessions table has none."""
    is_adopted = connection.execute(select(adoptions.c.id)).scalar() is not None
    for table in metadata.sorted_tables:
        if is_adopted and table is session_summaries:
            continue
        checks = _checks_of(connection, table)
        for constraint in sorted(_expected(table), key=lambda constraint: str(constraint.name)):
            if _plain(f"constraint {constraint.name} check ({constraint.sqltext})") + "," not in checks:
                yield f"the constraint {constraint.name} of {table.name} is missing or differs"


def _expected(table: Table) -> list[CheckConstraint]:
    return [constraint for constraint in table.constraints if isinstance(constraint, CheckConstraint)]


def _checks_of(connection: Connection, table: Table) -> str:
    """Return the constraints of a table as one normalized text."""
    if connection.dialect.name == "postgresql":
        query = (
            "SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = to_regclass(:name) AND contype = 'c'"
        )
        return "".join(_plain(each) + "," for each in connection.execute(text(query), {"name": table.name}).scalars())
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"
    return _plain(connection.execute(text(query), {"name": table.name}).scalar_one()) + ","


def _plain(definition: str) -> str:
    form = re.sub(r"::\w+(?: varying)?(?:\(\d+\))?(?:\[\])?", "", definition.lower())
    return re.sub(r"[\s()\"]", "", form)
