"""Which parts of a table the far end of a backfill takes, from the last one on."""

from snapshots.app.ports import Stores
from snapshots.app.session_ports import SettledByStore, Span

FEWEST_SPANS = 6
"""So many spans make a second pair of hands worth while."""

CLEARANCE = 3
"""How many spans are left to the near end: the one that would be taken, and what is in its hands."""

MOST_POOR = 3
"""How often a part is given back, because the verdicts on most of it are not known yet."""


class FarSpans:
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
        self._end = judged + unjudged - CLEARANCE * span
        self._fresh: list[Span] | None = None
        self._again: list[Span] = []
        self._in_hand: Span | None = None
        self._place = ""
        self._is_fresh = True
        self._leaves_some = False
        self._poor = 0
        self.low = ""

    def take(self, stores: Stores, *, judged: int, more_follows: bool) -> Span | None:
        """
        Return what to settle next.

        Args:
            stores: A transaction.
            judged: How many sessions the run judged by now.
            more_follows: Whether more verdicts are being reached.

        Returns:
            None if the near end may have come there; what is left to be done again comes when no more follows.
        """
        if self._fresh is None:
            self._fresh = list(stores.open_sessions.spans(self._count, after=self._begin))
        if self._in_hand is None:
            self._in_hand = self._next(self._fresh, judged, more_follows=more_follows)
        return Span(self._place, self._in_hand.until) if self._in_hand is not None else None

    def give_up(self) -> None:
        """Leave everything to the near end."""
        self.low = ""

    def _next(self, fresh: list[Span], judged: int, *, more_follows: bool) -> Span | None:
        self._is_fresh = more_follows or not self._again
        if not self._is_fresh:
            span = self._again.pop()
        elif fresh and judged <= self._end:
            span = fresh.pop()
            self.low = span.after
        else:
            return None
        self._place, self._leaves_some = span.after, False
        return span

    def settled(self, done: SettledByStore | None, *, asked: int, more_follows: bool) -> int:
        """
        Go behind what was settled of the part in hand; begin it anew where little was known.

        Args:
            done: What was settled; None if nothing was there.
            asked: How many sessions at most.
            more_follows: Whether more verdicts were being reached.

        Returns:
            How much news to wait for before that.
        """
        span, fresh = self._in_hand, self._fresh
        if span is None or fresh is None:
            return 0
        judged = done.verdicts.total() if done is not None else 0
        if done is not None:
            if self._is_fresh and not more_follows and done.left > judged and self._poor < MOST_POOR:
                self._poor += 1
                fresh.append(span)
                self._in_hand, self.low = None, span.until
                return 1 << self._poor
            self._poor = 0
            self._end += -done.left if self._is_fresh else judged
            self._leaves_some |= more_follows and done.left > 0
            self._place = done.last
        if done is None or judged + done.left < asked:
            if self._leaves_some:
                self._again.append(span)
            self._in_hand = None
        return 0
