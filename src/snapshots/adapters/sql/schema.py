"""Which version of the tables a database has, and how it gets another."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from snapshots.adapters.sql import guard, indexes
from snapshots.adapters.sql.tables import adoptions

MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """Return the version that this program works with."""
    return str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


def version(connection: Connection) -> str | None:
    """Return the version of the tables; None if there are none of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, to: str = "head") -> None:
    """
    Bring the tables to a version, within the caller's transaction; their rows stay, and are guarded again.

    New tables get their indexes; on others `indexes.build` makes what is missing, beside writers.
    """
    is_new = version(connection) is None
    guard.remove(connection)
    command.upgrade(_config(connection), to)
    if version(connection) == newest():
        guard.install(connection)
        if is_new:
            indexes.build_now(connection)


def downgrade(connection: Connection, to: str) -> None:
    """Take the tables back to an older version, "base" for none; what only the newer one holds is lost."""
    guard.remove(connection)
    command.downgrade(_config(connection), to)


def is_adopted(connection: Connection) -> bool:
    """Whether another loader made the tables."""
    known = inspect(connection).has_table(adoptions.name)
    return known and connection.execute(select(adoptions.c.id)).first() is not None


def stamp(connection: Connection) -> None:
    """Say that the tables have the newest version, because they were made otherwise; and guard them."""
    command.stamp(_config(connection), "head")
    guard.install(connection)


def forget(connection: Connection) -> None:
    """Take away the guard, and what says that there is a version."""
    guard.remove(connection)
    command.stamp(_config(connection), "base")
    connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
