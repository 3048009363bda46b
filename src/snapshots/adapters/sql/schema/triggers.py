"""
How the database itself refuses to change a sealed session.

The guard is a set of triggers, made anew after every migration. The only ways past it are two tables: a row
inserted into `snapshot_corrections` makes the change that it describes, once, and a row inserted into
`snapshot_prunings` deletes the sessions that ended before its date. The record itself (these two tables, runs and
what they sealed, observations and their sources) grows and is never deleted or replaced.

In an adopted database another loader goes on writing, column by column. Where it would fill what a sealed
row lacks, the guard puts the row back and counts that, so that its load goes on; where it would change a
fact, the guard refuses as everywhere.

A change of any definition needs a new version of the tables: `verify` compares what a database has with them.
"""

from collections.abc import Sequence
from types import ModuleType

from sqlalchemy import Connection, select

from snapshots.adapters.sql.schema import triggers_postgresql, triggers_sqlite
from snapshots.adapters.sql.schema.tables import adoptions

OWN = frozenset({"snapshot_door", "snapshot_probe", "txid"})
"""Tables and columns that only the guard uses, on one of the databases; no migration knows them."""


def install(connection: Connection) -> None:
    """Make the triggers, in the caller's transaction."""
    remove(connection)
    _of(connection).install(connection, is_adopted=_is_adopted(connection))


def remove(connection: Connection) -> None:
    """Drop the triggers and what only they use, in the caller's transaction."""
    _of(connection).remove(connection)


def differences(connection: Connection) -> Sequence[str]:
    """Return what of the guard is missing, switched off or not what `install` makes; nothing is written."""
    return list(_of(connection).differences(connection, is_adopted=_is_adopted(connection)))


def _of(connection: Connection) -> ModuleType:
    return triggers_postgresql if connection.dialect.name == "postgresql" else triggers_sqlite


def _is_adopted(connection: Connection) -> bool:
    return connection.execute(select(adoptions.c.id)).scalar() is not None
