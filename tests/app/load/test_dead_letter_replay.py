"""Lines that could not be loaded, loaded later."""

from collections.abc import Sequence

import pytest

from snapshots.app.errors import NoSuchDeadLetter
from snapshots.app.load.dead_letter_replay import DeadLetterQueue, DeadLetterStream
from snapshots.app.ports.log_source import BadLine, LogEvent, Mark, Reason
from snapshots.app.ports.logs import DeadLetter
from tests.app.load.test_loader import loader, logged
from tests.fakes import InMemoryDatabase
from tests.strategies import NOON

DEAD_LETTERS = {"aa1": b"good 1", "aa2": b"not_json 0", "b": b"good 2"}


def parts_of(line: bytes) -> Sequence[LogEvent | BadLine]:
    """Return an event for each number after the word "good"; any other line is not an event."""
    words = line.split()
    return [
        logged("s", int(number))._replace(line=line)
        if word == b"good"
        else BadLine(Reason[word.decode().upper()], word, 0)
        for word, number in zip(words[::2], words[1::2], strict=True)
    ]


@pytest.fixture
def database() -> InMemoryDatabase:
    made = InMemoryDatabase()
    with made.transaction() as stores:
        stores.dead_letters.store_dead_letters(
            [
                DeadLetter(identity=name, source="log", offset=n, reason=Reason.NOT_JSON, payload=payload)
                for n, (name, payload) in enumerate(DEAD_LETTERS.items())
            ],
            run="run",
            stored_at=NOON,
        )
    return made


def dead_letter_queue(database: InMemoryDatabase) -> DeadLetterQueue:
    return DeadLetterQueue(database, loader(database), parts_of)


def test_a_replay_loads_readable_dead_letters_and_removes_them(database: InMemoryDatabase) -> None:
    """The others stay; a second replay finds nothing new."""
    before = dead_letter_queue(database).replay(dry_run=True)
    assert (before.dead_letters, before.readable, database.memory.sessions) == (3, 2, {})

    report = dead_letter_queue(database).replay(dry_run=False)

    assert (report.dead_letters, report.readable, report.events) == (3, 2, 2)
    assert list(database.memory.dead_letters) == ["aa2"]
    assert database.memory.sessions["s"].event_count == 2
    assert dead_letter_queue(database).replay(dry_run=False).events == 0


def test_a_dead_letter_is_found_by_a_unique_prefix(database: InMemoryDatabase) -> None:
    """An ambiguous prefix is an error."""
    found = dead_letter_queue(database)

    assert [kept.dead_letter.identity for kept in found.first(limit=2)] == ["aa1", "aa2"]
    assert found.first(limit=9, reason=Reason.NO_TIME) == []
    assert found.find("b").dead_letter.payload == b"good 2"
    for beginning, message in (("aa", "several"), ("c", "no dead letter")):
        with pytest.raises(NoSuchDeadLetter, match=message):
            found.find(beginning)


def test_dead_letters_are_a_stream_without_bookmarks(database: InMemoryDatabase) -> None:
    """It is always read from its beginning."""
    stream = DeadLetterStream(database, parts_of, keeps_lines=False)

    assert (stream.resume([Mark(3, "x")]), stream.mark()) == (0, Mark(0, ""))
    assert len(list(stream.lines())) == 2
    assert stream.progress() == 3


def test_a_replayed_line_can_be_stored_as_it_was_logged(database: InMemoryDatabase) -> None:
    """As --store-events does for every other event."""
    stream = DeadLetterStream(database, parts_of, keeps_lines=True)

    kept = {part.line for part in stream.lines() if isinstance(part, LogEvent)}

    assert b"good 2" in kept


@pytest.mark.parametrize(
    ("payload", "events", "is_kept"),
    [("good 3 good 4", 2, False), ("good 3 not_json 0", 1, True), ("nul_block 0 good 3", 1, False)],
)
def test_a_dead_letter_with_several_parts_is_removed_when_all_are_read(
    payload: str, events: int, is_kept: bool
) -> None:
    """Text next to an event is not lost; NUL bytes are ignored."""
    database = InMemoryDatabase()
    dead_letter = DeadLetter(identity="c", source="log", offset=0, reason=Reason.NOT_JSON, payload=payload.encode())
    with database.transaction() as stores:
        stores.dead_letters.store_dead_letters([dead_letter], run="run", stored_at=NOON)

    report = dead_letter_queue(database).replay(dry_run=False)

    assert (report.events, "c" in database.memory.dead_letters) == (events, is_kept)
