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
        low: The place up to which the near end looks; "" for everything.
    """

    def __init__(self, unjudged: int, judged: int, *, span: int, after: str) -> None:
        self._count = unjudged // span
        self._begin = after
        self._end = judged + unjudged - RESERVED_PARTITIONS * span
        self._fresh: list[KeyRange] = []
        self._is_cut = False
        self._again: list[KeyRange] = []
        self._in_hand = KeyRange("", "")
        self._is_taken = False
        self._place = ""
        self._is_fresh = True
        self._leaves_some = False
        self._poor = 0
        self.low = ""

    def take(self, stores: Stores, *, judged: int, more_follows: bool) -> KeyRange | None:
        """
        Return what to settle next.

        Args:
            stores: A transaction.
            judged: How many sessions the run judged by now.
            more_follows: Whether more verdicts are being reached.

        Returns:
            None if the near end may have come there; what is left to be done again comes when no more follows.
        """
        if not self._is_cut:
            self._fresh, self._is_cut = list(stores.open_sessions.key_ranges(self._count, after=self._begin)), True
        if not self._is_taken:
            self._is_taken = self._takes_next(judged, more_follows=more_follows)
        return KeyRange(self._place, self._in_hand.until) if self._is_taken else None

    def give_up(self) -> None:
        """Leave everything to the near end."""
        self.low = ""

    def _takes_next(self, judged: int, *, more_follows: bool) -> bool:
        self._is_fresh = more_follows or not self._again
        if not self._is_fresh:
            self._in_hand = self._again.pop()
        elif self._fresh and judged <= self._end:
            self._in_hand = self._fresh.pop()
            self.low = self._in_hand.after
        else:
            return False
        self._place, self._leaves_some = self._in_hand.after, False
        return True

    def settled(self, done: PushdownResult | None, *, asked: int, more_follows: bool) -> int:
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
            if self._is_fresh and not more_follows and done.left > judged and self._poor < MAX_SPARSE_RETRIES:
                self._poor += 1
                self._fresh.append(self._in_hand)
                self._is_taken, self.low = False, self._in_hand.until
                return 1 << self._poor
            self._poor = 0
            self._end += -done.left if self._is_fresh else judged
            self._leaves_some |= more_follows and done.left > 0
            self._place = done.last
        if done is None or judged + done.left < asked:
            if self._leaves_some:
                self._again.append(self._in_hand)
            self._is_taken = False
        return 0
