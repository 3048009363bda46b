"""Which parts of a table the far end of a backfill takes, from the last one on."""

from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import KeyRange, PushdownResult

MIN_PARTITIONS = 6
"""So many spans make a second pair of hands worth while."""

RESERVED_PARTITIONS = 3
"""How many spans are left to the near end: the one that would be taken, and what is in its hands."""

MAX_SPARSE_RETRIES = 3
"""How often a part is given back, because the verdicts on most of it are not known yet."""


class PartitionQueue:
    """
    Gives the far end one part of the table after the other, and some of them twice.

    While more verdicts are being reached, a part is gone through by those that are known, and again at the end.

    Args:
        unjudged: How many sessions nobody judged.
        judged: How many the run judged before.
        span: How many sessions a part holds, about, if they lie evenly.
        after: The place behind which the near end begins.

    Attributes:
        main_limit: The place up to which the near end looks; "" for everything.
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
        Return what to settle next.

        Args:
            stores: A transaction.
            judged: How many sessions the run judged by now.
            more_follows: Whether more verdicts are being reached.

        Returns:
            None if the near end may have come there; what is left to be done again comes when no more follows.
        """
        if not self._is_filled:
            self._fresh, self._is_filled = list(stores.open_sessions.key_ranges(self._count, after=self._after)), True
        if not self._is_claimed:
            self._is_claimed = self._claim_next(judged, more_follows=more_follows)
        return KeyRange(self._position, self._current.until) if self._is_claimed else None

    def release_all(self) -> None:
        """Leave everything to the near end."""
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
        Go behind what was settled of the part in hand; begin it anew where little was known.

        Args:
            done: What was settled; None if nothing was there.
            asked: How many sessions at most.
            more_follows: Whether more verdicts were being reached.

        Returns:
            How much news to wait for before that.
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
