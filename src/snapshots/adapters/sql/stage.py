"""Temporary tables through which many rows reach a table in one statement."""

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
