"""The key ranges that the second worker of a backfill processes, from the end of the table."""

from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import KeyRange, PushdownResult

MIN_PARTITIONS = 6
"""Number of partitions from which a second worker pays."""

RESERVED_PARTITIONS = 3
"""Partitions left to the main worker: the next one to claim, and those that its current batch may reach."""

MAX_SPARSE_RETRIES = 3
"""How many times in a row a range is returned to the queue because fewer than half of its rows had a cached verdict."""


class PartitionQueue:
    """
    Gives out key ranges from the end of the table, some of them twice.

    While more verdicts are being computed, a range is processed with the cached ones, and revisited at the end.

    Args:
        unjudged: Number of sessions without a verdict.
        judged: Number of sessions that the run evaluated before.
        span: Sessions per range, if they are evenly distributed.
        after: Start position of the main worker.

    Attributes:
        main_limit: Position at which the main worker stops; "" for the end of the table.
    """

    def __init__(self, unjudged: int, judged: int, *, span: int, after: str) -> None:
        self._count = unjudged // span
        self._after = after
        self._end = judged + unjudged - RESERVED_PARTITIONS * span
        self._fresh: list[KeyRange] = []
        self._is_filled = False
        self._revisits: list[KeyRange] = []
        self._current = KeyRange("", "")
        self._is_claimed = False
        self._position = ""
        self._is_fresh = True
        self._has_leftovers = False
        self._sparse = 0
        self.main_limit = ""

    def claim(self, stores: Stores, *, judged: int, more_follows: bool) -> KeyRange | None:
        """
        Return the rest of the current range, or the next range.

        Args:
            stores: A transaction.
            judged: Number of sessions that the run has evaluated.
            more_follows: Whether more verdicts are being computed.

        Returns:
            None if the main worker may have reached the range, or if only revisits are left and more verdicts follow.
        """
        if not self._is_filled:
            self._fresh, self._is_filled = list(stores.open_sessions.key_ranges(self._count, after=self._after)), True
        if not self._is_claimed:
            self._is_claimed = self._claim_next(judged, more_follows=more_follows)
        return KeyRange(self._position, self._current.until) if self._is_claimed else None

    def release_all(self) -> None:
        """Leave all ranges to the main worker."""
        self.main_limit = ""

    def _claim_next(self, judged: int, *, more_follows: bool) -> bool:
        self._is_fresh = more_follows or not self._revisits
        if not self._is_fresh:
            self._current = self._revisits.pop()
        elif self._fresh and judged <= self._end:
            self._current = self._fresh.pop()
            self.main_limit = self._current.after
        else:
            return False
        self._position, self._has_leftovers = self._current.after, False
        return True

    def complete(self, done: PushdownResult | None, *, asked: int, more_follows: bool) -> int:
        """
        Record the result for the current range; requeue it if few of its rows had a cached verdict.

        Args:
            done: The result; None if the range is empty.
            asked: The limit of rows.
            more_follows: Whether more verdicts were being computed.

        Returns:
            How many batches of verdicts to wait for before the next attempt.
        """
        judged = done.verdicts.total() if done is not None else 0
        if done is not None:
            if self._is_fresh and not more_follows and done.left > judged and self._sparse < MAX_SPARSE_RETRIES:
                self._sparse += 1
                self._fresh.append(self._current)
                self._is_claimed, self.main_limit = False, self._current.until
                return 1 << self._sparse
            self._sparse = 0
            self._end += -done.left if self._is_fresh else judged
            self._has_leftovers |= more_follows and done.left > 0
            self._position = done.last
        if done is None or judged + done.left < asked:
            if self._has_leftovers:
                self._revisits.append(self._current)
            self._is_claimed = False
        return 0
