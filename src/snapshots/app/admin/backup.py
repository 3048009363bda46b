"""Back up a database into a file, check the copy, and name the backups of a folder."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from snapshots.app.errors import BackupFailed

ByteProgress = Callable[[int], None]
"""Receives the number of bytes that were copied so far; must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """
    The contents of a database, or of a copy of it.

    Attributes:
        version: Schema version of the tables.
        rows: Number of rows by table, without tables whose rows a backup leaves out.
    """

    version: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCheck:
    """
    Result of comparing sealed sessions of a copy with their seals.

    Attributes:
        sealed: Sealed sessions that were compared.
        of: All sealed sessions of the copy.
        violations: Violations that `verify` would report about the copy.
    """

    sealed: int
    of: int
    violations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCopy:
    """
    A copy of a database that was read back.

    Attributes:
        contents: What was found in the copy.
        seals: Result of the check of sealed sessions; None if they were not checked.
        checked: What was checked, as phrases.
        not_checked: What was not checked, as phrases that state the reason or what to do.
    """

    contents: Contents
    seals: SealCheck | None
    checked: Sequence[str]
    not_checked: Sequence[str]


class DatabaseCopies(Protocol):
    """
    Copies a database into single files, and reads such files back.

    Every implementation passes tests/contracts/test_backup.py.
    """

    @property
    def name(self) -> str:
        """Return the name of the database, as a part of a file name."""
        ...

    @property
    def suffix(self) -> str:
        """Return the suffix of the files, with its dot."""
        ...

    def refuse(self, file: Path) -> None:
        """
        Refuse a target that is a file of the database, or at which a copy would not stay as it is.

        Raises:
            SettingRefused: The file cannot be the target, or the database cannot be backed up.
        """
        ...

    def write(self, file: Path, on_progress: ByteProgress) -> Contents:
        """
        Copy the committed data of one moment into an existing empty file, without keeping writers waiting.

        Returns:
            The contents of the database at that moment.

        Raises:
            BackupFailed: The copy cannot be written, or a program that is needed is missing.
            StoreUnavailable: The database cannot be read.
        """
        ...

    def check(self, file: Path, *, full: bool) -> CheckedCopy:
        """
        Read a copy back; it is not changed.

        Args:
            file: The copy.
            full: Whether to check everything that can be checked, and not a sample.

        Raises:
            BackupFailed: The copy is damaged.
        """
        ...


class BackUpDatabase:
    """
    Backs up a database.

    Args:
        copies: Copies the database and reads copies.
    """

    def __init__(self, copies: DatabaseCopies) -> None:
        self._copies = copies

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of the backups of this database in a folder of backups."""
        return f"{self._copies.name}-"

    def file_name(self, at: datetime) -> str:
        """Return the name of a backup of this database in a folder of backups."""
        return f"{self.prefix}{at:%Y%m%dT%H%M%SZ}{self._copies.suffix}"

    def expired(self, names: Iterable[str], newest: str, *, keep: int) -> Sequence[str]:
        """
        Return the backups of this database among the files of a folder, without the newest ones.

        Backups with a later time than the new one were made while the clock was ahead. They are neither counted nor
        returned: with them, the new one would not be among the newest.

        Args:
            names: The names of all files.
            newest: The name of the new backup.
            keep: How many of the newest backups are left out, with the new one, at least 1.
        """
        ours = re.compile(rf"{re.escape(self.prefix)}\d{{8}}T\d{{6}}Z{re.escape(self._copies.suffix)}")
        return sorted(name for name in names if name <= newest and ours.fullmatch(name))[:-keep]

    def refuse(self, file: Path) -> None:
        """Raise SettingRefused if a file cannot be the target of a backup of this database."""
        self._copies.refuse(file)

    def back_up(self, file: Path, on_progress: ByteProgress, *, full: bool) -> CheckedCopy:
        """
        Copy the database into an existing empty file, read the copy back, and compare both.

        Violations of seals are returned and not raised: they are those of the database, and a backup of it is of use.

        Args:
            file: The file; after an error its content is undefined.
            on_progress: Called while the copy is written.
            full: Whether to check everything that can be checked, and not a sample.

        Raises:
            BackupFailed: The copy cannot be written, is damaged, or differs from the database.
            StoreUnavailable: The database cannot be read.
        """
        stored = self._copies.write(file, on_progress)
        found = self._copies.check(file, full=full)
        if found.contents.version != stored.version:
            raise BackupFailed(
                f"the copy has schema version {found.contents.version or 'none'}, the database {stored.version}"
            )
        tables = stored.rows.keys() | found.contents.rows.keys()
        for table in sorted(tables):
            rows, copied = stored.rows.get(table), found.contents.rows.get(table)
            if rows != copied:
                raise BackupFailed(f"{table} has {_rows(copied)} in the copy and {_rows(rows)} in the database")
        return found


def _rows(count: int | None) -> str:
    return "no table" if count is None else f"{count:,} rows"
