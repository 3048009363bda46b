"""
Install the triggers that refuse changes of sealed sessions, called the guard.

The triggers are recreated after every migration. Two tables allow changes: a row inserted into
`snapshot_corrections` makes the change that it describes, once, and a row inserted into `snapshot_prunings` deletes
the sessions that ended before its date. The audit tables (these two, runs and their seal counts, observations and
their sources) are append-only.

In an adopted database another loader continues to write. If it fills NULLs of a sealed row, the trigger restores and
counts the row, so that its load continues; if it changes a fact, the trigger refuses the statement.

A change of any definition needs a new migration: `verify` compares the triggers of a database with them.
"""

from collections.abc import Sequence
from types import ModuleType

from sqlalchemy import Connection, select

from snapshots.adapters.sql.schema import triggers_postgresql, triggers_sqlite
from snapshots.adapters.sql.schema.tables import adoptions

OWN = frozenset({"snapshot_door", "snapshot_probe", "txid"})
"""Tables and columns that only the triggers use, on one of the databases; migrations do not create them."""


def install(connection: Connection) -> None:
    """Create the triggers, in the caller's transaction."""
    remove(connection)
    _of(connection).install(connection, is_adopted=_is_adopted(connection))


def remove(connection: Connection) -> None:
    """Drop the triggers and their tables, in the caller's transaction."""
    _of(connection).remove(connection)


def differences(connection: Connection) -> Sequence[str]:
    """Return the triggers and functions that are missing, disabled or differ from `install`; writes nothing."""
    return list(_of(connection).differences(connection, is_adopted=_is_adopted(connection)))


def _of(connection: Connection) -> ModuleType:
    return triggers_postgresql if connection.dialect.name == "postgresql" else triggers_sqlite


def _is_adopted(connection: Connection) -> bool:
    return connection.execute(select(adoptions.c.id)).scalar() is not None
