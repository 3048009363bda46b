"""Copy a SQLite database into a file with SQLite's online backup API, and check the copy."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

from sqlalchemy import Connection

from snapshots.adapters.sql.connection.driver_errors import is_disk_full
from snapshots.adapters.sql.connection.reading_only import ReadingOnly
from snapshots.adapters.sql.connection.sqlite_file import identities_of, path_of
from snapshots.adapters.sql.connection.urls import database_url
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.inspection.integrity import Findings, inspect
from snapshots.adapters.sql.schema import versions
from snapshots.app.admin.backup import ByteProgress, CheckedCopy, Contents, SealCheck
from snapshots.app.errors import BackupFailed, SettingRefused, StoreUnavailable
from snapshots.domain.facts.network_types import NetworkTypes

PAGES = 2_560
"""Pages in a step: 10 MiB of the usual size, a fraction of a second in which Ctrl-C waits."""

CHECK_SECONDS = 1e6
"""Time limit of a query on the copy: in effect none."""

OWN_FILES = ("", "-wal", "-shm", "-journal", "-spans")
"""What is added to the name of a database for the files next to it."""

LOGS = ("-wal", "-journal")
"""Of these, what SQLite applies to a database when it opens it, whichever file that is."""


class SqliteCopies:
    """
    Copies a SQLite file.

    Args:
        database: The database.
        networks: Returns the types by network, with which snapshots are compared.
    """

    suffix = ".db"

    def __init__(self, database: SqlDatabase, networks: Callable[[], NetworkTypes]) -> None:
        self._database = database
        self._networks = networks

    @property
    def name(self) -> str:
        """Return the name of the file without its suffix."""
        return self._path.stem

    def refuse(self, file: Path) -> None:
        """Refuse the database, the files that SQLite has next to it, the name of one in use, and one in memory."""
        database_url(str(file.absolute()))  # the copy is opened by its name
        path, target = self._path, Path(os.path.realpath(file))  # resolve() raises an error for a loop of links
        own = {Path(os.path.realpath(f"{path}{ending}")) for ending in OWN_FILES}
        is_own = target in own
        with suppress(OSError):
            found = target.stat()
            is_own = is_own or (found.st_dev, found.st_ino) in identities_of(self._database.engine.url)
        if is_own:
            raise SettingRefused(f"{file} is a file of the database itself: name another file")
        for log in (Path(f"{target}{ending}") for ending in LOGS):
            if log.exists():
                raise SettingRefused(
                    f"{log} exists, and SQLite would apply it to the backup: name another file, or move it away"
                    " with its database"
                )

    def write(self, file: Path, on_progress: ByteProgress) -> Contents:
        """
        Copy one state of the database, read in one transaction.

        In WAL mode, which every write of this program sets, writers do not wait for it. A copy outside of a transaction
        would begin again after each commit of another process, and might never end.
        """
        with self._database.reading_any_version() as connection:
            contents = contents_of(connection, str(self._database))
            _copy(cast("sqlite3.Connection", connection.connection.driver_connection), file, on_progress)
        return contents

    def check(self, file: Path, *, full: bool) -> CheckedCopy:
        """Check the structure of the file; of a copy of this schema version, also a sample of the seals, or all."""
        copy = SqlDatabase(str(file.absolute()), reading_only=ReadingOnly(CHECK_SECONDS))
        try:
            with copy.reading_any_version() as connection:
                structure = _check_structure(connection, full=full)
                contents = contents_of(connection, str(copy))
                checked = [structure, "the number of rows of each table"]
                seals = None
                if contents.version == versions.newest():
                    seals, not_checked = self._check_seals(connection, full=full)
                    checked.append(f"the seals of {seals.sealed:,} of {seals.of:,} sealed sessions")
                else:
                    not_checked = [f"the seals of sessions: the tables have version {contents.version}"]
        except StoreUnavailable as exc:
            raise BackupFailed(f"the copy cannot be read: {exc}") from exc
        finally:
            copy.close()
        return CheckedCopy(contents=contents, seals=seals, checked=checked, not_checked=not_checked)

    def _check_seals(self, connection: Connection, *, full: bool) -> tuple[SealCheck, list[str]]:
        """Return the result of the checks of `verify` that only read, and what they could not check."""
        findings = Findings(1)
        found = inspect(connection, findings, self._networks(), full=full)
        violations = sum(findings.counts.values())
        if found is None:
            return SealCheck(sealed=0, of=0, violations=violations), ["the seals of sessions: columns are missing"]
        return SealCheck(sealed=found.sealed, of=found.of, violations=violations), list(found.not_checked)

    @property
    def _path(self) -> Path:
        path = path_of(self._database.engine.url)
        if path is None:
            raise SettingRefused("a database in memory cannot be backed up: name a file with --db")
        return path


def contents_of(connection: Connection, name: str) -> Contents:
    """
    Return the contents of a SQLite database.

    Raises:
        StoreUnavailable: It has no tables of this program.
    """
    version = versions.version(connection)
    if version is None:
        raise StoreUnavailable(f"the database {name} holds no sessions yet; there is nothing to back up")
    query = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
    tables = connection.exec_driver_sql(query).scalars().all()
    quote = connection.dialect.identifier_preparer.quote_identifier
    rows = {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {quote(table)}").scalar_one()  # noqa: S608 - stored names
        for table in tables
    }
    return Contents(version=version, rows=rows)


def _copy(source: sqlite3.Connection, file: Path, on_progress: ByteProgress) -> None:
    """Copy all pages; afterwards the file needs no other file next to it, which WAL mode would."""
    page_bytes = int(source.execute("PRAGMA page_size").fetchone()[0])

    def progress(_status: int, remaining: int, total: int) -> None:
        on_progress((total - remaining) * page_bytes)

    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as target:
            source.backup(target, pages=PAGES, progress=progress)
            (mode,) = target.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as exc:
        if is_disk_full(exc, file.parent):
            raise BackupFailed(f"the disk of {file.parent} is full: {exc}") from exc
        raise BackupFailed(f"the copy failed: {exc}") from exc
    if mode != "delete" or os.path.exists(f"{file}-wal"):  # noqa: PTH110 - the end belongs to the name
        raise BackupFailed(f"the copy is in journal mode {mode}, and not one file")


def _check_structure(connection: Connection, *, full: bool) -> str:
    """Return the check that SQLite passed, as a phrase."""
    pragma = "integrity_check" if full else "quick_check"
    problems = connection.exec_driver_sql(f"PRAGMA {pragma}(3)").scalars().all()
    if problems != ["ok"]:
        raise BackupFailed(f"the copy is damaged, as the database may be: {'; '.join(map(str, problems))}")
    return f"the structure of the file (SQLite's {pragma})"
