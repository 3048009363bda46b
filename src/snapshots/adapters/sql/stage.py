"""
Temporary tables through which many rows reach a table in one statement.

A key by which a statement seeks rows of a table is a plain String: PostgreSQL compares it then by the collation of
the table, of ours ("C") or of another loader's, and uses its index; for a key in "C" it would read all of theirs.
"""

from sqlalchemy import Column, MetaData, Table

stages = MetaData()


def stage_of(table: Table) -> Table:
    """Return the definition of a temporary table with the same columns, without keys and constraints."""
    return Table(
        f"stage_{table.name}",
        stages,
        *(Column(column.name, column.type) for column in table.columns),
        prefixes=["TEMPORARY"],
    )
