"""Contract of the stores of runs, bookmarks, dead letters and event lines."""

from dataclasses import replace

from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import Mark, Reason
from snapshots.app.ports.logs import Bookmark, DeadLetter, EventPart
from snapshots.app.ports.runs import RunKind, RunRecord, RunState
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from tests.strategies import DAY, NOON

DEAD_LETTER = DeadLetter(identity="ab", source="cowrie.json", offset=2**40, reason=Reason.NOT_JSON, payload=b"\x00\xff")


def keep(database: Database, *dead_letters: DeadLetter) -> int:
    with database.transaction() as stores:
        return stores.dead_letters.store_dead_letters(dead_letters, run="run", stored_at=NOON)


def bookmark(head: str, mark: Mark) -> Bookmark:
    return Bookmark(head, mark, "cowrie.json")


def test_a_dead_letter_is_stored_once(database: Database) -> None:
    """However often the file is read."""
    assert keep(database, DEAD_LETTER, replace(DEAD_LETTER, identity="cd")) == 2
    assert keep(database, DEAD_LETTER, replace(DEAD_LETTER, identity="ef")) == 1
    assert keep(database) == 0


def test_a_removed_dead_letter_is_gone(database: Database) -> None:
    """Its line has been loaded; removing an unknown one does nothing."""
    keep(database, DEAD_LETTER)
    with database.transaction() as stores:
        stores.dead_letters.remove(["ab", "nothing"])
        stores.dead_letters.remove([])

    assert keep(database, replace(DEAD_LETTER, reason=Reason.NO_TIME)) == 1


def test_bookmarks_are_read_by_offset_and_never_removed(database: Database) -> None:
    """Two contents may share a head, and so an offset."""
    marks = [Mark(2**40, "aa"), Mark(5, "bb"), Mark(5, "aa")]
    with database.transaction() as stores:
        for _ in range(2):
            stores.bookmarks.put([bookmark("head", mark) for mark in [*marks, *marks]], run="run", stored_at=NOON)
        stores.bookmarks.put([bookmark("other", Mark(7, "cc"))], run="run", stored_at=NOON)
        stores.bookmarks.put([], run="run", stored_at=NOON)

    with database.transaction() as stores:
        assert stores.bookmarks.marks_of(["head", "nothing", "other"]) == {
            "head": [Mark(5, "aa"), Mark(5, "bb"), Mark(2**40, "aa")],
            "other": [Mark(7, "cc")],
        }
        assert stores.bookmarks.marks_of(["nothing"]) == stores.bookmarks.marks_of([]) == {}


def test_a_run_begins_is_counted_and_ends(database: Database) -> None:
    """Another transaction finds the run with its state, its times and its counts."""
    with database.transaction() as stores:
        stores.runs.begin("run", RunKind.LOAD, at=NOON)
        stores.runs.record_progress("run", {"events": 3}, at=NOON + DAY)
        stores.runs.end("run", RunState.DONE, at=NOON + 2 * DAY)

    with database.transaction() as stores:
        found = stores.runs.find("run")

    assert found == RunRecord(
        run="run",
        kind=RunKind.LOAD,
        state=RunState.DONE,
        began_at=NOON,
        heartbeat_at=NOON + DAY,
        ended_at=NOON + 2 * DAY,
        counts={"events": 3},
    )


def test_runs_are_found_by_how_their_names_begin(database: Database) -> None:
    """Whatever characters they are; an empty text is the beginning of all."""
    with database.transaction() as stores:
        for name in ("20260302T10-b", "20260302T10-a", "20260302T11-a", "20%"):
            stores.runs.begin(name, RunKind.LOAD, at=NOON)

    with database.view() as stores:
        assert stores.runs.names("20260302T10", limit=9) == ["20260302T10-a", "20260302T10-b"]
        assert stores.runs.names("20260302T1", limit=2) == ["20260302T10-a", "20260302T10-b"]
        assert stores.runs.names("20%", limit=9) == ["20%"]
        assert len(stores.runs.names("", limit=9)) == 4
        assert stores.runs.names("x", limit=9) == []


def test_a_beginning_that_is_repeated_leaves_one_run(database: Database) -> None:
    """The commit succeeded, its answer was lost, and the transaction is retried."""
    for _ in range(2):
        with database.transaction() as stores:
            stores.runs.begin("run", RunKind.LOAD, at=NOON, settings={"process": "p"})

    with database.view() as stores:
        assert stores.runs.latest(limit=9) == [
            RunRecord(
                run="run",
                kind=RunKind.LOAD,
                state=RunState.RUNNING,
                began_at=NOON,
                heartbeat_at=NOON,
                settings={"process": "p"},
            )
        ]


def test_dead_letters_are_read_in_pages_and_by_prefix(database: Database) -> None:
    """All of them, or those of one reason; at most two for a prefix."""
    dead_letters = [
        DeadLetter(identity=name, source="log", offset=n, reason=reason, payload=b"\x00\xff")
        for n, (name, reason) in enumerate(
            [("a1", Reason.NOT_JSON), ("a2", Reason.NO_TIME), ("a3", Reason.NOT_JSON), ("%", Reason.NOT_JSON)]
        )
    ]
    with database.transaction() as stores:
        stores.dead_letters.store_dead_letters(dead_letters, run="run", stored_at=NOON)

    with database.transaction() as stores:
        office = stores.dead_letters
        assert [kept.dead_letter for kept in office.page(after="a", limit=2)] == dead_letters[:2]
        assert [kept.dead_letter for kept in office.page(after="a2", limit=9)] == dead_letters[2:3]
        assert [k.dead_letter.identity for k in office.page(after="", limit=9, reason=Reason.NO_TIME)] == ["a2"]
        assert [kept.dead_letter.identity for kept in office.find_by_prefix("a")] == ["a1", "a2"]
        assert [(k.dead_letter.identity, k.run, k.stored_at) for k in office.find_by_prefix("%")] == [
            ("%", "run", NOON)
        ]
        assert office.find_by_prefix("b") == []


def test_a_run_is_recorded_from_its_beginning_to_its_end(database: Database) -> None:
    """With its settings, its checkpoint, its counts, and its quarantined sessions."""
    with database.transaction() as stores:
        stores.runs.begin("one", RunKind.BACKFILL, at=NOON, settings={"a": "1"})
        stores.runs.begin("two", RunKind.LOAD, at=NOON + DAY)
        stores.runs.record_progress("one", {"sealed": 3}, at=NOON + DAY, checkpoint="here")
        stores.runs.record_progress("one", {"sealed": 4}, at=NOON + DAY)
        stores.runs.add_settings("one", {"b": "2"})
        stores.runs.quarantine("one", "s", "refused", at=NOON)
        stores.runs.quarantine("one", "s", "again", at=NOON)
        stores.runs.end("one", RunState.INTERRUPTED, at=NOON + DAY)

    with database.transaction() as stores:
        found = stores.runs.find("one")
        assert found is not None
        assert (found.kind, found.state, found.ended_at) == (RunKind.BACKFILL, RunState.INTERRUPTED, NOON + DAY)
        assert (found.counts, found.settings, found.checkpoint) == ({"sealed": 4}, {"a": "1", "b": "2"}, "here")
        assert stores.runs.quarantined_by("one") == {"s": "refused"}
        assert stores.runs.quarantined_by("two") == {}
        assert [record.run for record in stores.runs.latest(limit=9)] == ["two", "one"]
        assert [record.run for record in stores.runs.latest(limit=9, kinds=[RunKind.BACKFILL])] == ["one"]
        assert stores.runs.find("three") is None
        stores.runs.resume("one", at=NOON)
        again = stores.runs.find("one")
        assert again is not None
        assert (again.state, again.ended_at) == (RunState.RUNNING, None)


PARTS = [EventPart("a", [b'{"x": 1}', b"\x00\xff \xe2\x80\xae"]), EventPart("b", [b"b"]), EventPart("a", [b"later"])]


def test_event_lines_are_read_back_unchanged_and_deleted_with_their_session(database: Database) -> None:
    """Part by part; an empty part is not stored, and pruning deletes personal data."""
    with database.transaction() as stores:
        names = ["a", "b", "c"]
        events = [SessionEvent(1, NOON, EventKind.OTHER)]
        stores.sessions.save([SessionAggregate.of(name, events).summary() for name in names], run="run", saved_at=NOON)
        stores.event_lines.store_lines([*PARTS, EventPart("c", [])], run="run")
        stores.event_lines.store_lines([], run="run")
        stores.event_lines.store_lines(PARTS[:1], run="again")

    with database.transaction() as stores:
        assert sorted(stores.event_lines.of("a")) == sorted([*PARTS[0].lines, b"later"])
        assert [list(stores.event_lines.of(name)) for name in ("b", "c", "none")] == [[b"b"], [], []]
        stores.audit.prune(NOON + DAY, run="prune", made_at=NOON)
        assert [list(stores.event_lines.of(name)) for name in names] == [[], [], []]
