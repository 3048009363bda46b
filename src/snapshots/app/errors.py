"""Errors of use cases, named for the condition."""

from snapshots.domain.errors import SnapshotsError


class StoreUnavailable(SnapshotsError):
    """The database failed or refused; the current transaction was rolled back, and committed ones stay stored."""


class StoreBusy(StoreUnavailable):
    """A conflict with another transaction, such as a deadlock; nothing of it is stored, and a retry can succeed."""


class LockTimeout(StoreBusy):
    """Another process held a lock for longer than the lock timeout; an immediate retry does not help."""


class QueryTimedOut(StoreUnavailable):
    """A query took longer than this process lets queries take."""


class StoreGone(StoreUnavailable):
    """The database cannot be reached, such as while its server restarts; the same call may work later."""


class StoreReplaced(StoreUnavailable):
    """The database was deleted or replaced since the command began; earlier batches are only in the old one."""


class TablesOutdated(StoreUnavailable):
    """The tables have an older version than the program: `snapshots migrate` upgrades them."""


class StoreUnusable(StoreUnavailable):
    """The database can store nothing, such as without permissions or space: a smaller batch fails as well."""


class BackupFailed(SnapshotsError):
    """A backup could not be written, or its copy is damaged or incomplete; there is no new backup."""


class SourceUnreadable(SnapshotsError):
    """A source of facts, or of log lines, cannot be read."""


class LogUnreadable(SourceUnreadable):
    """A log cannot be read, such as because it was renamed or deleted in between."""


class NothingToRead(SnapshotsError):
    """No file was found to load."""


class NoSuchSession(SnapshotsError):
    """The session does not exist, is not sealed, or has no stored events."""


class NoSuchRun(SnapshotsError):
    """The run does not exist, or cannot be resumed or undone."""


class RunTaken(SnapshotsError):
    """Another process has taken over or ended the run; the batches of this process are stored."""


class NoSuchDeadLetter(SnapshotsError):
    """No dead letter has this identity, or several do."""


class NoSuchBuild(SnapshotsError):
    """No build of a fact source has this label, or several do."""


class BuildRefused(SnapshotsError):
    """A build of a source is implausible, or contradicts a registered one; the builds before it stay in use."""


class SettingRefused(SnapshotsError):
    """A setting has a value that cannot be used, or a necessary one is missing: a usage error."""


class PackageMissing(SettingRefused):
    """A setting needs a library that is not installed; the command line is right, so this is no usage error."""


class InvalidQuery(SnapshotsError):
    """A query is contradictory, or contains an invalid value."""


class ConfirmationNeeded(SettingRefused):
    """The operator must confirm an unusual request."""
