"""
A second pair of hands for a large backfill: while batches come from the near end of the table, it works at the far end.

It lets the store settle sessions of which the verdict is remembered, by a thread and a database connection of its own,
also while verdicts on other addresses are still being reached; and it counts what was found in turns with the near
end. It judges nothing. Whatever it leaves, and whatever it fails at, is met by the backfill itself.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import partial
from threading import Condition
from typing import NamedTuple, TypeVar

from snapshots.app.backfill.ordered_commit import OrderedCommit
from snapshots.app.backfill.partitions import MIN_PARTITIONS, PartitionQueue
from snapshots.app.backfill.pushdown import counts_of
from snapshots.app.backfill.work import Work
from snapshots.app.enrich.service import knowledge_in
from snapshots.app.errors import StoreBusy, StoreGone
from snapshots.app.ports.database import Database, Health, Stores, WriteLock
from snapshots.app.ports.open_sessions import KeyRange, PushdownResult, StagedVerdicts
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import retry
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.snapshot.verdict_cache import Verdicts

T = TypeVar("T")

SPAN = 18_000
"""How many sessions a span holds, about: a little less than the largest batch."""

QUEUE_SIZE = 64
"""How many pieces of news wait for the far end at most: the near end does not wait, and the oldest are lost."""

POLL_SECONDS = 1.0
"""Seconds after which a database that is not well is looked at again."""


class VerdictBatch(NamedTuple):
    """
    What the near end knows in one of its transactions.

    Attributes:
        staged: What came to be remembered.
        knowledge: What was known when that was reached.
        learned_until: The value of `IpInventory.learned_last` at that time.
        may_settle: Whether enough is remembered to settle sessions by.
        more_follows: Whether more verdicts are being reached, for sessions that are then looked at again.
    """

    staged: StagedVerdicts
    knowledge: object
    learned_until: datetime | None
    may_settle: bool = True
    more_follows: bool = False


class ParallelWorker:
    """
    Helps with the sessions that nobody judged, where there are many.

    Args:
        executor: Where it works; None for no help.
        open_own: Opens the same database anew, with what tells whether it is well.
        runtime: Clock, stopwatch, sleep and run names.
        span: How many sessions a span holds, about, if they lie evenly.
    """

    def __init__(
        self,
        executor: Executor | None,
        open_own: Callable[[], AbstractContextManager[tuple[Database, Health]]],
        *,
        runtime: Runtime,
        span: int,
    ) -> None:
        self._executor = executor
        self._open_own = open_own
        self._runtime = runtime
        self._span = span
        self._hand: _Worker | None = None
        self._turns: OrderedCommit | None = None

    @contextmanager
    def helping(self, work: Work, count: Callable[[], int], *, after: str) -> Iterator[None]:
        """
        Help until the end of the block, if it is worth while and nobody said how fast to work.

        Args:
            work: The backfill.
            count: Returns how many sessions nobody judged.
            after: The place behind which the near end begins.

        Raises:
            Exception: What nobody expected to happen at the far end, if the block itself raises nothing.
        """
        unjudged = _if_reached(count, otherwise=0) if self._executor is not None and _is_free(work) else 0
        if self._executor is None or unjudged < self._span * MIN_PARTITIONS:
            yield
            return
        spans = PartitionQueue(unjudged, work.counts["judged"], span=self._span, after=after)
        with self._open_own() as (database, health):
            hand = _Worker(work, database, health, spans, runtime=self._runtime)
            self._hand, work.is_helped = hand, True
            helping = self._executor.submit(hand.help)
            try:
                yield
            finally:
                hand.leave()
                wait([helping])
                self._hand, work.is_helped = None, False
            helping.result()

    @contextmanager
    def taking_turns(
        self, work: Work, stage: str, do: Callable[[Stores, str], str], *, is_worth_while: Callable[[], bool]
    ) -> Iterator[None]:
        """
        Do every second batch of a stage until the end of the block, if nobody said how fast to work.

        Args:
            work: The backfill.
            stage: The name of the stage.
            do: Does a batch behind a place, within a transaction, and returns the place behind it.
            is_worth_while: Says whether there are enough.
        """
        if self._executor is None or not _is_free(work) or not _if_reached(is_worth_while, otherwise=False):
            yield
            return
        with self._open_own() as (database, _):
            self._turns = OrderedCommit(
                work, stage, do, executor=self._executor, database=database, clock=self._runtime.clock
            )
            work.is_helped = True
            try:
                yield
            finally:
                self.give_up_turn()
                self._turns, work.is_helped = None, False

    def begin_turn(self, after: str) -> None:
        """Begin the batch behind that of the near end, of which the transaction is still open."""
        if self._turns is not None:
            self._turns.begin(after)

    def end_turn(self, place: str) -> str:
        """Store that batch, because the near end stored its own up to a place; return where to go on."""
        return place if self._turns is None else self._turns.end(place)

    def give_up_turn(self) -> None:
        """Take that batch back."""
        if self._turns is not None:
            self._turns.give_up()

    @property
    def is_at_work(self) -> bool:
        """Whether anybody listens to `tell`."""
        return self._hand is not None

    @property
    def settled(self) -> int:
        """Return how many sessions it settled since it began to help."""
        return self._hand.settled if self._hand is not None else 0

    def tell(self, news: VerdictBatch) -> None:
        """Hand over what came to be remembered."""
        if self._hand is not None:
            self._hand.tell(news)

    def keep_clear(self, stores: Stores) -> None:
        """Let the near end not look at what the far end took."""
        if self._hand is not None and self._hand.low:
            stores.open_sessions.limit_to(KeyRange("", self._hand.low))


def _if_reached(ask: Callable[[], T], *, otherwise: T) -> T:
    """Return an answer of the database, or another value while it restarts: then nobody helps."""
    try:
        return ask()
    except (StoreBusy, StoreGone):
        return otherwise


def _is_free(work: Work) -> bool:
    """Whether nobody said how fast to work, and something is to be stored."""
    return work.throttle.rate is None and work.throttle.batch_size is None and not work.is_dry_run


class _Subscription(NamedTuple):
    """What was told by now: what is not taken in yet, the last news, and how many they were."""

    staged: Sequence[StagedVerdicts]
    last: VerdictBatch
    times: int


class _Worker:
    """What works at the far end of one table."""

    def __init__(
        self,
        work: Work,
        database: Database,
        health: Health,
        spans: PartitionQueue,
        *,
        runtime: Runtime,
    ) -> None:
        self._work = work
        self._database = database
        self._health = health
        self._spans = spans
        self._runtime = runtime
        self._changed = Condition()
        self._staged: deque[StagedVerdicts] = deque(maxlen=QUEUE_SIZE)
        self._last: VerdictBatch | None = None
        self._times_told, self._listens_from = 0, 0
        self._is_leaving, self._has_ended = False, False
        self._size = work.throttle.first_size
        self.settled = 0

    @property
    def low(self) -> str:
        """Return the place up to which the near end looks; "" for everything."""
        return self._spans.low

    def tell(self, news: VerdictBatch) -> None:
        """Take what is new of what is remembered."""
        with self._changed:
            if self._has_ended:
                return
            if self._last is not None and news.staged.generation != self._last.staged.generation:
                self._staged.clear()
            if self._last is not None and self._last.more_follows and not news.more_follows:
                self._listens_from = 0
            self._staged.append(news.staged)
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
                    self._rest(POLL_SECONDS)
                elif not retry(partial(self._batch, heard), self._rest):
                    break
            is_well = True
        except SnapshotsError:
            return  # the near end meets it too, and deals with it
        finally:
            if not is_well:
                self._spans.give_up()
            with self._changed:
                self._has_ended = True
                self._staged.clear()

    def _listen(self) -> _Subscription | None:
        """Wait for news, and return what is to be taken in; None to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_leaving or self._is_worth_a_batch)
            if self._is_leaving or self._last is None:
                return None
            return _Subscription(tuple(self._staged), self._last, self._times_told)

    @property
    def _is_worth_a_batch(self) -> bool:
        can_settle = self._last is not None and self._last.may_settle and self._times_told >= self._listens_from
        return can_settle or len(self._staged) >= QUEUE_SIZE // 2

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_leaving, timeout=seconds)

    def _batch(self, heard: _Subscription) -> bool:
        """Take in what was heard, and settle a part of a span; return whether anything is left to do."""
        begun_at, last = self._runtime.stopwatch(), heard.last
        with ExitStack() as until_committed:
            with self._database.transaction(lock=WriteLock.WORKER) as stores:
                stores.open_sessions.copy_staged(heard.staged)
                if not self._work.is_owned(stores):
                    return False
                is_told = last.may_settle and knowledge_in(stores) == last.knowledge
                span = self._span_in_hand(stores, more_follows=last.more_follows) if is_told else None
                done = self._settle(stores, span, last) if span is not None else None
                counts = counts_of(done)
                until_committed.enter_context(self._work.counting)
                if done is not None:
                    stores.runs.record_progress(self._work.run, self._work.counts + counts, at=self._runtime.now())
            self._work.counts.update(counts)
            self._work.done_beside += counts["judged"]
            self.settled += counts["judged"]
        self._forget(heard.staged)
        news = QUEUE_SIZE if is_told else 1  # until all is told
        if span is not None:
            news = self._spans.settled(done, asked=self._size, more_follows=last.more_follows)
        elif is_told and not last.more_follows:
            return False
        if done is not None:
            seconds = self._runtime.stopwatch() - begun_at
            self._size = self._work.throttle.next_size(self._size, counts["judged"] + done.left, seconds)
        with self._changed:
            is_still_so = self._last is not None and self._last.more_follows == last.more_follows
            self._listens_from = heard.times + news if is_still_so else 0
        return True

    def _forget(self, taken: Sequence[StagedVerdicts]) -> None:
        """Drop what the store has by now."""
        gone = set(map(id, taken))
        with self._changed:
            self._staged = deque((each for each in self._staged if id(each) not in gone), maxlen=QUEUE_SIZE)

    def _span_in_hand(self, stores: Stores, *, more_follows: bool) -> KeyRange | None:
        return self._spans.take(stores, judged=self._work.counts["judged"], more_follows=more_follows)

    def _settle(self, stores: Stores, span: KeyRange, last: VerdictBatch) -> PushdownResult | None:
        stores.open_sessions.limit_to(span)
        return stores.open_sessions.apply_cached(
            Verdicts(last.staged.generation, (), last.staged.before + last.staged.size),
            run=self._work.run,
            learned_until=last.learned_until,
            after=span.after,
            limit=self._size,
        )
