"""
A second pair of hands for a large backfill: while batches come from the near end of the table, it works at the far end.

It only lets the store settle sessions of which the verdict is remembered, by a thread and a database connection of its
own. Whatever it leaves, and whatever it fails at, is met by the passes of the backfill itself.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import partial
from threading import Condition
from typing import NamedTuple

from snapshots.app.enrich import knowledge_in
from snapshots.app.patience import patiently
from snapshots.app.ports import Clock, Database, Health, Stores, WriteLock
from snapshots.app.session_ports import SettledByStore, Span
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

MOST_POOR = 3
"""How often a part of a span is left for later, because the verdicts on most of it are not known yet."""

LOOK_AGAIN = 1.0
"""Seconds after which a database that is not well is looked at again."""


class News(NamedTuple):
    """
    What the near end knows at the beginning of one of its transactions.

    Attributes:
        verdicts: What is remembered; more may come to be in it.
        knowledge: What was known when that was reached.
        at: The moment by which sessions are judged so: later learning is dated later.
        after: The place behind which the near end goes on.
        may_settle: Whether sessions may be settled by now.
    """

    verdicts: Verdicts
    knowledge: object
    at: datetime
    after: str = ""
    may_settle: bool = False


class FarEnd:
    """
    Helps with the sessions that nobody judged, where there are many.

    Args:
        executor: Where it works; None for no help.
        open_own: Opens the same database anew, with what tells whether it is well.
        stopwatch: Returns seconds from an arbitrary start.
        clock: Tells when something was done.
        span: How many sessions a span holds, about, if they lie evenly.
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
    def helping(self, work: Work, count: Callable[[], int]) -> Iterator[None]:
        """
        Help until the end of the block, if it is worth while and nobody said how fast to work.

        Args:
            work: The backfill.
            count: Returns how many sessions nobody judged.

        Raises:
            Exception: What nobody expected to happen at the far end, if the block itself raises nothing.
        """
        is_free = work.pace.rate is None and work.pace.batch_size is None and not work.is_rehearsal
        unjudged = count() if self._executor is not None and is_free else 0
        if self._executor is None or unjudged < self._span * FEWEST_SPANS:
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
                wait([helping])
                self._hand, work.is_helped = None, False
            helping.result()

    @property
    def is_at_work(self) -> bool:
        """Whether anybody listens to `tell`."""
        return self._hand is not None

    def tell(self, news: News) -> None:
        """Hand over what is remembered."""
        if self._hand is not None:
            self._hand.tell(news)

    def keep_clear(self, stores: Stores) -> None:
        """Let the near end not look at what the far end took."""
        if self._hand is not None and self._hand.low:
            stores.open_sessions.keep_to(Span("", self._hand.low))


class _Heard(NamedTuple):
    """What was told by now: increments of what is remembered, and the last news."""

    increments: Sequence[Verdicts]
    generation: int
    told: int
    times: int
    last: News


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
        self._count = unjudged // span
        self._end = work.counts["judged"] + unjudged - CLEARANCE * span
        self._changed = Condition()
        self._increments: deque[Verdicts] = deque(maxlen=MOST_UNREAD)
        self._generation, self._told, self._times_told = -1, 0, 0
        self._last: News | None = None
        self._is_leaving = False
        self._listens_from, self._poor = 0, 0
        self._spans: list[Span] = []
        self._knows_spans = False
        self._after = ""
        self._size = work.pace.first_size
        self.low = ""

    def tell(self, news: News) -> None:
        """Take what is new of what is remembered."""
        verdicts = news.verdicts
        with self._changed:
            if verdicts.generation != self._generation:
                self._increments.clear()
                self._generation, self._told = verdicts.generation, 0
            first = max(self._told, verdicts.before)
            self._told = verdicts.before + len(verdicts.spans)
            new = tuple(verdicts.spans[first - verdicts.before :])
            self._increments.append(Verdicts(self._generation, new, first))
            self._last = news
            self._times_told += 1
            self._changed.notify()

    def leave(self) -> None:
        """End with the batch in hand."""
        with self._changed:
            self._is_leaving = True
            self._changed.notify()

    def help(self) -> None:
        """Work until nothing is left, or wanted."""
        is_well = False
        try:
            while (heard := self._listen()) is not None:
                if heard.last.may_settle and self._health.trouble():
                    self._rest(LOOK_AGAIN)
                elif not patiently(partial(self._batch, heard), self._rest):
                    break
            is_well = True
        except SnapshotsError:
            return  # the near end meets it too, and deals with it
        finally:
            if not is_well:
                self.low = ""

    def _listen(self) -> _Heard | None:
        """Wait for news, and return what is to be taken in; None to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_leaving or self._is_worth_a_batch)
            if self._is_leaving or self._last is None:
                return None
            return _Heard(tuple(self._increments), self._generation, self._told, self._times_told, self._last)

    @property
    def _is_worth_a_batch(self) -> bool:
        can_settle = self._last is not None and self._last.may_settle and self._times_told >= self._listens_from
        return can_settle or len(self._increments) >= MOST_UNREAD // 2

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_leaving, timeout=seconds)

    def _batch(self, heard: _Heard) -> bool:
        """Take in what was heard, and settle a part of a span; return whether anything is left to do."""
        begun_at = self._stopwatch()
        with ExitStack() as until_committed:
            with self._database.transaction(lock=WriteLock.HELPS) as stores:
                for verdicts in heard.increments:
                    stores.open_sessions.remember(verdicts)
                if not self._work.is_owned(stores):
                    return False
                is_told = heard.last.may_settle and knowledge_in(stores) == heard.last.knowledge
                span = self._span_in_hand(stores, heard.last.after) if is_told else None
                done = self._settled(stores, span, heard) if span is not None else None
                counts = counts_of(done)
                until_committed.enter_context(self._work.counting)
                if done is not None:
                    stores.runs.note(self._work.run, self._work.counts + counts, at=self._clock.now())
            self._work.counts.update(counts)
            self._work.done_beside += counts["judged"]
        self._forget(heard.increments)
        if not is_told:
            self._listens_from = heard.times + 1
            return True
        if span is not None:
            self._go_on(span, done, counts["judged"], heard.times, self._stopwatch() - begun_at)
        return span is not None

    def _forget(self, increments: Sequence[Verdicts]) -> None:
        """Drop what the store has by now."""
        with self._changed:
            for taken in increments:
                if self._increments and self._increments[0] is taken:
                    self._increments.popleft()

    def _span_in_hand(self, stores: Stores, near: str) -> Span | None:
        """Return the last span that is left; None if the near end may have come there."""
        if not self._knows_spans:
            self._spans, self._knows_spans = list(stores.open_sessions.spans(self._count, after=near)), True
        if not self._spans or (not self._after and self._work.counts["judged"] > self._end):
            return None
        self.low = self._spans[-1].after
        return self._spans[-1]

    def _settled(self, stores: Stores, span: Span, heard: _Heard) -> SettledByStore | None:
        stores.open_sessions.keep_to(span)
        return stores.open_sessions.settle_remembered(
            Verdicts(heard.generation, (), heard.told),
            run=self._work.run,
            settled_at=heard.last.at,
            after=self._after or span.after,
            limit=self._size,
        )

    def _go_on(self, span: Span, done: SettledByStore | None, judged: int, times: int, seconds: float) -> None:
        """Go behind what was settled, or to the next span; where little was known wait for news, ever longer."""
        if done is None:
            self._after = ""
            self._spans.pop()
        elif done.left <= judged or self._poor == MOST_POOR:
            self._after, self._poor = done.last, 0
            self._end -= done.left
            self._size = self._work.pace.next_size(self._size, judged + done.left, seconds)
        else:
            self._poor += 1
            self._listens_from = times + 2**self._poor
            self._after, self.low = "", span.until
