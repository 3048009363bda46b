"""What every store of runs, bookmarks and dead letters promises."""

from dataclasses import replace

from snapshots.app.lines import Mark, Reason
from snapshots.app.ports import Database, DeadLetter
from snapshots.app.run_ports import RunKind, RunState
from tests.strategies import NOON

LETTER = DeadLetter(identity="ab", source="cowrie.json", offset=2**40, reason=Reason.NOT_JSON, payload=b"\x00\xff")


def keep(database: Database, *letters: DeadLetter) -> int:
    with database.transaction() as stores:
        return stores.dead_letters.keep(letters, run="run", kept_at=NOON)


def test_a_letter_is_kept_once(database: Database) -> None:
    """However often the file is read."""
    assert keep(database, LETTER, replace(LETTER, identity="cd")) == 2
    assert keep(database, LETTER, replace(LETTER, identity="ef")) == 1
    assert keep(database) == 0


def test_a_withdrawn_letter_is_gone(database: Database) -> None:
    """Its line was completed since; withdrawing one that is not there does nothing."""
    keep(database, LETTER)
    with database.transaction() as stores:
        stores.dead_letters.withdraw(["ab", "nothing"])
        stores.dead_letters.withdraw([])

    assert keep(database, replace(LETTER, reason=Reason.NO_TIME)) == 1


def test_marks_come_back_by_offset_and_are_never_removed(database: Database) -> None:
    """Two contents may share a head, and so an offset."""
    marks = [Mark(2**40, "aa"), Mark(5, "bb"), Mark(5, "aa")]
    with database.transaction() as stores:
        for mark in [*marks, *marks]:
            stores.bookmarks.put("head", mark, source="cowrie.json", run="run", put_at=NOON)

        assert stores.bookmarks.marks_of("head") == [Mark(5, "aa"), Mark(5, "bb"), Mark(2**40, "aa")]
        assert list(stores.bookmarks.marks_of("another")) == []


def test_a_run_begins_is_counted_and_ends(database: Database) -> None:
    """So that it can be looked up."""
    with database.transaction() as stores:
        stores.runs.begin("run", RunKind.LOAD, at=NOON)
        stores.runs.note("run", {"events": 3}, at=NOON)
        stores.runs.end("run", RunState.DONE, at=NOON)
