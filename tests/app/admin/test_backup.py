"""What counts as a backup, and which backups are deleted."""

from datetime import timedelta
from pathlib import Path

import pytest

from snapshots.app.admin.backup import BackUpDatabase
from snapshots.app.errors import BackupFailed, SettingRefused
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.gap import Gap
from tests.fake_copies import OWN_FILE, InMemoryCopies
from tests.fakes import InMemoryDatabase
from tests.strategies import DAY, HOME, NOON


@pytest.fixture
def copies() -> InMemoryCopies:
    database = InMemoryDatabase()
    summary = SessionAggregate.sighted("o", HOME.text, NOON).summary().judged(Gap.NOTHING_KNOWN)
    database.memory.sessions["o"] = summary
    return InMemoryCopies(database)


def ignore(_count: int) -> None:
    pass


def test_a_copy_with_the_same_rows_is_a_backup(copies: InMemoryCopies, tmp_path: Path) -> None:
    """Its contents are returned."""
    copy = BackUpDatabase(copies).back_up(tmp_path / "copy", ignore, full=True)

    assert copy.contents.rows == {"runs": 0, "sessions": 1}
    assert copy.seals is not None


def test_a_copy_that_lacks_a_row_is_no_backup(copies: InMemoryCopies, tmp_path: Path) -> None:
    """The error names the table and both numbers."""
    copies.lost = {"sessions": 1}

    with pytest.raises(BackupFailed, match="sessions has 0 rows in the copy and 1 rows in the database"):
        BackUpDatabase(copies).back_up(tmp_path / "copy", ignore, full=False)


@pytest.mark.parametrize(("version", "words"), [("0002", "0002"), ("", "none")])
def test_a_copy_of_another_version_is_no_backup(
    copies: InMemoryCopies, tmp_path: Path, version: str, words: str
) -> None:
    """Or of none."""
    copies.version = version

    with pytest.raises(BackupFailed, match=f"the copy has schema version {words}, the database 0001"):
        BackUpDatabase(copies).back_up(tmp_path / "copy", ignore, full=False)


def test_the_database_itself_is_no_target(copies: InMemoryCopies) -> None:
    """It would be replaced by its own copy."""
    backup = BackUpDatabase(copies)

    backup.refuse(Path("other.db"))
    with pytest.raises(SettingRefused, match="of the database itself"):
        backup.refuse(OWN_FILE)


def test_all_but_the_newest_backups_expire(copies: InMemoryCopies) -> None:
    """Backups of other databases, and other files, do not."""
    backup = BackUpDatabase(copies)
    names = [backup.file_name(NOON + days * DAY + timedelta(seconds=days)) for days in range(4)]
    others = ["memory-old.json", "other-20261124T120000Z.json", "memory-20261124T120000Z.json.gz", "x" + names[0]]

    assert backup.expired([*reversed(names), *others], names[-1], keep=2) == names[:2]
    assert backup.expired(names, names[-1], keep=4) == []
    assert all(name.startswith(backup.prefix) for name in names)


def test_backups_with_a_later_time_than_the_new_one_do_not_make_it_expire(copies: InMemoryCopies) -> None:
    """They were made while the clock was ahead, such as before a first NTP synchronization."""
    backup = BackUpDatabase(copies)
    *older, new, ahead, further_ahead = [backup.file_name(NOON + days * DAY) for days in range(5)]

    assert backup.expired([*older, new, ahead, further_ahead], new, keep=1) == older
    assert backup.expired([*older, new, ahead, further_ahead], new, keep=2) == older[:1]
