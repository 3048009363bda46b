"""
Read and migrate the version of the tables.

Alembic is imported inside functions: its import takes 0.1 s and 7 MB, and few commands need it.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from snapshots.adapters.sql.schema import indexes, triggers, views
from snapshots.adapters.sql.schema.spans_table import create_spans_table
from snapshots.adapters.sql.schema.tables import adoptions, metadata, session_summaries
from snapshots.app.admin.migration import Migration
from snapshots.app.errors import StoreUnavailable, TablesOutdated

MIGRATIONS = Path(__file__).parent.parent / "migrations"

versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's table, with one row."""

_VERSION = re.compile("[0-9]{4}")
"""A version of this program; those that Alembic chooses itself have twelve digits."""


@cache
def newest() -> str:
    """Return the version of this program."""
    return max(known())


@cache
def known() -> frozenset[str]:
    """Return every version."""
    return frozenset(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v*.py"))


def version(connection: Connection) -> str | None:
    """Return the version of the tables; None if the database has none."""
    is_there = inspect(connection).has_table(versions.name)
    return connection.execute(select(versions.c.version_num)).scalar() if is_there else None


def upgrade(connection: Connection, to: str = "head") -> None:
    """
    Migrate the tables to a version, in the caller's transaction, and recreate the triggers and views.

    New tables get their indexes; for existing ones the caller runs `indexes.build` after the transaction.

    Raises:
        LookupError: There is no such version.
    """
    is_new = version(connection) is None
    _remove_derived(connection)
    if is_new and to in {"head", newest()} and not inspect(connection).has_table(session_summaries.name):
        _create(connection)
    else:
        _do("upgrade", connection, to)
    if version(connection) == newest():
        _install_derived(connection)
        if is_new:
            indexes.build_now(connection)


def _create(connection: Connection) -> None:
    """Create all tables of the newest version at once: every command that makes a database would wait for the steps."""
    metadata.create_all(connection)
    create_spans_table(connection)
    versions.create(connection, checkfirst=True)
    connection.execute(versions.insert().values(version_num=newest()))


def downgrade(connection: Connection, to: str) -> None:
    """
    Migrate the tables down to an older version, "base" for none; data that only newer versions store are lost.

    Raises:
        LookupError: There is no such version.
    """
    _remove_derived(connection)
    _do("downgrade", connection, to)


def is_adopted(connection: Connection) -> bool:
    """Whether another loader made the tables."""
    known = inspect(connection).has_table(adoptions.name)
    return known and connection.execute(select(adoptions.c.id)).first() is not None


def stamp(connection: Connection) -> None:
    """Record the newest version for tables that were created without migrations, and create triggers and views."""
    _remove_derived(connection)
    _do("stamp", connection, "head")
    _install_derived(connection)


def forget(connection: Connection) -> None:
    """Drop the triggers, the views and the version table."""
    _remove_derived(connection)
    versions.drop(connection, checkfirst=True)


def _install_derived(connection: Connection) -> None:
    triggers.install(connection)
    if not is_adopted(connection):
        views.install(connection)


def _remove_derived(connection: Connection) -> None:
    triggers.remove(connection)
    if (version(connection) or "") >= views.FIRST_VERSION and not is_adopted(connection):
        views.remove(connection)


def _do(step: Literal["upgrade", "downgrade", "stamp"], connection: Connection, to: str) -> None:
    from alembic import command  # noqa: PLC0415 - alembic takes a tenth of a second, and few commands need it
    from alembic.config import Config  # noqa: PLC0415 - alembic takes a tenth of a second, and few commands need it
    from alembic.util import CommandError  # noqa: PLC0415 - alembic takes a tenth of a second, and few commands need it

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        {"upgrade": command.upgrade, "downgrade": command.downgrade, "stamp": command.stamp}[step](config, to)
    except CommandError as exc:
        raise LookupError(str(exc)) from exc


def steps_after(found: str) -> Sequence[Migration]:
    """Return the steps from a version to that of this program, in order."""
    if found == newest():
        return ()
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - alembic takes a tenth of a second

    scripts = reversed([*ScriptDirectory(str(MIGRATIONS)).walk_revisions()])
    return [Migration(script.revision, script.doc) for script in scripts if script.revision > found]


def refuse_other_versions(connection: Connection, name: str) -> None:
    """
    Refuse tables of another version, and a database without tables.

    Raises:
        TablesOutdated: The version is older; the message contains the database and the command to run.
        StoreUnavailable: The version is newer or another program's, or there are no tables; the message contains what
            to do.
    """
    _refuse_other(version(connection), name)


def refuse_changed_version(connection: Connection, name: str) -> None:
    """
    Refuse tables that another process upgraded or downgraded since they were prepared, with one statement.

    Raises:
        TablesOutdated: As for `refuse_other_versions`.
        StoreUnavailable: As for `refuse_other_versions`.
    """
    _refuse_other(connection.execute(select(versions.c.version_num)).scalar(), name)


def _refuse_other(found: str | None, name: str) -> None:
    if found is None:
        raise StoreUnavailable(
            f"the database {name} holds no sessions yet; `snapshots load` or `migrate` makes its tables"
        )
    _refuse_newer(found, name)
    if found != newest():
        raise TablesOutdated(
            f"the tables of {name} have version {found}, this program works with {newest()}: run `snapshots migrate`"
        )


def refuse_newer(connection: Connection, name: str) -> None:
    """
    Refuse tables that a newer program made or upgraded, and those of another program that uses Alembic.

    Raises:
        StoreUnavailable: The message contains the version and what to do.
    """
    found = version(connection)
    if found is not None:
        _refuse_newer(found, name)


def _refuse_newer(found: str, name: str) -> None:
    if not _VERSION.fullmatch(found):
        raise StoreUnavailable(
            f"the tables of {name} have version {found}, which another program made: name another database"
        )
    if found > newest():
        raise StoreUnavailable(
            f"the tables of {name} have version {found}, and this program works with {newest()}: a newer version of"
            " snapshots upgraded them. Install that version, or restore a backup from before the upgrade"
        )
