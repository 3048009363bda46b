"""What is read ahead of its turn."""

import pytest

from snapshots.app.backfill.prefetch import ReadAhead
from snapshots.app.errors import StoreGone
from tests.fakes import AtOnce


def test_what_was_read_is_taken_once() -> None:
    """The next thing is another one."""
    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("a", lambda: "page")

    assert ahead.take("a") == "page"
    assert ahead.take("a") is None


def test_an_outdated_result_is_discarded() -> None:
    """A batch was refused, and a smaller one is read from its place on."""
    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("b", lambda: "page")

    assert ahead.take("a") is None
    assert ahead.take("b") is None


def test_what_was_read_long_ago_is_dropped() -> None:
    """Whoever begins anew reads anew."""
    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("a", lambda: "page")
    ahead.drop()

    assert ahead.take("a") is None


def test_what_could_not_be_read_ahead_is_read_in_its_turn() -> None:
    """A direct read then raises the error if it persists."""

    def gone() -> str:
        raise StoreGone("no")

    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("a", gone)

    assert ahead.take("a") is None


def test_a_mistake_is_not_hidden() -> None:
    """The caller reads again, and handles the error if it persists."""

    def wrong() -> str:
        raise ZeroDivisionError

    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("a", wrong)

    with pytest.raises(ZeroDivisionError):
        ahead.take("a")


def test_without_another_thread_nothing_is_read_ahead() -> None:
    """A database in memory has one connection."""
    ahead: ReadAhead[str] = ReadAhead(None)
    ahead.begin("a", lambda: "page")

    assert ahead.take("a") is None
