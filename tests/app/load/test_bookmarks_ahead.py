"""Reading bookmarks of many contents at once."""

from collections.abc import Collection, Mapping, Sequence

from snapshots.app.load.bookmarks_ahead import AHEAD, BookmarksAhead
from snapshots.app.ports.log_source import Mark
from tests.fakes import ListSource


class Asked:
    """Answers with one bookmark for each second content, and records what it was asked for."""

    def __init__(self) -> None:
        self.heads: list[Collection[str]] = []

    def __call__(self, heads: Collection[str]) -> Mapping[str, Sequence[Mark]]:
        self.heads.append(heads)
        return {head: [Mark(7, head)] for head in heads if int(head) % 2}


def test_the_bookmarks_of_many_contents_are_read_at_once() -> None:
    """Each content receives its own, in the order of the contents."""
    asked = Asked()
    ahead = BookmarksAhead([ListSource(str(n), []) for n in range(2 * AHEAD)], asked)

    found = [(source.name, ahead.marks_of(source)) for source in ahead]

    assert found == [(str(n), [Mark(7, str(n))] if n % 2 else ()) for n in range(2 * AHEAD)]
    assert [len(heads) for heads in asked.heads] == [AHEAD, AHEAD]


def test_bookmarks_are_read_again_after_new_ones_were_stored() -> None:
    """Only those of the contents that follow."""
    asked = Asked()
    ahead = BookmarksAhead([ListSource(str(n), []) for n in range(4)], asked)

    for source in ahead:
        ahead.marks_of(source)
        if source.name == "1":
            ahead.forget()

    assert asked.heads == [{"0", "1", "2", "3"}, {"2", "3"}]


def test_a_stream_has_no_bookmarks() -> None:
    """Nothing is read for it."""
    asked = Asked()
    ahead = BookmarksAhead([ListSource("-", [], head="")], asked)

    assert [ahead.marks_of(source) for source in ahead] == [()]
    assert asked.heads == []
