"""Copy a PostgreSQL database into a file with pg_dump, and read the file back with pg_restore."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from snapshots.adapters.sql.backup.postgresql_programs import find_program, running
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import versions
from snapshots.app.admin.backup import ByteProgress, CheckedCopy, Contents
from snapshots.app.errors import StoreUnavailable

TABLES = """
SELECT format('%%I.%%I', nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND relpersistence = 'p' AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%%'
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
    )
ORDER BY 1
"""
"""The tables whose rows pg_dump copies, named as it names them. Those of extensions are none of them."""

NOT_CHECKED = (
    "the seals of sessions, and indexes, triggers and functions: restore the file into an empty database and run"
    " `snapshots verify --full` on that"
)

_COPY = re.compile(rb"COPY (\S.*?)(?: \(.*\))? FROM stdin;\n")
_END = b"\\.\n"
_SECRET = re.compile("password|secret")


class PostgresqlCopies:
    """
    Copies a PostgreSQL database in pg_dump's custom format.

    Args:
        database: The database.
        lock_timeout: Seconds for which pg_dump waits for a lock on a table.
    """

    suffix = ".dump"

    def __init__(self, database: SqlDatabase, lock_timeout: float) -> None:
        self._database = database
        self._lock_timeout = lock_timeout

    @property
    def name(self) -> str:
        """Return the name of the database on the server."""
        with self._database.reading_any_version() as connection:
            return re.sub(r"[^\w.-]", "_", connection.exec_driver_sql("SELECT current_database()").scalar_one())

    def refuse(self, file: Path) -> None:
        """Do nothing: the files of a server are elsewhere."""

    def write(self, file: Path, on_progress: ByteProgress) -> Contents:
        """Count the rows in one state of the database, and let pg_dump copy the same state."""
        with self._database.reading_any_version() as connection:
            version = versions.version(connection)
            if version is None:
                raise StoreUnavailable(
                    f"the database {self._database} holds no sessions yet; there is nothing to back up"
                )
            driver: Any = connection.connection.driver_connection
            program = find_program("pg_dump", at_least=_major_version(driver))
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")  # it waits for pg_dump
            state = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            contents = Contents(version=version, rows=_rows(connection))
            arguments = [
                "--format=custom",
                "--no-password",
                "--no-unlogged-table-data",  # staged verdicts, which a backfill computes again
                f"--snapshot={state}",
                f"--lock-wait-timeout={max(1, round(self._lock_timeout * 1000))}",
                f"--file={file.absolute()}",
                f"--dbname={_connection_string(driver)}",
            ]
            password = driver.info.password
            with running(program, arguments, {"PGPASSWORD": password} if password else None) as output:
                output.read()  # until it ends
            on_progress(file.stat().st_size)
        return contents

    def check(self, file: Path, *, full: bool) -> CheckedCopy:  # noqa: ARG002 - a sample would not be faster
        """Read all rows of the file. It is compressed, so that most damage is an error of pg_restore."""
        with self._database.reading_any_version() as connection:
            program = find_program("pg_restore", at_least=_major_version(connection.connection.driver_connection))
            schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        with running(program, ["--data-only", "--file=-", str(file.absolute())]) as output:
            contents = contents_of(output, version_table=f"{schema}.{versions.versions.name}")
        return CheckedCopy(
            contents=contents,
            seals=None,
            checked=["that pg_restore can read every row", "the number of rows of each table"],
            not_checked=[NOT_CHECKED],
        )


def contents_of(script: Iterable[bytes], *, version_table: str) -> Contents:
    """
    Return the contents of a script of COPY commands, such as that of `pg_restore --data-only`.

    Args:
        script: Its lines.
        version_table: The table that holds the schema version.
    """
    rows: Counter[str] = Counter()
    version, table = "", None
    for line in script:
        if table is None:
            if found := _COPY.fullmatch(line):
                table = found[1].decode()
                rows[table] += 0
        elif line == _END:
            table = None
        else:
            rows[table] += 1
            if table == version_table:
                version = line.decode().strip()
    return Contents(version=version, rows=dict(rows))


def _rows(connection: Connection) -> dict[str, int]:
    tables = connection.exec_driver_sql(TABLES).scalars().all()
    return {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM ONLY {table.replace('%', '%%')}").scalar_one()  # noqa: S608 - quoted by the server
        for table in tables
    }


def _major_version(driver: Any) -> int:
    return int(driver.info.server_version) // 10_000


def _connection_string(driver: Any) -> str:
    """Return how the driver is connected, without secrets; of several hosts only the one that answered."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - only with PostgreSQL

    parameters = driver.info.get_parameters()
    if "," in parameters.get("host", ""):
        parameters |= {"host": driver.info.host, "port": str(driver.info.port)}
        parameters.pop("hostaddr", None)
    return make_conninfo(**{name: value for name, value in parameters.items() if not _SECRET.search(name)})
