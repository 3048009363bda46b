"""Read the bookmarks of many contents with one query."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Generic, TypeVar

from snapshots.app.errors import LogUnreadable
from snapshots.app.ports.log_source import Content, Mark

C = TypeVar("C", bound=Content)

AHEAD = 200
"""Contents whose bookmarks are read at once. A log that is loaded every minute has 1,440 bookmarks a day."""


class BookmarksAhead(Generic[C]):
    """
    Yields contents in their order, and reads the bookmarks of the next ones with those of the current one.

    Args:
        sources: The contents.
        read: Reads the bookmarks of contents by their heads.
    """

    def __init__(self, sources: Iterable[C], read: Callable[[Collection[str]], Mapping[str, Sequence[Mark]]]) -> None:
        self._rest = iter(sources)
        self._read = read
        self._next = deque[C]()
        self._known: dict[str, Sequence[Mark]] = {}

    def __iter__(self) -> Iterator[C]:
        """Yield the contents."""
        while True:
            if not self._next:
                self._next.extend(islice(self._rest, AHEAD))
            if not self._next:
                return
            yield self._next.popleft()

    def marks_of(self, source: C) -> Sequence[Mark]:
        """
        Return the bookmarks of a content.

        Raises:
            LogUnreadable: Its head cannot be read.
        """
        head = source.head
        if not head:
            return ()
        if head not in self._known:
            heads = {head, *self._next_heads()}
            self._known = {**dict.fromkeys(heads, ()), **self._read(heads)}
        return self._known[head]

    def forget(self) -> None:
        """Read the bookmarks again, because new ones were stored: the next content may be a copy of the last one."""
        self._known = {}

    def _next_heads(self) -> Iterator[str]:
        for source in self._next:
            with suppress(LogUnreadable):  # raised again when it is its turn
                if head := source.head:
                    yield head
