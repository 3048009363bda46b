"""What can go wrong in a use case, named for the condition."""

from snapshots.domain.errors import SnapshotsError


class StoreUnavailable(SnapshotsError):
    """The database did not do what it was asked; the transaction in hand was rolled back."""


class StoreBusy(StoreUnavailable):
    """A conflict with another transaction, such as a deadlock; an immediate retry can succeed."""


class LockTimeout(StoreBusy):
    """Another process held a lock for longer than the lock timeout; an immediate retry does not help."""


class StoreGone(StoreUnavailable):
    """The database cannot be reached, such as while its server restarts; the same call may work later."""


class StoreReplaced(StoreUnavailable):
    """The database was deleted or replaced since the command began; earlier batches are only in the old one."""


class StoreUnusable(StoreUnavailable):
    """The database can store nothing of this work, such as without rights or space: a smaller batch fails as well."""


class SourceUnreadable(SnapshotsError):
    """A source of facts, or of log lines, cannot be read."""


class LogUnreadable(SourceUnreadable):
    """A log cannot be read, such as because it was renamed or deleted in between."""


class NothingToRead(SnapshotsError):
    """No file was found to load."""


class NoSuchSession(SnapshotsError):
    """There is no session of that name, or it is not sealed."""


class NoSuchRun(SnapshotsError):
    """There is no run of that name, or it cannot be resumed or undone."""


class RunTaken(SnapshotsError):
    """Another process carries a run on, or ended it; what this one did before is stored."""


class NoSuchLetter(SnapshotsError):
    """There is no dead letter of that name, or there are several."""


class NoSuchBuild(SnapshotsError):
    """There is no such build of a source of facts."""


class SettingRefused(SnapshotsError):
    """A setting has a value that cannot be used."""


class InvalidQuery(SnapshotsError):
    """A question makes no sense, or names what is no value of its kind."""
