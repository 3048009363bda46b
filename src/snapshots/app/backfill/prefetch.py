"""Read what comes next while what is in hand is written: a database works on its own, and so does this program."""

from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from snapshots.domain.errors import SnapshotsError

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """
    Reads one thing ahead, in a thread of its own.

    Args:
        executor: Where to read; None to read nothing ahead.
    """

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._expected: tuple[Hashable, Future[T]] | None = None

    def drop(self) -> None:
        """Let nobody take what was read: it may be long ago."""
        self._expected = None

    def begin(self, key: Hashable, read: Callable[[], T]) -> None:
        """Begin to read what somebody will take by a key."""
        if self._executor is not None:
            self._expected = key, self._executor.submit(read)

    def take(self, key: Hashable) -> T | None:
        """Return what was read by that key, once; None if nothing was, or if that failed: it must be read now then."""
        expected, self._expected = self._expected, None
        if expected is None:
            return None
        its_key, future = expected
        try:
            found = future.result()
        except SnapshotsError:
            return None
        return found if its_key == key else None
