"""Prefetch the next page in a thread while the current one is written."""

from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from snapshots.domain.errors import SnapshotsError

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """
    Holds at most one prefetched result.

    Args:
        executor: Runs the reads; None to prefetch nothing.
    """

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._expected: tuple[Hashable, Future[T]] | None = None

    def drop(self) -> None:
        """Discard the result, because it may be out of date."""
        self._expected = None

    def begin(self, key: Hashable, read: Callable[[], T]) -> None:
        """Start to read a result that `take` returns for this key."""
        if self._executor is not None:
            self._expected = key, self._executor.submit(read)

    def take(self, key: Hashable) -> T | None:
        """Return and remove the result for a key; None if there is none or the read failed, so the caller reads it."""
        expected, self._expected = self._expected, None
        if expected is None:
            return None
        its_key, future = expected
        try:
            found = future.result()
        except SnapshotsError:
            return None
        return found if its_key == key else None
