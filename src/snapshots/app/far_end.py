"""
A second pair of hands for a large backfill: while batches come from the near end of the table, it works at the far end.

It only lets the store settle sessions of which the verdict is remembered, by a thread and a database connection of its
own. Whatever it leaves, and whatever it fails at, is met by the passes of the backfill itself.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Condition

from snapshots.app.enrich import knowledge_in
from snapshots.app.patience import patiently
from snapshots.app.ports import Clock, Database, Health, Stores, WriteLock
from snapshots.app.session_ports import SettledByStore, Span
from snapshots.app.settle import not_before_learning
from snapshots.app.steering import Work
from snapshots.app.store_first import counts_of
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.judgement import Verdicts

SPAN = 18_000
"""How many sessions a span holds, about: a little less than the largest batch."""

FEWEST_SPANS = 6
"""So many spans make a second pair of hands worth while."""

CLEARANCE = 3
"""How many spans are left to the near end: the one that would be taken, and what is in its hands."""

MOST_UNREAD = 64
"""How many pieces of news wait for the far end at most: the near end does not wait, and the oldest are lost."""

LOOK_AGAIN = 1.0
"""Seconds after which a database that is not well is looked at again."""


class FarEnd:
    """
    Helps with the sessions that nobody judged, where there are many and the store can let two write at once.

    Args:
        executor: Where it works; None for no help.
        open_own: Opens the same database anew, with what tells whether it is well.
        clock: Tells when something was done.
        stopwatch: Returns seconds from an arbitrary start.
        span: How many sessions a span holds, about.
    """

    def __init__(
        self,
        executor: Executor | None,
        open_own: Callable[[], AbstractContextManager[tuple[Database, Health]]],
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
        span: int,
    ) -> None:
        self._executor = executor
        self._open_own = open_own
        self._clock = clock
        self._stopwatch = stopwatch
        self._span = span
        self._hand: _Hand | None = None

    @contextmanager
    def helping(self, work: Work, unjudged: int) -> Iterator[None]:
        """Help until the end of the block, if it is worth while and nobody said how fast to work."""
        is_free = work.pace.rate is None and work.pace.batch_size is None and not work.is_rehearsal
        if self._executor is None or unjudged < self._span * FEWEST_SPANS or not is_free:
            yield
            return
        with self._open_own() as (database, health):
            hand = _Hand(work, database, health, unjudged, self._span, clock=self._clock, stopwatch=self._stopwatch)
            self._hand, work.is_helped = hand, True
            helping = self._executor.submit(hand.help)
            try:
                yield
            finally:
                hand.leave()
                self._hand = None
                helping.result()
                work.is_helped = False

    def tell(self, verdicts: Verdicts, knowledge: object, *, may_settle: bool) -> None:
        """
        Hand over what is remembered.

        Args:
            verdicts: Such as follow from what is stored for good.
            knowledge: What was known when they were reached.
            may_settle: Whether sessions may be settled by now.
        """
        if self._hand is not None:
            self._hand.tell(verdicts, knowledge, may_settle=may_settle)

    def keep_clear(self, stores: Stores) -> None:
        """Let the near end not look at what the far end took."""
        if self._hand is not None and self._hand.low:
            stores.open_sessions.keep_to(Span("", self._hand.low))

    def finish(self) -> None:
        """Let the span in hand be the last one, because the near end came so far."""
        if self._hand is not None:
            self._hand.finish()


class _Hand:
    """What works at the far end of one table."""

    def __init__(
        self,
        work: Work,
        database: Database,
        health: Health,
        unjudged: int,
        span: int,
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
    ) -> None:
        self._work = work
        self._database = database
        self._health = health
        self._clock = clock
        self._stopwatch = stopwatch
        self._end = work.counts["judged"] + unjudged - CLEARANCE * span
        self._count = unjudged // span
        self._changed = Condition()
        self._news: deque[Verdicts] = deque(maxlen=MOST_UNREAD)
        self._generation, self._told, self._times_told = -1, 0, 0
        self._knowledge: object = None
        self._may_settle = self._is_leaving = self._is_last = False
        self._listens_from, self._poor = 0, 0
        self._spans: list[Span] = []
        self._knows_spans = False
        self._after = ""
        self._size = work.pace.first_size
        self.low = ""

    def tell(self, verdicts: Verdicts, knowledge: object, *, may_settle: bool) -> None:
        """Take what is new of what is remembered."""
        with self._changed:
            if verdicts.generation != self._generation:
                self._news.clear()
                self._generation, self._told = verdicts.generation, 0
            first = max(self._told, verdicts.before)
            self._told = verdicts.before + len(verdicts.spans)
            self._news.append(Verdicts(self._generation, tuple(verdicts.spans[first - verdicts.before :]), first))
            self._knowledge = knowledge
            self._times_told += 1
            self._may_settle = may_settle
            self._changed.notify()

    def finish(self) -> None:
        """End with the span in hand."""
        with self._changed:
            self._is_last = True
            self._changed.notify()

    def leave(self) -> None:
        """End with the batch in hand, or with the span if it is the last one."""
        with self._changed:
            self._is_leaving = True
            self._changed.notify()

    def help(self) -> None:
        """Work until nothing is left or wanted."""
        try:
            while self._waits_for_work():
                if self._can_settle and self._health.trouble():
                    self._rest(LOOK_AGAIN)
                elif not patiently(self._batch, self._rest):
                    return
        except SnapshotsError:
            self.low = ""  # the near end comes here, meets it too, and deals with it

    def _waits_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or len(self._news) >= MOST_UNREAD // 2 or self._can_settle)
            return not self._is_over

    @property
    def _is_over(self) -> bool:
        in_span = bool(self._after)
        return (self._is_leaving and not (self._is_last and in_span)) or (self._is_last and not in_span)

    @property
    def _can_settle(self) -> bool:
        return self._may_settle and self._times_told >= self._listens_from

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_leaving, timeout=seconds)

    def _batch(self) -> bool:
        """Take what was told, and settle a part of a span; return whether anything is left to do."""
        begun_at = self._stopwatch()
        with ExitStack() as until_committed:
            with self._database.transaction(lock=WriteLock.HELPS) as stores:
                knowledge = self._remember(stores)
                if not self._can_settle:
                    return True
                if not self._work.is_owned(stores):
                    return False
                if knowledge_in(stores) != knowledge:
                    self._listens_from = self._times_told + 1
                    return True
                span = self._span_in_hand(stores)
                if span is None:
                    return False
                stores.open_sessions.keep_to(span)
                done = self._settled(stores, self._after or span.after)
                counts = counts_of(done)
                until_committed.enter_context(self._work.counting)
                stores.runs.note(self._work.run, self._work.counts + counts, at=self._clock.now())
            self._work.counts.update(counts)
            self._work.done_beside += counts["judged"]
        self._go_on(done, counts["judged"], self._stopwatch() - begun_at)
        return True

    def _remember(self, stores: Stores) -> object:
        """Let the store remember what was told, and return what was known then."""
        with self._changed:
            news, knowledge = list(self._news), self._knowledge
            self._news.clear()
        for verdicts in news:
            stores.open_sessions.remember(verdicts)
        return knowledge

    def _span_in_hand(self, stores: Stores) -> Span | None:
        """Return the last span that is left; None if the near end may have come there."""
        if not self._knows_spans:
            self._spans, self._knows_spans = list(stores.open_sessions.spans(self._count)), True
        if not self._spans or (not self._after and self._work.counts["judged"] > self._end):
            return None
        self.low = self._spans[-1].after
        return self._spans[-1]

    def _settled(self, stores: Stores, after: str) -> SettledByStore | None:
        run = self._work.run
        at = not_before_learning(stores, self._clock.now())
        told = Verdicts(self._generation, (), self._told)
        return stores.open_sessions.settle_remembered(told, run=run, settled_at=at, after=after, limit=self._size)

    def _go_on(self, done: SettledByStore | None, judged: int, seconds: float) -> None:
        """Go behind what was settled, or to the next span; where little is known yet wait for news, ever longer."""
        if done is not None and done.left > judged:
            self._poor += 1
            self._listens_from = self._times_told + 2**self._poor
            self._after, self.low = "", self._spans[-1].until
        elif done is not None:
            self._poor, self._after = 0, done.last
            self._size = self._work.pace.next_size(self._size, judged, seconds)
        else:
            self._after = ""
            self._spans.pop()
