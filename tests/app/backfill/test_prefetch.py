"""What is read ahead of its turn."""

import pytest

from snapshots.app.backfill.prefetch import ReadAhead
from snapshots.app.errors import StoreGone
from tests.fakes import AtOnce


def test_a_prefetched_page_is_used_once() -> None:
    """The next request needs a read of its own."""
    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("a", lambda: "page")

    assert ahead.take("a") == "page"
    assert ahead.take("a") is None


def test_an_outdated_result_is_discarded() -> None:
    """A batch was refused, and a smaller one starts at the same position."""
    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("b", lambda: "page")

    assert ahead.take("a") is None
    assert ahead.take("b") is None


def test_a_dropped_page_is_read_again() -> None:
    """After a restart, an old page is not used."""
    ahead: ReadAhead[str] = ReadAhead(AtOnce())
    ahead.begin("a", lambda: "page")
    ahead.drop()

    assert ahead.take("a") is None


def test_a_page_that_could_not_be_prefetched_is_read_directly() -> None:
    """The direct read then raises the error if it persists."""

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


def test_without_a_second_thread_pages_are_not_prefetched() -> None:
    """An in-memory database has one connection."""
    ahead: ReadAhead[str] = ReadAhead(None)
    ahead.begin("a", lambda: "page")

    assert ahead.take("a") is None
